/** A request of which a part was held back, and how its reply becomes that of the whole. */
export interface PartialThrottle {
  /** What is still asked for; nothing where every part was held back. */
  readonly request: object | undefined;
  /** The reply to the whole request, from the reply to what was still asked for. */
  complete(reply: object): object;
}

type Fields = Readonly<Partial<Record<string, unknown>>>;

const MESSAGE = 'Injected: this part was throttled and took no effect.';
const LOST_MESSAGE = 'Injected: this part took effect and its answer was lost.';
/** The codes by which a statement is throttled (BatchStatementError); parts take turns. */
const STATEMENT_CODES = ['ThrottlingError', 'ProvisionedThroughputExceeded', 'RequestLimitExceeded'] as const;
/** The codes by which a record is not taken (PutRecordsResultEntry); parts take turns. */
const RECORD_CODES = ['ProvisionedThroughputExceededException', 'InternalFailure'] as const;

/**
 * Splits a request that services answer part by part. AWS reports a throttled part inside a reply with status 200,
 * which the SDK takes for success: the caller must read it. Gives nothing where the operation has no parts.
 */
export function throttlePart(
  operation: string,
  request: unknown,
  isThrottled: (index: number) => boolean,
): PartialThrottle | undefined {
  const fields = fieldsOf(request);
  switch (operation) {
    case 'BatchExecuteStatement':
      return splitList(fields, 'Statements', isThrottled, (reply, weave) => ({
        ...reply,
        Responses: weave(listOf(reply['Responses']), (index) => ({
          Error: { Code: STATEMENT_CODES[index % STATEMENT_CODES.length], Message: MESSAGE },
        })),
      }));
    case 'PutRecords':
      return splitList(fields, 'Records', isThrottled, (reply, weave, throttledCount) => ({
        ...reply,
        FailedRecordCount: Number(reply['FailedRecordCount'] ?? 0) + throttledCount,
        Records: weave(listOf(reply['Records']), (index) => ({
          ErrorCode: RECORD_CODES[index % RECORD_CODES.length],
          ErrorMessage: MESSAGE,
        })),
      }));
    case 'BatchGetItem':
      return splitTables(
        fields,
        'UnprocessedKeys',
        isThrottled,
        (table) => listOf(fieldsOf(table)['Keys']),
        (table, keys) => ({
          ...fieldsOf(table),
          Keys: keys,
        }),
      );
    case 'BatchWriteItem':
      return splitTables(fields, 'UnprocessedItems', isThrottled, listOf, (_table, writes) => writes);
    default:
      return undefined;
  }
}

/**
 * What makes of a reply one that reports parts as failed although they took effect. Gives nothing where the operation's
 * parts have no outcome of their own, or no effect.
 */
export function failPart(
  operation: string,
  isFailed: (index: number) => boolean,
): ((reply: object) => object) | undefined {
  switch (operation) {
    case 'BatchExecuteStatement':
      return (reply) => ({
        ...reply,
        Responses: listOf(fieldsOf(reply)['Responses']).map((response, index) =>
          isFailed(index) ? { Error: { Code: 'InternalServerError', Message: LOST_MESSAGE } } : response,
        ),
      });
    case 'PutRecords':
      return (reply) => {
        const records = listOf(fieldsOf(reply)['Records']).map((record, index) =>
          isFailed(index) ? { ErrorCode: 'InternalFailure', ErrorMessage: LOST_MESSAGE } : record,
        );
        const failed = records.filter((record) => fieldsOf(record)['ErrorCode'] !== undefined);
        return { ...reply, FailedRecordCount: failed.length, Records: records };
      };
    default:
      return undefined;
  }
}

/** For requests with one list whose reply has an entry for each of its elements, in order. */
function splitList(
  request: Fields,
  name: string,
  isThrottled: (index: number) => boolean,
  complete: (
    reply: Fields,
    weave: (replies: readonly unknown[], throttled: (index: number) => unknown) => unknown[],
    throttledCount: number,
  ) => object,
): PartialThrottle {
  const elements = listOf(request[name]);
  const kept = elements.filter((_, index) => !isThrottled(index));
  return {
    request: kept.length === 0 ? undefined : { ...request, [name]: kept },
    complete(reply) {
      const weave = (replies: readonly unknown[], throttled: (index: number) => unknown): unknown[] => {
        const given = replies.values();
        return elements.map((_, index) => (isThrottled(index) ? throttled(index) : given.next().value));
      };
      return complete({ ...reply }, weave, elements.length - kept.length);
    },
  };
}

/** For requests with a list for each table, whose reply names what was not processed in the form of the request. */
function splitTables(
  request: Fields,
  unprocessedName: string,
  isThrottled: (index: number) => boolean,
  elementsOf: (table: unknown) => readonly unknown[],
  tableWith: (table: unknown, elements: readonly unknown[]) => unknown,
): PartialThrottle {
  const kept: Record<string, unknown> = {};
  const throttled: Record<string, unknown> = {};
  let index = 0;
  for (const [name, table] of Object.entries(fieldsOf(request['RequestItems']))) {
    const through: unknown[] = [];
    const back: unknown[] = [];
    for (const element of elementsOf(table)) {
      (isThrottled(index) ? back : through).push(element);
      index += 1;
    }
    if (through.length > 0) kept[name] = tableWith(table, through);
    if (back.length > 0) throttled[name] = tableWith(table, back);
  }
  return {
    request: Object.keys(kept).length === 0 ? undefined : { ...request, RequestItems: kept },
    complete(reply) {
      const fields = fieldsOf(reply);
      const unprocessed: Record<string, unknown> = { ...fieldsOf(fields[unprocessedName]) };
      for (const [name, table] of Object.entries(throttled)) {
        const already = unprocessed[name] === undefined ? [] : elementsOf(unprocessed[name]);
        unprocessed[name] = tableWith(table, [...already, ...elementsOf(table)]);
      }
      return { Responses: {}, ...fields, [unprocessedName]: unprocessed };
    },
  };
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

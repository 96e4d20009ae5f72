import {
  BatchExecuteStatementCommand,
  type AttributeValue,
  type BatchExecuteStatementCommandOutput,
  type BatchStatementRequest,
  type BatchStatementResponse,
} from '@aws-sdk/client-dynamodb';
import { MAX_STATEMENTS_PER_WRITE } from './dynamodb-limits.ts';
import {
  asError,
  isRefusal,
  MAX_REQUESTS_IN_FLIGHT,
  MAX_SENDS,
  pauseMs,
  type DynamoDbTable,
} from './dynamodb-table.ts';
import { inParallel } from './in-parallel.ts';
import { ITEM } from './item-attributes.ts';
import { billedUnits, tooLarge, type PreparedWrite } from './prepared-write.ts';
import type { CommitResult } from './state-store.ts';
import { shownKey } from './row-key.ts';

/**
 * Bytes of items in one request. AWS names no limit for BatchExecuteStatement; this is what TransactWriteItems takes,
 * the lowest of the limits that it names for requests of several items.
 */
export const MAX_REQUEST_BYTES = 4 * 1024 * 1024;

/**
 * Writes under the revision of each item through PartiQL, 25 to a request: each statement is a conditional write of
 * its own at the cost of an ordinary one, and its outcome is its own. PartiQL cannot upsert, so that an absent item
 * is inserted and a present one updated.
 */
export async function commitByStatements(
  table: DynamoDbTable,
  writes: readonly PreparedWrite[],
): Promise<CommitResult[]> {
  const results = new Array<CommitResult>(writes.length).fill('failed');
  const refusals = await inParallel(requestsOf(writes), MAX_REQUESTS_IN_FLIGHT, (request) =>
    sendUntilDecided(table, request, results),
  );
  const refusal = refusals.find((error) => error !== undefined);
  if (refusal !== undefined) throw refusal;
  return results;
}

function requestsOf(writes: readonly PreparedWrite[]): PreparedWrite[][] {
  const requests: PreparedWrite[][] = [];
  let request: PreparedWrite[] = [];
  let bytes = 0;
  for (const write of writes) {
    if (
      request.length === MAX_STATEMENTS_PER_WRITE ||
      (request.length > 0 && bytes + write.bytes > MAX_REQUEST_BYTES)
    ) {
      requests.push(request);
      request = [];
      bytes = 0;
    }
    request.push(write);
    bytes += write.bytes;
  }
  if (request.length > 0) requests.push(request);
  return requests;
}

/** Fills in the results of one request's writes. @returns the error where DynamoDB refuses one as wrong. */
async function sendUntilDecided(
  table: DynamoDbTable,
  request: readonly PreparedWrite[],
  results: CommitResult[],
): Promise<Error | undefined> {
  let refusal: Error | undefined;
  let pending = request;
  for (let send = 1; pending.length > 0; send++) {
    const outcomes = await sendOnce(table, pending);
    if (outcomes === undefined) return refusal;
    if (outcomes instanceof Error) return refusal ?? outcomes;
    const undecided: PreparedWrite[] = [];
    for (const [at, write] of pending.entries()) {
      const outcome = outcomes[at];
      if (outcome === 'committed' || outcome === 'conflict') results[write.index] = outcome;
      else if (outcome instanceof Error) refusal ??= outcome;
      else undecided.push(write);
    }
    if (undecided.length === 0 || send === MAX_SENDS) return refusal;
    await table.delay(pauseMs(send, (undecided[0] as PreparedWrite).pk));
    pending = undecided;
  }
  return refusal;
}

type Outcome = CommitResult | Error;

/**
 * @returns an outcome for each write, an Error where it is refused; one Error where the whole request is refused, and
 * nothing where it failed.
 */
async function sendOnce(
  table: DynamoDbTable,
  writes: readonly PreparedWrite[],
): Promise<Outcome[] | Error | undefined> {
  table.costs.add({ writeRequests: 1 });
  let answer: BatchExecuteStatementCommandOutput;
  try {
    answer = await table.client.send(
      new BatchExecuteStatementCommand({
        Statements: writes.map((write) => statementOf(table.name, write)),
        ReturnConsumedCapacity: 'TOTAL',
      }),
    );
  } catch (error) {
    if (error instanceof Error && isRefusal(error.name)) {
      return new Error(`DynamoDB refuses a commit to table ${table.name}: ${error.message}`, {
        cause: error,
      });
    }
    // The SDK has repeated the request already; whatever it did is in doubt.
    table.onFailure(asError(error));
    return undefined;
  }
  const outcomes = writes.map((write, at) => outcomeOf(table, write, answer.Responses?.[at]));
  table.costs.add({
    writes: outcomes.filter((outcome) => outcome === 'committed' || outcome === 'conflict').length,
    wcu: unitsOf(answer, writes, outcomes),
  });
  return outcomes;
}

function outcomeOf(
  table: DynamoDbTable,
  write: PreparedWrite,
  response: BatchStatementResponse | undefined,
): Outcome {
  if (response === undefined) return 'failed';
  const error = response.Error;
  if (error === undefined) return 'committed';
  const code = error.Code ?? 'an error without a code';
  if (code === 'ConditionalCheckFailed' || code === 'DuplicateItem') return 'conflict';
  const message = error.Message ?? 'no reason given';
  if (isRefusal(code)) {
    return /item size/i.test(message)
      ? tooLarge(write.pk, `DynamoDB says "${message}"`)
      : new Error(`DynamoDB refuses the write of ${shownKey(write.pk)}: ${code}: ${message}`);
  }
  table.onFailure(new Error(`The write of ${shownKey(write.pk)} failed: ${code}: ${message}`));
  return 'failed';
}

/** What the answer says was consumed; by the rules where the engine says nothing of PartiQL, as DynamoDB Local does. */
function unitsOf(
  answer: BatchExecuteStatementCommandOutput,
  writes: readonly PreparedWrite[],
  outcomes: readonly Outcome[],
): number {
  const consumed = answer.ConsumedCapacity ?? [];
  if (consumed.length > 0)
    return consumed.reduce((units, { CapacityUnits }) => units + (CapacityUnits ?? 0), 0);
  return writes.reduce((units, write, at) => {
    const outcome = outcomes[at];
    const isBilled = outcome === 'committed' || outcome === 'conflict';
    return isBilled ? units + billedUnits(write, outcome === 'committed') : units;
  }, 0);
}

function statementOf(tableName: string, { row, write }: PreparedWrite): BatchStatementRequest {
  const names = Object.keys(row);
  if (write.expectedRevision === undefined) {
    const members = names.map((name) => `'${name}': ?`).join(', ');
    return {
      Statement: `INSERT INTO "${tableName}" VALUE {${members}}`,
      Parameters: names.map((name) => row[name] as AttributeValue),
    };
  }
  const changed = names.filter((name) => name !== ITEM.pk);
  const gone = OPTIONAL_ATTRIBUTES.filter((name) => row[name] === undefined);
  return {
    Statement: [
      `UPDATE "${tableName}"`,
      ...changed.map((name) => `SET ${name} = ?`),
      ...gone.map((name) => `REMOVE ${name}`),
      `WHERE ${ITEM.pk} = ? AND ${ITEM.revision} = ?`,
    ].join(' '),
    Parameters: [
      ...changed.map((name) => row[name] as AttributeValue),
      row[ITEM.pk] as AttributeValue,
      { N: String(write.expectedRevision) },
    ],
  };
}

const OPTIONAL_ATTRIBUTES = [
  ITEM.states,
  ITEM.spilled,
  ITEM.versions,
  ITEM.outbox,
  ITEM.letters,
  ITEM.fired,
  ITEM.due,
  ITEM.processingFired,
  ITEM.processingDue,
  ITEM.dueBucket,
  ITEM.expiry,
];

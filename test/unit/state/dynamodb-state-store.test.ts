import { DynamoDBClient, type AttributeValue, type QueryCommandInput } from '@aws-sdk/client-dynamodb';
import { describe, expect, it } from 'vitest';
import { DynamoDbStateStore, type WriteMode } from '../../../shared/state/dynamodb-state-store.ts';
import { encodeItem } from '../../../shared/state/item-codec.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';
import { DynamoDbAnswers } from './dynamodb-answers.ts';
import { shownKey } from '../../../shared/state/row-key.ts';

interface Sent {
  readonly name: string;
  readonly input: {
    readonly Statements?: readonly {
      readonly Statement: string;
      readonly Parameters: readonly AttributeValue[];
    }[];
    readonly RequestItems?: Record<string, { readonly Keys: readonly Record<string, AttributeValue>[] }>;
    readonly Item?: Record<string, AttributeValue>;
  };
}
type Answer = (sent: Sent) => unknown;

/** A store on a client whose requests get these answers, in turn; a request too many fails the test. */
function storeAnswering(answers: readonly Answer[], writes: WriteMode = 'partiql') {
  const sent: Sent[] = [];
  const pauses: number[] = [];
  const failures: string[] = [];
  const send = async (command: { readonly input: object }): Promise<unknown> => {
    const request: Sent = { name: command.constructor.name, input: command.input };
    sent.push(request);
    const answer = answers[sent.length - 1];
    if (answer === undefined) throw new Error(`Request ${sent.length}, a ${request.name}, was not foreseen.`);
    return answer(request);
  };
  const client = Object.assign(new DynamoDBClient({ region: 'us-east-1' }), { send });
  const store = new DynamoDbStateStore({
    client,
    table: 'state',
    writes,
    delay: async (ms) => void pauses.push(ms),
    onFailure: (error) => void failures.push(error.message),
  });
  return { store, sent, pauses, failures };
}

function item(key: string, text = 'x'): StateItem {
  return {
    pk: `1/s/${key}`,
    revision: 5,
    marks: new Map(),
    states: new Map([['text', text]]),
    versions: new Map([['text', 1]]),
    outbox: [],
  };
}

function inserts(...keys: string[]) {
  return keys.map((key) => ({ item: item(key), expectedRevision: undefined, spills: false }));
}

/** Fails as the SDK does. */
function failing(name: string, message = name): Answer {
  return () => {
    throw Object.assign(new Error(message), { name });
  };
}

/** Answers each statement, in order, with success or with an error of this code. */
function statements(...codes: (string | undefined)[]): Answer {
  return () => ({
    Responses: codes.map((Code) =>
      Code === undefined ? {} : { Error: { Code, Message: `${Code} it was` } },
    ),
  });
}

const keysOf = (sent: Sent | undefined) =>
  sent?.input.Statements?.map(({ Parameters }) => Parameters.find(({ S }) => S?.startsWith('1/s/'))?.S);

describe('load', () => {
  const rows = (sent: Sent) => sent.input.RequestItems?.['state']?.Keys ?? [];
  const read = (key: string) => encodeItem(item(key));

  it('asks again for keys that were not processed, and for those alone', async () => {
    const { store, sent, pauses } = storeAnswering([
      (request) => ({
        Responses: { state: [read('a')] },
        UnprocessedKeys: { state: { Keys: rows(request).slice(1) } },
        ConsumedCapacity: [{ CapacityUnits: 1 }],
      }),
      () => ({ Responses: { state: [read('b'), read('c')] }, ConsumedCapacity: [{ CapacityUnits: 2 }] }),
    ]);
    const loaded = await store.load(['1/s/a', '1/s/b', '1/s/c']);
    expect([...loaded.keys()]).toEqual(['1/s/a', '1/s/b', '1/s/c']);
    expect(rows(sent[1] as Sent)).toEqual([{ pk: { S: '1/s/b' } }, { pk: { S: '1/s/c' } }]);
    expect(pauses).toHaveLength(1);
    expect(store.costs()).toMatchObject({ reads: 3, readRequests: 2, rcu: 3 });
  });

  it('counts by the rules what an engine does not report', async () => {
    const { store } = storeAnswering([
      () => ({ Responses: { state: [read('a'), encodeItem(item('b', 'x'.repeat(5000)))] } }),
    ]);
    await store.load(['1/s/a', '1/s/b', '1/s/missing']);
    expect(store.costs()).toMatchObject({ reads: 3, rcu: 1 + 2 + 1 });
  });

  it('gives up, with growing pauses, when nothing is processed any more', async () => {
    const nothing: Answer = (request) => ({ UnprocessedKeys: { state: { Keys: rows(request) } } });
    const { store, pauses } = storeAnswering(new Array<Answer>(6).fill(nothing));
    await expect(store.load(['1/s/a'])).rejects.toThrow(
      /left 1 of 1 keys unread after 6 requests; it is throttled/,
    );
    expect(pauses).toEqual([...pauses].sort((a, b) => a - b));
    expect(new Set(pauses).size).toBe(5);
  });

  it('goes on as long as something is processed', async () => {
    const keys = Array.from({ length: 20 }, (_, index) => `1/s/${index}`);
    const { store } = storeAnswering(
      keys.map(() => (request) => ({
        Responses: {
          state: rows(request)
            .slice(0, 1)
            .map(({ pk }) => read(pk?.S?.slice(4) ?? '')),
        },
        UnprocessedKeys: rows(request).length === 1 ? {} : { state: { Keys: rows(request).slice(1) } },
      })),
    );
    expect((await store.load(keys)).size).toBe(20);
  });

  it('throws what a whole request throws', async () => {
    const { store } = storeAnswering([failing('InternalServerError')]);
    await expect(store.load(['1/s/a'])).rejects.toThrow('InternalServerError');
  });
});

describe('commit by statements', () => {
  it('inserts what was absent and updates what was present, under its revision', async () => {
    const { store, sent } = storeAnswering([statements(undefined, undefined)]);
    const present = { item: { ...item('b'), revision: 9 }, expectedRevision: 8, spills: false };
    await store.commit([...inserts('a'), present]);
    expect(sent[0]?.input.Statements?.map(({ Statement }) => Statement)).toEqual([
      `INSERT INTO "state" VALUE {'pk': ?, 'r': ?, 'm': ?, 's': ?}`,
      'UPDATE "state" SET r = ? SET m = ? SET s = ? REMOVE b REMOVE v REMOVE o REMOVE d REMOVE f REMOVE t REMOVE g REMOVE j REMOVE i REMOVE x WHERE pk = ? AND r = ?',
    ]);
    expect(sent[0]?.input.Statements?.[1]?.Parameters).toEqual([
      { N: '9' },
      { M: {} },
      { M: { text: { S: 'x' } } },
      { S: '1/s/b' },
      { N: '8' },
    ]);
  });

  it('sends throttled statements again, and those alone', async () => {
    const { store, sent, pauses, failures } = storeAnswering([
      statements(undefined, 'ThrottlingError', 'ConditionalCheckFailed', 'ProvisionedThroughputExceeded'),
      statements(undefined, 'RequestLimitExceeded'),
      statements('DuplicateItem'),
    ]);
    expect(await store.commit(inserts('a', 'b', 'c', 'd'))).toEqual([
      'committed',
      'committed',
      'conflict',
      'conflict',
    ]);
    expect(sent.map(keysOf)).toEqual([['1/s/a', '1/s/b', '1/s/c', '1/s/d'], ['1/s/b', '1/s/d'], ['1/s/d']]);
    expect(pauses).toHaveLength(2);
    expect(failures).toHaveLength(3);
    expect(failures[0]).toContain(`${shownKey('1/s/b')} failed: ThrottlingError`);
    expect(store.costs()).toMatchObject({ writes: 4, writeRequests: 3, wcu: 4 });
  });

  it('says failed for a statement that is throttled six times, and commits the others', async () => {
    const throttled = statements('ThrottlingError');
    const { store, sent } = storeAnswering([
      statements(undefined, 'ThrottlingError'),
      ...new Array<Answer>(5).fill(throttled),
    ]);
    expect(await store.commit(inserts('a', 'b'))).toEqual(['committed', 'failed']);
    expect(sent).toHaveLength(6);
    expect(store.costs()).toMatchObject({ writes: 1, writeRequests: 6, wcu: 1 });
  });

  it('says failed for each write of a request that failed as a whole, and sends it no second time', async () => {
    const { store, sent, failures } = storeAnswering([failing('TimeoutError', 'socket hang up')]);
    expect(await store.commit(inserts('a', 'b'))).toEqual(['failed', 'failed']);
    expect(sent).toHaveLength(1);
    expect(failures).toEqual(['socket hang up']);
  });

  it('keeps the results of the other requests when one fails as a whole', async () => {
    const keys = Array.from({ length: 30 }, (_, index) => `key ${index}`);
    const { store } = storeAnswering([
      statements(...keys.slice(0, 25).map(() => undefined)),
      failing('InternalServerError'),
    ]);
    expect(await store.commit(inserts(...keys))).toEqual(
      keys.map((_, at) => (at < 25 ? 'committed' : 'failed')),
    );
  });

  it('says failed for statements that the answer does not speak of', async () => {
    const { store } = storeAnswering([
      () => ({ Responses: [{}] }),
      ...new Array<Answer>(5).fill(() => ({ Responses: [] })),
    ]);
    expect(await store.commit(inserts('a', 'b'))).toEqual(['committed', 'failed']);
  });

  it('cuts requests by the bytes of their items too', async () => {
    const keys = Array.from({ length: 22 }, (_, index) => `key ${index}`);
    const { store, sent } = storeAnswering(
      [10, 10, 2].map((count) => statements(...new Array<undefined>(count).fill(undefined))),
    );
    const writes = keys.map((key) => ({
      item: item(key, 'x'.repeat(400_000)),
      expectedRevision: undefined,
      spills: false,
    }));
    expect(await store.commit(writes)).toEqual(keys.map(() => 'committed'));
    expect(sent.map((request) => request.input.Statements?.length)).toEqual([10, 10, 2]);
  });

  it('throws where DynamoDB finds an item too large', async () => {
    const { store } = storeAnswering([
      () => ({
        Responses: [
          {},
          {
            Error: {
              Code: 'ValidationError',
              Message: 'Item size to update has exceeded the maximum allowed size',
            },
          },
        ],
      }),
    ]);
    await expect(store.commit(inserts('a', 'b'))).rejects.toThrow(
      /Item "1\/s\/…" \(key \S{11}\) is too large: .* Keep less in the state/,
    );
  });

  it.each(['AccessDenied', 'ResourceNotFound', 'ValidationError'])(
    'throws on the statement error %s',
    async (code) => {
      const { store, sent } = storeAnswering([statements(undefined, code)]);
      await expect(store.commit(inserts('a', 'b'))).rejects.toThrow(
        `refuses the write of ${shownKey('1/s/b')}: ${code}`,
      );
      expect(sent).toHaveLength(1);
    },
  );

  it.each(['AccessDeniedException', 'ResourceNotFoundException', 'ValidationException'])(
    'throws on the request error %s, which no repetition can mend',
    async (name) => {
      const { store } = storeAnswering([failing(name, 'no such table')]);
      await expect(store.commit(inserts('a'))).rejects.toThrow(
        /refuses a commit to table state: no such table/,
      );
    },
  );

  it('awaits the other requests before it throws', async () => {
    const keys = Array.from({ length: 30 }, (_, index) => `key ${index}`);
    let release: (answer: unknown) => void = () => undefined;
    const slow = new Promise((resolve) => (release = resolve));
    const { store } = storeAnswering([failing('ValidationException'), () => slow]);
    let settled = false;
    const commit = store.commit(inserts(...keys)).finally(() => (settled = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(settled).toBe(false);
    release({ Responses: [] });
    await expect(commit).rejects.toThrow(/refuses/);
  });

  it('counts what DynamoDB reports before what the rules say', async () => {
    const { store } = storeAnswering([
      () => ({ Responses: [{}, {}], ConsumedCapacity: [{ CapacityUnits: 3 }, { CapacityUnits: 4 }] }),
    ]);
    await store.commit(inserts('a', 'b'));
    expect(store.costs().wcu).toBe(7);
  });
});

describe('commit by single writes', () => {
  it('says what became of each', async () => {
    const { store, failures } = storeAnswering(
      [() => ({}), failing('ConditionalCheckFailedException'), failing('ThrottlingException')],
      'single',
    );
    expect(await store.commit(inserts('a', 'b', 'c'))).toEqual(['committed', 'conflict', 'failed']);
    expect(failures).toEqual(['ThrottlingException']);
    expect(store.costs()).toMatchObject({ writes: 2, writeRequests: 3, wcu: 2 });
  });

  it('throws where DynamoDB finds an item too large', async () => {
    const { store } = storeAnswering(
      [failing('ValidationException', 'Item size has exceeded the maximum allowed size')],
      'single',
    );
    await expect(store.commit(inserts('a'))).rejects.toThrow(/Item "1\/s\/…" \(key \S{11}\) is too large/);
  });
});

describe('a whole request that the SDK repeats', () => {
  it('turns our own success into a conflict, which reading again resolves', async () => {
    const applied = encodeItem(item('a'));
    const bodies = [
      {
        status: 500,
        body: { __type: 'InternalServerError', message: 'the answer to a write that was applied is lost' },
      },
      {
        status: 200,
        body: {
          Responses: [{ Error: { Code: 'DuplicateItem', Message: 'it is there' }, TableName: 'state' }],
        },
      },
      { status: 200, body: { Responses: { state: [applied] } } },
    ];
    const targets: (string | undefined)[] = [];
    const client = new DynamoDBClient({
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      requestHandler: new DynamoDbAnswers(bodies, targets),
    });
    const store = new DynamoDbStateStore({
      client,
      table: 'state',
      writes: 'partiql',
      delay: async () => undefined,
    });
    expect(await store.commit(inserts('a'))).toEqual(['conflict']);
    expect((await store.load(['1/s/a'])).get('1/s/a')).toEqual(item('a'));
    expect(targets).toEqual(['BatchExecuteStatement', 'BatchExecuteStatement', 'BatchGetItem']);
  });
});

describe('createProgress', () => {
  const cancelled =
    (...codes: string[]): Answer =>
    () => {
      throw Object.assign(new Error('cancelled'), {
        name: 'TransactionCanceledException',
        CancellationReasons: codes.map((Code) => ({ Code })),
      });
    };

  it('is refused where the control row does not hold, whether the row exists or not', async () => {
    const { store } = storeAnswering([cancelled('ConditionalCheckFailed', 'ConditionalCheckFailed')]);
    expect(await store.createProgress(1, 'shard')).toBe('refused');
  });

  it('tries again where another transaction is under way', async () => {
    const { store, pauses } = storeAnswering([
      cancelled('TransactionConflict', 'None'),
      cancelled('None', 'ConditionalCheckFailed'),
    ]);
    expect(await store.createProgress(1, 'shard')).toBe('exists');
    expect(pauses).toHaveLength(1);
  });

  it('throws where that does not end', async () => {
    const { store } = storeAnswering(new Array<Answer>(6).fill(cancelled('TransactionConflict', 'None')));
    await expect(store.createProgress(1, 'shard')).rejects.toThrow('cancelled');
  });
});

describe('readControl', () => {
  it('gives the row that another container made in between', async () => {
    const { store } = storeAnswering([
      () => ({}),
      failing('ConditionalCheckFailedException'),
      () => ({ Item: { pk: { S: 'c' }, g: { N: '4' }, x: { N: '6' }, h: { S: 'replay' } } }),
    ]);
    expect(await store.readControl()).toEqual({ generation: 4, nextGeneration: 6, phase: 'replay' });
  });
});

describe('due', () => {
  const parts = 8;
  const nothing: Answer = () => ({ Items: [], ConsumedCapacity: { CapacityUnits: 0.5 } });
  const page =
    (keys: readonly string[], next?: string): Answer =>
    () => ({
      Items: keys.map((key) => ({ pk: { S: key }, i: { S: '1/0' }, t: { N: '5' } })),
      ...(next !== undefined && { LastEvaluatedKey: { pk: { S: next }, i: { S: '1/0' }, t: { N: '5' } } }),
    });
  const collect = async (store: DynamoDbStateStore): Promise<(readonly string[])[]> => {
    const pages: (readonly string[])[] = [];
    for await (const keys of store.due(1, 5)) pages.push(keys);
    return pages;
  };

  it('goes on behind a page, also an empty one, in that part alone, and counts what is not reported', async () => {
    const { store, sent } = storeAnswering([
      page(['1/s/a'], '1/s/a'),
      page([], '1/s/x'),
      ...new Array<Answer>(parts - 2).fill(nothing),
      page(['1/s/b']),
      page(['1/s/c']),
    ]);
    expect(await collect(store)).toEqual([['1/s/a'], ['1/s/b'], ['1/s/c']]);
    const places = sent
      .slice(parts)
      .map(({ input }) => (input as QueryCommandInput).ExclusiveStartKey?.['pk']?.S);
    expect(places).toEqual(['1/s/a', '1/s/x']);
    expect(store.costs()).toMatchObject({ readRequests: 10, reads: 3, rcu: 5, wcu: 0 });
  });

  it('asks for no second page before the first is taken', async () => {
    const { store, sent } = storeAnswering([
      page(['1/s/a'], '1/s/a'),
      ...new Array<Answer>(parts - 1).fill(nothing),
    ]);
    for await (const keys of store.due(1, 5)) {
      expect(keys).toEqual(['1/s/a']);
      break;
    }
    expect(sent).toHaveLength(parts);
  });

  it.each([
    ['AccessDeniedException', /may query it: deploy its stack again/],
    ['ValidationException', /has the index "due"/],
    ['InternalServerError', /^InternalServerError$/],
  ])('throws where it meets %s', async (name, message) => {
    const { store } = storeAnswering(new Array<Answer>(parts).fill(failing(name)));
    await expect(collect(store)).rejects.toThrow(message);
  });
});

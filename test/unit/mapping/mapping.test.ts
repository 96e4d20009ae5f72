import { describe, expect, it } from 'vitest';
import { createMapping } from '../../../shared/mapping/mapping.ts';
import { MAXIMUM_PAYLOAD_BYTES, createKinesisEvent } from '../../../shared/mapping/kinesis-event.ts';
import { laneOfPartitionKey } from '../../../shared/mapping/partition-lane.ts';
import { ARRIVAL_MS, numbersOf, record, recordsBetween, sequence, settingsOf } from './example-settings.ts';
import { ERROR, failing, MappingSession, OK, SHARD } from './mapping-session.ts';

const REPORTS = { FunctionResponseTypes: ['ReportBatchItemFailures'] };
const QUEUE = {
  DestinationConfig: { OnFailure: { Destination: 'arn:aws:sqs:eu-west-1:123456789012:failed' } },
};

function session(given: Readonly<Record<string, unknown>> = {}, overrides = {}): MappingSession {
  return new MappingSession(settingsOf(given, overrides));
}

describe('a mapping cuts batches', () => {
  it('by size, one at a time, in order', () => {
    const run = session({ BatchSize: 2 }).start().read(recordsBetween(1, 4));
    expect(run.waiting).toEqual([[1, 2]]);
    expect(run.end(OK)).toEqual([1, 2]);
    expect(run.waiting).toEqual([[3, 4]]);
  });

  it('of what there is where no window is set', () => {
    expect(
      session({ BatchSize: 100 })
        .start()
        .read([record(1)]).waiting,
    ).toEqual([[1]]);
  });

  it('at the end of the batching window, counted from the first record read', () => {
    const run = session({ MaximumBatchingWindowInSeconds: 5 })
      .start()
      .read([record(1)]);
    expect(run.waiting).toEqual([]);
    run
      .after(1000)
      .read([record(2)])
      .after(3999);
    expect(run.waiting).toEqual([]);
    run.after(1);
    expect(run.waiting).toEqual([[1, 2]]);
  });

  it('before the end of the window where they are full', () => {
    const run = session({ BatchSize: 2, MaximumBatchingWindowInSeconds: 5 }).start();
    expect(run.read(recordsBetween(1, 3)).waiting).toEqual([[1, 2]]);
    run.end(OK);
    expect(run.waiting).toEqual([]);
  });

  it('before the end of the window where the shard has ended', () => {
    const run = session({ MaximumBatchingWindowInSeconds: 5 }).start();
    expect(run.read([record(1)], { endOfShard: true }).waiting).toEqual([[1]]);
  });

  it('at 6 MB of payload, base64 and JSON counted, window or not', () => {
    const large = recordsBetween(1, 5, { data: new Uint8Array(1024 * 1024) });
    const run = session({ MaximumBatchingWindowInSeconds: 300 }).start().read(large);
    expect(run.waiting).toEqual([[1, 2, 3, 4]]);
    const payload = createKinesisEvent(settingsOf(), SHARD, run.invocations[0]?.records ?? []);
    expect(Buffer.byteLength(JSON.stringify(payload))).toBeLessThanOrEqual(MAXIMUM_PAYLOAD_BYTES);
    const more = createKinesisEvent(settingsOf(), SHARD, large);
    expect(Buffer.byteLength(JSON.stringify(more))).toBeGreaterThan(MAXIMUM_PAYLOAD_BYTES);
  });

  it('of one record where that one is too large for any', () => {
    const run = session().start();
    run.read([record(1, { data: new Uint8Array(MAXIMUM_PAYLOAD_BYTES) }), record(2)]);
    expect(run.waiting).toEqual([[1]]);
  });

  it('as the chosen size says, and refuses a size that is none', () => {
    const sizes = [1, 3];
    const run = session({ BatchSize: 4 }, { chooseBatchSize: () => sizes.shift() ?? 4 }).start();
    run.read(recordsBetween(1, 8));
    expect([run.end(OK), run.end(OK), run.end(OK)]).toEqual([[1], [2, 3, 4], [5, 6, 7, 8]]);
    const wrong = session({ BatchSize: 4 }, { chooseBatchSize: () => 5 }).start();
    expect(() => wrong.read([record(1)])).toThrow(
      /chooseBatchSize gave 5; allowed is a whole number from 1 to 4/,
    );
  });
});

describe('a mapping reads', () => {
  it('from its starting position', () => {
    const start = (given: Readonly<Record<string, unknown>>) => session(given).start().reads[0]?.from;
    expect(start({ StartingPosition: 'TRIM_HORIZON' })).toEqual({ kind: 'trimHorizon' });
    expect(start({ StartingPosition: 'LATEST' })).toEqual({ kind: 'latest' });
    expect(start({ StartingPosition: 'AT_TIMESTAMP', StartingPositionTimestamp: 7 })).toEqual({
      kind: 'timestamp',
      timestampMs: 7000,
    });
  });

  it('behind what it has read, naming the read that it goes on from', () => {
    const run = session().start();
    const readId = run.reads[0]?.readId;
    run.read([record(1)], { millisBehindLatest: 10 });
    expect(run.reads[0]).toMatchObject({
      from: { kind: 'after', sequenceNumber: sequence(1) },
      continues: readId,
    });
  });

  it('at once while it is behind, and at its pace where it has caught up', () => {
    const run = session()
      .start()
      .read([record(1)], { millisBehindLatest: 5 });
    expect(run.reads).toHaveLength(1);
    run.read([], { millisBehindLatest: 5 });
    expect(run.wakeAtMs).toBe(ARRIVAL_MS + 200);
    run.wake().read([]);
    expect(run.wakeAtMs).toBe(ARRIVAL_MS + 1200);
  });

  it('"latest" as of the first read, however often it has to read', () => {
    const run = session({ StartingPosition: 'LATEST' }).start();
    const [first] = run.reads.splice(0);
    run
      .after(500)
      .give({ kind: 'readFailed', readId: first?.readId ?? '', shardGone: false })
      .wake();
    expect(run.reads[0]).toMatchObject({
      from: { kind: 'timestamp', timestampMs: ARRIVAL_MS },
      continues: undefined,
    });
    expect(run.mapping.snapshot().shards[0]?.position).toEqual({
      kind: 'timestamp',
      timestampMs: ARRIVAL_MS,
    });
  });

  it('shards that appear later from their beginning', () => {
    const run = session({ StartingPosition: 'LATEST' }).start();
    run.list([{ shardId: SHARD }, { shardId: 'shardId-000000000001' }]);
    expect(run.reads[1]).toMatchObject({ shardId: 'shardId-000000000001', from: { kind: 'trimHorizon' } });
  });

  it('children of closed shards from the moment at which the mapping began with "latest"', () => {
    const child = 'shardId-000000000001';
    const run = session({ StartingPosition: 'LATEST' });
    run.start([{ shardId: SHARD }, { shardId: child, parentShardId: SHARD }]);
    run.nowMs += 700;
    run.read([], { endOfShard: true });
    expect(run.reads[0]).toMatchObject({
      shardId: child,
      from: { kind: 'timestamp', timestampMs: ARRIVAL_MS },
    });
  });

  it('no more than two batches ahead', () => {
    const run = session({ BatchSize: 10 }).start();
    expect(run.reads[0]?.limit).toBe(20);
    run.read(recordsBetween(1, 20), { millisBehindLatest: 5 });
    expect(run.reads).toEqual([]);
    run.end(OK);
    expect(run.reads[0]?.limit).toBe(10);
  });

  it('no more than two batches ahead in bytes', () => {
    const run = session({ BatchSize: 100 }).start();
    run.read(recordsBetween(1, 10, { data: new Uint8Array(1024 * 1024) }), { millisBehindLatest: 5 });
    expect(run.reads).toEqual([]);
  });

  it('nothing twice, though a reader comes by it again', () => {
    const run = session()
      .start()
      .read([record(1), record(2)]);
    run.end(OK);
    run.wake().read([record(1), record(2), record(3)]);
    expect(run.waiting).toEqual([[3]]);
  });

  it('the listing again after a while, after a failure, and at the end of a shard', () => {
    const run = session().give({ kind: 'tick' });
    expect(run.listings).toBe(1);
    run.give({ kind: 'listingFailed' }).wake();
    expect(run.listings).toBe(2);
    run.list([{ shardId: SHARD }]).after(9_999);
    expect(run.listings).toBe(2);
    run.after(1);
    expect(run.listings).toBe(3);
    run.list([{ shardId: SHARD }]).read([], { endOfShard: true });
    expect(run.listings).toBe(4);
  });

  it('no answer that nobody asked for', () => {
    const run = session().start();
    run.give({
      kind: 'recordsRead',
      readId: 'r99',
      records: [record(1)],
      endOfShard: true,
      millisBehindLatest: 0,
    });
    run.give({ kind: 'readFailed', readId: 'r99', shardGone: true });
    expect(run.waiting).toEqual([]);
    expect(run.status().phase).toBe('reading');
  });
});

describe('a mapping reads parents before children', () => {
  const LEFT = 'shardId-000000000001';
  const RIGHT = 'shardId-000000000002';
  const CHILD = 'shardId-000000000003';
  const merged = [
    { shardId: CHILD, parentShardId: LEFT, adjacentParentShardId: RIGHT },
    { shardId: LEFT },
    { shardId: RIGHT },
  ];
  const readShards = (run: MappingSession) => run.reads.map((read) => read.shardId);

  it('once both parents are closed, read and acknowledged', () => {
    const run = session().start(merged);
    expect(readShards(run)).toEqual([LEFT, RIGHT]);
    run.read([record(1)], { shardId: LEFT, endOfShard: true });
    run.read([record(2)], { shardId: RIGHT, endOfShard: true });
    run.end(OK);
    expect(readShards(run)).toEqual([]);
    expect(run.status(CHILD).phase).toBe('waiting');
    run.end(ERROR);
    expect(readShards(run)).toEqual([]);
    run.untilInvoked().end(OK);
    expect(readShards(run)).toEqual([CHILD]);
  });

  it('or the parents are not listed', () => {
    const run = session().start([{ shardId: CHILD, parentShardId: LEFT }]);
    expect(readShards(run)).toEqual([CHILD]);
  });

  it('and waits for a parent that left the listing before it was done', () => {
    const run = session()
      .start([{ shardId: LEFT }])
      .read([record(1)], { shardId: LEFT });
    run.wake().list([{ shardId: CHILD, parentShardId: LEFT }]);
    expect(readShards(run)).toEqual([LEFT]);
    run.give({ kind: 'readFailed', readId: run.reads.splice(0)[0]?.readId ?? '', shardGone: true });
    expect(readShards(run)).toEqual([]);
    run.end(OK);
    expect(readShards(run)).toEqual([CHILD]);
  });

  it('and forgets a shard that is done and no longer listed', () => {
    const run = session().start(merged).read([], { shardId: LEFT, endOfShard: true });
    run.list([{ shardId: CHILD, parentShardId: LEFT, adjacentParentShardId: RIGHT }, { shardId: RIGHT }]);
    expect(run.mapping.status().shards.map((shard) => shard.shardId)).toEqual([CHILD, RIGHT]);
  });

  it('at once where the last records of a parent expire', () => {
    const run = session({ MaximumRecordAgeInSeconds: 60, MaximumBatchingWindowInSeconds: 0 });
    run.nowMs += 61_000;
    run.start([{ shardId: CHILD, parentShardId: LEFT }, { shardId: LEFT }]);
    run.read([record(1)], { shardId: LEFT, endOfShard: true });
    expect(readShards(run)).toEqual([CHILD]);
  });
});

describe('a mapping retries', () => {
  it('a failed batch without an end, at growing intervals', () => {
    const run = session().start().read(recordsBetween(1, 2));
    const delays = Array.from({ length: 10 }, () => {
      run.end(ERROR);
      const failedAtMs = run.nowMs;
      run.untilInvoked();
      return run.nowMs - failedAtMs;
    });
    expect(delays).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    expect(run.waiting).toEqual([[1, 2]]);
    expect(run.status().lastAcknowledged).toBeUndefined();
  });

  it('nothing behind a failed batch before that succeeds', () => {
    const run = session({ BatchSize: 1 }).start().read(recordsBetween(1, 2));
    run.end(ERROR);
    expect(run.waiting).toEqual([]);
    run.untilInvoked();
    expect(run.end(OK)).toEqual([1]);
    expect(run.waiting).toEqual([[2]]);
  });

  it('as often as MaximumRetryAttempts says, and then goes on behind the batch', () => {
    const run = session({ BatchSize: 2, MaximumRetryAttempts: 2 }).start().read(recordsBetween(1, 3));
    const tried = [run.end(ERROR), run.untilInvoked().end(ERROR), run.untilInvoked().end(ERROR)];
    expect(tried).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
    expect(run.waiting).toEqual([[3]]);
    expect(run.mapping.status().discardedRecords).toBe(2);
    expect(run.status().lastAcknowledged).toBe(sequence(2));
  });

  it('not at all with MaximumRetryAttempts 0', () => {
    const run = session({ BatchSize: 1, MaximumRetryAttempts: 0 }).start().read(recordsBetween(1, 2));
    run.end(ERROR);
    expect(run.waiting).toEqual([[2]]);
  });

  it('what Lambda could not start, whatever the quota', () => {
    const run = session({ MaximumRetryAttempts: 0 })
      .start()
      .read([record(1)]);
    for (let times = 0; times < 5; times++) {
      run.end({ kind: 'notInvoked', reason: 'throttled' });
      run.untilInvoked();
    }
    expect(run.end(OK)).toEqual([1]);
    expect(run.mapping.status().discardedRecords).toBe(0);
  });

  it('with the answer ignored where failures are not reported', () => {
    const run = session()
      .start()
      .read([record(1)]);
    run.end(failing(sequence(1)));
    expect(run.status().lastAcknowledged).toBe(sequence(1));
  });

  it('in halves with bisect, which uses up no retry', () => {
    const settings = { BisectBatchOnFunctionError: true, MaximumRetryAttempts: 0, ...QUEUE };
    const run = session(settings).start().read(recordsBetween(1, 5));
    expect(run.end(ERROR)).toEqual([1, 2, 3, 4, 5]);
    expect(run.untilInvoked().end(ERROR)).toEqual([1, 2, 3]);
    expect(run.untilInvoked().end(OK)).toEqual([1, 2]);
    expect(run.untilInvoked().end(ERROR)).toEqual([3]);
    expect(run.mapping.status().discardedRecords).toBe(1);
    expect(run.waiting).toEqual([[4, 5]]);
    run.end(OK);
    expect(run.status().lastAcknowledged).toBe(sequence(5));
    expect(
      run.failureDocuments.map((action) => action.document.KinesisBatchInfo.startSequenceNumber),
    ).toEqual([sequence(3)]);
  });

  it('cut anew, shorter or longer, where sizes are chosen', () => {
    const sizes = [2, 4, 1];
    const run = session({ BatchSize: 4 }, { chooseBatchSize: () => sizes.shift() ?? 4 }).start();
    run.read(recordsBetween(1, 6));
    expect(run.end(ERROR)).toEqual([1, 2]);
    expect(run.untilInvoked().end(ERROR)).toEqual([1, 2, 3, 4]);
    expect(run.untilInvoked().end(OK)).toEqual([1]);
    expect(run.waiting).toEqual([[2, 3, 4, 5]]);
  });
});

describe('a mapping with ReportBatchItemFailures', () => {
  it('acknowledges what lies before the lowest number named, and retries the rest', () => {
    const run = session(REPORTS).start().read(recordsBetween(1, 5));
    run.end(failing(sequence(4), sequence(3)));
    expect(run.status().lastAcknowledged).toBe(sequence(2));
    expect(run.untilInvoked().waiting).toEqual([[3, 4, 5]]);
  });

  it('splits at the number named also with bisect', () => {
    const run = session({ ...REPORTS, BisectBatchOnFunctionError: true })
      .start()
      .read(recordsBetween(1, 8));
    run.end(failing(sequence(3)));
    expect(run.untilInvoked().waiting).toEqual([[3, 4, 5, 6, 7, 8]]);
  });

  it('retries the whole batch at an identifier that is not in it, in halves with bisect', () => {
    const whole = session(REPORTS).start().read(recordsBetween(1, 4));
    whole.end(failing(sequence(9)));
    expect(whole.untilInvoked().waiting).toEqual([[1, 2, 3, 4]]);
    const halved = session({ ...REPORTS, BisectBatchOnFunctionError: true })
      .start()
      .read(recordsBetween(1, 4));
    halved.end(failing(''));
    expect(halved.untilInvoked().waiting).toEqual([[1, 2]]);
  });

  it('starts the retry counter again with every progress', () => {
    const run = session({ ...REPORTS, MaximumRetryAttempts: 1 })
      .start()
      .read(recordsBetween(1, 3));
    run.end(failing(sequence(2)));
    expect(run.untilInvoked().end(failing(sequence(3)))).toEqual([2, 3]);
    expect(run.untilInvoked().end(failing(sequence(3)))).toEqual([3]);
    expect(run.mapping.status().discardedRecords).toBe(1);
  });

  it('counts a retry where the first record is named', () => {
    const run = session({ ...REPORTS, MaximumRetryAttempts: 1 })
      .start()
      .read(recordsBetween(1, 2));
    run.end(failing(sequence(1)));
    run.untilInvoked().end(failing(sequence(1)));
    expect(run.mapping.status().discardedRecords).toBe(2);
  });
});

describe('a mapping gives up records that are too old', () => {
  const AGED = { MaximumRecordAgeInSeconds: 60, ...QUEUE };

  it('before it invokes, and delivers the others', () => {
    const run = session(AGED).start();
    run.nowMs += 60_001;
    const old = recordsBetween(1, 2);
    run.read([...old, ...recordsBetween(3, 4, { approximateArrivalTimestampMs: run.nowMs })]);
    expect(run.waiting).toEqual([[3, 4]]);
    const document = run.failureDocuments[0]?.document;
    expect(document?.requestContext).toMatchObject({
      condition: 'RecordAgeExceeded',
      approximateInvokeCount: 0,
    });
    expect(document?.KinesisBatchInfo).toMatchObject({ batchSize: 2, endSequenceNumber: sequence(2) });
    expect(document).not.toHaveProperty('responseContext');
  });

  it('at a retry, with the count of its invocations', () => {
    const run = session(AGED)
      .start()
      .read([record(1)]);
    while (run.mapping.status().discardedRecords === 0) {
      if (run.waiting.length > 0) run.end(ERROR);
      run.wake();
    }
    expect(run.nowMs).toBeGreaterThan(ARRIVAL_MS + 60_000);
    expect(run.failureDocuments[0]?.document.requestContext).toMatchObject({
      condition: 'RecordAgeExceeded',
      approximateInvokeCount: 8,
    });
  });

  it('in the midst of a batch, which is cut there', () => {
    const run = session(AGED).start();
    run.nowMs += 60_001;
    const young = { approximateArrivalTimestampMs: run.nowMs };
    run.read([record(1, young), record(2), record(3, young)]);
    expect(run.end(OK)).toEqual([1]);
    expect(run.waiting).toEqual([[3]]);
    expect(run.mapping.status().discardedRecords).toBe(1);
  });

  it('not at the very age that is allowed', () => {
    const run = session(AGED).start();
    run.nowMs += 60_000;
    expect(run.read([record(1)]).waiting).toEqual([[1]]);
  });
});

describe('a mapping tells its on-failure destination', () => {
  it('of a batch whose retries are used up', () => {
    const run = session({ ...QUEUE, MaximumRetryAttempts: 1 })
      .start()
      .read(recordsBetween(1, 2));
    run.end(ERROR);
    const invocationId = run.untilInvoked().invocations[0]?.invocationId ?? '';
    run.give({ kind: 'invocationEnded', invocationId, outcome: ERROR, requestId: 'request-2' });
    expect(run.failureDocuments).toMatchObject([
      {
        destination: { service: 'sqs' },
        objectKey: undefined,
        document: {
          requestContext: {
            requestId: 'request-2',
            condition: 'RetryAttemptsExhausted',
            approximateInvokeCount: 2,
          },
          responseContext: { functionError: 'Unhandled' },
          KinesisBatchInfo: { shardId: SHARD, batchSize: 2 },
        },
      },
    ]);
    expect(run.failureDocuments[0]?.document).not.toHaveProperty('payload');
  });

  it('with the records and a key of their own where it is a bucket', () => {
    const bucket = { DestinationConfig: { OnFailure: { Destination: 'arn:aws:s3:::failed' } } };
    const run = session({ ...bucket, MaximumRetryAttempts: 0 })
      .start()
      .read([record(1)]);
    run.end(ERROR);
    const [action] = run.failureDocuments;
    expect(action?.objectKey).toMatch(
      /^aws\/lambda\/[-0-9a-f]{36}\/shardId-0{12}\/2026\/03\/01\/2026-03-01T12\.00\.00-[-0-9a-f]{36}$/,
    );
    expect(action?.document.payload).toBe(
      JSON.stringify(createKinesisEvent(settingsOf(), SHARD, [record(1)])),
    );
  });

  it('without an error of the function where that reported failed items', () => {
    const run = session({ ...QUEUE, ...REPORTS, MaximumRetryAttempts: 0 })
      .start()
      .read([record(1)]);
    run.end(failing(sequence(1)));
    expect(run.failureDocuments[0]?.document.responseContext?.functionError).toBeNull();
  });
});

describe('a mapping filters', () => {
  const FILTER = { FilterCriteria: { Filters: [{ Pattern: '{"partitionKey":["a"]}' }] } };

  it('silently, before it fills batches, and moves past what it dropped', () => {
    const run = session({ ...FILTER, BatchSize: 2, MaximumBatchingWindowInSeconds: 5 }).start();
    run.read([record(1), record(2, { partitionKey: 'b' }), record(3), record(4, { partitionKey: 'b' })]);
    expect(run.end(OK)).toEqual([1, 3]);
    expect(run.status().lastAcknowledged).toBe(sequence(4));
    expect(run.mapping.status()).toMatchObject({ filteredRecords: 2, discardedRecords: 0 });
  });

  it('without an invocation where nothing is left', () => {
    const run = session(FILTER)
      .start()
      .read([record(1, { partitionKey: 'b' })], { endOfShard: true });
    expect(run.waiting).toEqual([]);
    expect(run.status()).toMatchObject({ phase: 'done', lastAcknowledged: sequence(1) });
  });
});

describe('a mapping with parallel batches', () => {
  const KEYS = Array.from({ length: 40 }, (_, index) => `key-${index}`);
  const records = KEYS.map((partitionKey, index) => record(index + 1, { partitionKey }));

  it('deals keys to all lanes, a key always to the same', () => {
    for (const lanes of [1, 2, 7, 10]) {
      const dealt = new Set(KEYS.map((key) => laneOfPartitionKey(key, lanes)));
      expect([...dealt].sort((a, b) => a - b)).toEqual(Array.from({ length: lanes }, (_, lane) => lane));
    }
  });

  it('has one invocation in flight for each lane', () => {
    const run = session({ ParallelizationFactor: 3, BatchSize: 5 }).start().read(records.slice(0, 30));
    expect(run.invocations.map((invocation) => invocation.lane)).toEqual([0, 1, 2]);
    expect(run.status()).toMatchObject({ inFlightInvocations: 3 });
  });

  it('goes on in one lane while another one fails, and acknowledges no further than the failure', () => {
    const run = session({ ParallelizationFactor: 2 }).start().read(records);
    const [left, right] = run.invocations.splice(0);
    if (left === undefined || right === undefined) throw new Error('Both lanes have an invocation.');
    run.give({ kind: 'invocationEnded', invocationId: right.invocationId, outcome: OK });
    run.give({ kind: 'invocationEnded', invocationId: left.invocationId, outcome: ERROR });
    const first = numbersOf(left.records)[0] ?? 0;
    expect(run.status().lastAcknowledged).toBe(first === 1 ? undefined : sequence(first - 1));
    run.untilInvoked().end(OK);
    expect(run.status().lastAcknowledged).toBe(sequence(40));
  });
});

describe('a mapping is disabled and enabled', () => {
  it('by ending what is in flight and beginning nothing, then going on where it stopped', () => {
    const run = session({ BatchSize: 1 }).start().read(recordsBetween(1, 2)).give({ kind: 'disable' });
    expect(run.mapping.status().state).toBe('Disabling');
    run.end(OK);
    expect(run.waiting).toEqual([]);
    expect(run.mapping.status().state).toBe('Disabled');
    run.after(60_000);
    expect([run.waiting, run.reads, run.wakeAtMs]).toEqual([[], [], undefined]);
    run.give({ kind: 'enable' });
    expect(run.waiting).toEqual([[2]]);
    expect(run.reads).toHaveLength(1);
    expect(run.mapping.status().state).toBe('Enabled');
  });

  it('without acknowledging a batch that fails meanwhile', () => {
    const run = session()
      .start()
      .read([record(1)])
      .give({ kind: 'disable' });
    run.end(ERROR);
    run.give({ kind: 'enable' }).untilInvoked();
    expect(run.waiting).toEqual([[1]]);
  });

  it('and lists nothing before it is enabled for the first time', () => {
    const run = session({ Enabled: false }).give({ kind: 'tick' });
    expect(run.actions).toEqual([]);
    run.give({ kind: 'enable' });
    expect(run.listings).toBe(1);
  });
});

describe('a mapping is restored', () => {
  it('from plain JSON, and delivers again what was not acknowledged', () => {
    const run = session({ BatchSize: 2 }).start().read(recordsBetween(1, 4));
    run.end(OK);
    const text = JSON.stringify(run.mapping.snapshot());
    const restored = new MappingSession(settingsOf({ BatchSize: 2 }), JSON.parse(text) as never);
    restored.give({ kind: 'tick' });
    expect(restored.reads[0]).toMatchObject({
      from: { kind: 'after', sequenceNumber: sequence(2) },
      continues: undefined,
    });
    // A reader that does not find its place starts over.
    restored.read(recordsBetween(1, 4));
    expect(restored.waiting).toEqual([[3, 4]]);
    const ids = [...run.actions, ...restored.actions].flatMap((each) =>
      each.kind === 'invoke' ? [each.invocationId] : [],
    );
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('with shards that are done, and children that wait', () => {
    const child = 'shardId-000000000001';
    const shards = [{ shardId: SHARD }, { shardId: child, parentShardId: SHARD }];
    const waiting = session().start(shards);
    const before = new MappingSession(settingsOf(), waiting.mapping.snapshot()).give({ kind: 'tick' });
    expect(before.reads.map((read) => read.shardId)).toEqual([SHARD]);
    waiting.read([], { endOfShard: true });
    const after = new MappingSession(settingsOf(), waiting.mapping.snapshot()).give({ kind: 'tick' });
    expect(after.reads.map((read) => read.shardId)).toEqual([child]);
    expect(after.status().phase).toBe('done');
  });

  it('disabled where it was disabled', () => {
    const run = session().start().give({ kind: 'disable' });
    const restored = new MappingSession(settingsOf(), run.mapping.snapshot()).give({ kind: 'tick' });
    expect(restored.actions).toEqual([]);
  });

  it('only from a snapshot of its own version', () => {
    const snapshot = { ...session().mapping.snapshot(), version: 2 };
    expect(() => createMapping(settingsOf(), snapshot as never)).toThrow(/has version 2; allowed is 1/);
  });
});

describe('a mapping under fault injection', () => {
  it('takes an abandoned invocation as failed and ignores how it ends', () => {
    const run = session({ BatchSize: 1 }).start().read(recordsBetween(1, 2));
    const [zombie] = run.invocations.splice(0);
    const invocationId = zombie?.invocationId ?? '';
    run.give({ kind: 'abandon', invocationId }).untilInvoked();
    expect(run.waiting).toEqual([[1]]);
    run.give({ kind: 'invocationEnded', invocationId, outcome: OK });
    expect(run.status().lastAcknowledged).toBeUndefined();
    run.give({ kind: 'abandon', invocationId });
    expect(run.end(OK)).toEqual([1]);
    expect(run.waiting).toEqual([[2]]);
  });

  it('delivers the last batch again beside the one in flight, and ignores how that ends', () => {
    const run = session({ BatchSize: 2 }).start().read(recordsBetween(1, 4));
    run.give({ kind: 'redeliver', shardId: SHARD, lane: 0 });
    expect(run.waiting).toEqual([
      [1, 2],
      [1, 2],
    ]);
    const duplicate = run.invocations[1];
    expect(duplicate?.duplicate).toBe(true);
    run.give({ kind: 'invocationEnded', invocationId: duplicate?.invocationId ?? '', outcome: OK });
    expect(run.status()).toMatchObject({ lastAcknowledged: undefined, inFlightInvocations: 1 });
  });

  it('delivers again shorter, longer, and after the batch was acknowledged', () => {
    const run = session({ BatchSize: 3 }, { chooseBatchSize: () => 2 })
      .start()
      .read(recordsBetween(1, 2));
    const redelivered = (maximumRecords: number) => {
      run.give({ kind: 'redeliver', shardId: SHARD, lane: 0, maximumRecords });
      return run.waiting.at(-1);
    };
    run.end(OK);
    expect(redelivered(1)).toEqual([1]);
    expect(redelivered(2)).toEqual([1, 2]);
    run.wake().read(recordsBetween(3, 6));
    run.end(ERROR);
    expect(redelivered(9)).toEqual([3, 4, 5]);
  });

  it('has nothing to deliver again before its first batch, and none while it is disabled', () => {
    const run = session().start().give({ kind: 'redeliver', shardId: SHARD, lane: 0 });
    expect(run.waiting).toEqual([]);
    run
      .read([record(1)])
      .give({ kind: 'disable' })
      .give({ kind: 'redeliver', shardId: SHARD, lane: 0 });
    expect(run.waiting).toEqual([[1]]);
    expect(() => run.give({ kind: 'enable' }).give({ kind: 'redeliver', shardId: SHARD, lane: 1 })).toThrow(
      /Lane 1 .* allowed is 0 to 0/,
    );
  });
});

describe('the status of a mapping', () => {
  it('tells when the read was asked for that found nothing left', () => {
    const run = session({ BatchSize: 2 }).start();
    const askedAtMs = run.nowMs;
    run.after(30).read([record(1)]);
    expect(run.status().caughtUpAtMs).toBeUndefined();
    run.after(1_000).read([], { millisBehindLatest: 5 });
    expect(run.status().caughtUpAtMs).toBeUndefined();
    run.after(1_000);
    const emptyAskedAtMs = run.nowMs;
    run.after(30).read([]);
    expect(run.status().caughtUpAtMs).toBe(emptyAskedAtMs);
    expect(run.mapping.status().listedAtMs).toBeLessThanOrEqual(askedAtMs);
  });

  it('tells how each shard is doing', () => {
    const run = session({ BatchSize: 2 }).start();
    expect(run.mapping.status()).toMatchObject({
      state: 'Enabled',
      lastProcessingResult: 'No records processed',
    });
    run.read(recordsBetween(1, 3), { millisBehindLatest: 40 });
    expect(run.status()).toEqual({
      shardId: SHARD,
      phase: 'reading',
      queuedRecords: 1,
      inFlightRecords: 2,
      inFlightInvocations: 1,
      lastAcknowledged: undefined,
      lastRead: sequence(3),
      millisBehindLatest: 40,
      caughtUpAtMs: undefined,
    });
    run.end(ERROR);
    expect(run.mapping.status().lastProcessingResult).toBe('PROBLEM: Function call failed');
    run.untilInvoked().end(OK);
    expect(run.mapping.status().lastProcessingResult).toBe('OK');
    run.read([], { endOfShard: true });
    expect(run.status()).toMatchObject({
      phase: 'draining',
      inFlightRecords: 1,
      lastAcknowledged: sequence(2),
    });
    run.end(OK);
    expect(run.status()).toMatchObject({ phase: 'done', queuedRecords: 0, lastAcknowledged: sequence(3) });
  });
});

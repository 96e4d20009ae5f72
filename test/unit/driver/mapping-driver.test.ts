import { describe, expect, it } from 'vitest';
import type { Chaos } from '../../../infra/local/driver/chaos.ts';
import type { FailureDelivery } from '../../../infra/local/driver/failure-sender.ts';
import { createMappingDriver, type InvokeFunction } from '../../../infra/local/driver/mapping-driver.ts';
import { createKinesisEvent, type KinesisEvent } from '../../../shared/mapping/kinesis-event.ts';
import type { MappingSnapshot } from '../../../shared/mapping/mapping-snapshot.ts';
import { ARRIVAL_MS, record, recordsBetween, sequence, settingsOf } from '../mapping/example-settings.ts';
import { seededChance } from '../mapping/hostile-run.ts';
import { MemoryStream } from './memory-stream.ts';
import { settled, VirtualTime } from './virtual-time.ts';

const SHARD = 'shardId-000000000000';
const STOP_LIMIT_MS = 5000;

interface Given {
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly invoke?: InvokeFunction;
  readonly chaos?: Chaos;
  readonly snapshot?: MappingSnapshot;
  readonly stream?: MemoryStream;
  readonly time?: VirtualTime;
  readonly failToSend?: boolean;
}

function numbersIn(event: unknown): number[] {
  return (event as KinesisEvent).Records.map((each) => Number(each.kinesis.sequenceNumber.slice(4)));
}

function driverOf(given: Given = {}) {
  const time = given.time ?? new VirtualTime(ARRIVAL_MS);
  const stream = given.stream ?? new MemoryStream().add({ shardId: SHARD }, []);
  const delivered: number[][] = [];
  const events: unknown[] = [];
  const errors: string[] = [];
  const sent: FailureDelivery[] = [];
  let steps = 0;
  const invoke = given.invoke ?? (async () => ({ kind: 'response', payload: null }));
  const driver = createMappingDriver({
    settings: settingsOf({ BatchSize: 2, ...given.properties }),
    reader: stream,
    invoke: (event) => {
      delivered.push(numbersIn(event));
      events.push(event);
      return invoke(event);
    },
    failures: {
      send: async (delivery) => {
        if (given.failToSend === true) throw new Error('no such queue');
        sent.push(delivery);
      },
    },
    clock: time,
    timer: time,
    ...(given.snapshot === undefined ? {} : { snapshot: given.snapshot }),
    ...(given.chaos === undefined ? {} : { chaos: given.chaos }),
    onProgress: () => {
      steps += 1;
    },
    onError: (error) => errors.push(error.message),
  });
  return { driver, time, stream, delivered, events, errors, sent, steps: () => steps };
}

describe('a mapping driver', () => {
  it('hands the records of a stream to the function, in order, as Lambda does', async () => {
    const stream = new MemoryStream().add({ shardId: SHARD }, recordsBetween(1, 5));
    const { driver, time, delivered, events, steps } = driverOf({ stream });
    driver.start();
    await time.advance(0);
    expect(delivered).toEqual([[1, 2], [3, 4], [5]]);
    expect(events[0]).toEqual(createKinesisEvent(settingsOf(), SHARD, recordsBetween(1, 2)));
    expect(driver.status().shards[0]?.lastAcknowledged).toBe(sequence(5));
    expect(steps()).toBeGreaterThan(0);
    await driver.stop(STOP_LIMIT_MS);
  });

  it('polls for what comes later, with the iterator that it has', async () => {
    const { driver, time, stream, delivered } = driverOf();
    driver.start();
    await time.advance(5000);
    stream.shards[0]?.records.push(record(1));
    await time.advance(1000);
    expect(delivered).toEqual([[1]]);
    expect(stream.opened).toEqual([[SHARD, { kind: 'trimHorizon' }]]);
    await driver.stop(STOP_LIMIT_MS);
  });

  it('opens another iterator where its own has expired', async () => {
    const { driver, time, stream, delivered } = driverOf();
    stream.shards[0]?.records.push(record(1));
    driver.start();
    await time.advance(0);
    stream.areIteratorsExpired = true;
    stream.shards[0]?.records.push(record(2));
    await time.advance(1000);
    expect(delivered).toEqual([[1], [2]]);
    expect(stream.opened.at(-1)).toEqual([SHARD, { kind: 'after', sequenceNumber: sequence(1) }]);
    await driver.stop(STOP_LIMIT_MS);
  });

  it('starts over where its position is gone, and delivers nothing twice for that', async () => {
    const { driver, time, stream, delivered } = driverOf();
    stream.shards[0]?.records.push(...recordsBetween(1, 2));
    driver.start();
    await time.advance(0);
    stream.areIteratorsExpired = true;
    stream.isTrimmed = true;
    stream.shards[0]?.records.push(record(3));
    await time.advance(1000);
    expect(delivered).toEqual([[1, 2], [3]]);
    expect(stream.opened.at(-1)).toEqual([SHARD, { kind: 'trimHorizon' }]);
    await driver.stop(STOP_LIMIT_MS);
  });

  it('takes a closed shard whose last page has no iterator to its end, and then its children', async () => {
    const child = 'shardId-000000000001';
    const stream = new MemoryStream()
      .add({ shardId: child, parentShardId: SHARD }, [record(3)])
      .add({ shardId: SHARD }, recordsBetween(1, 2), true);
    const { driver, time, delivered } = driverOf({ stream });
    driver.start();
    await time.advance(0);
    expect(delivered).toEqual([[1, 2], [3]]);
    expect(driver.status().shards.map((shard) => shard.phase)).toEqual(['reading', 'done']);
    await driver.stop(STOP_LIMIT_MS);
  });

  it('counts a shard that is gone as read', async () => {
    const { driver, time, stream } = driverOf();
    stream.isGone = true;
    driver.start();
    await time.advance(0);
    expect(driver.status().shards[0]?.phase).toBe('done');
    await driver.stop(STOP_LIMIT_MS);
  });

  it('reports what fails around the mapping and tries again', async () => {
    const { driver, time, stream, delivered, errors } = driverOf();
    stream.shards[0]?.records.push(record(1));
    stream.listErrors.push(new Error('refused'));
    stream.readErrors.push(new Error('throttled'));
    driver.start();
    await time.advance(0);
    expect(errors).toEqual([expect.stringMatching(/could not list the shards: refused$/)]);
    await time.advance(1000);
    expect(errors[1]).toMatch(/could not read shardId-000000000000: throttled$/);
    await time.advance(1000);
    expect(delivered).toEqual([[1]]);
    await driver.stop(STOP_LIMIT_MS);
  });

  it('tries again what could not be invoked, whatever the retry quota', async () => {
    let refusals = 3;
    const { driver, time, stream, delivered, errors } = driverOf({
      properties: { MaximumRetryAttempts: 0 },
      invoke: async () => {
        if (refusals-- > 0) throw new Error('no environment');
        return { kind: 'response', payload: null };
      },
    });
    stream.shards[0]?.records.push(record(1));
    driver.start();
    await time.advance(10_000);
    expect(delivered).toEqual([[1], [1], [1], [1]]);
    expect(errors).toHaveLength(3);
    expect(driver.status().discardedRecords).toBe(0);
    await driver.stop(STOP_LIMIT_MS);
  });

  it('sends a document about what it gives up, and reports one that could not be sent', async () => {
    const given: Given = {
      properties: {
        MaximumRetryAttempts: 0,
        DestinationConfig: { OnFailure: { Destination: 'arn:aws:sqs:eu-west-1:123456789012:failed' } },
      },
      invoke: async () => ({ kind: 'functionError', errorType: 'Error', errorMessage: 'no' }),
    };
    for (const failToSend of [false, true]) {
      const { driver, time, stream, sent, errors } = driverOf({ ...given, failToSend });
      stream.shards[0]?.records.push(record(1));
      driver.start();
      await time.advance(0);
      expect(sent.map((delivery) => delivery.document.KinesisBatchInfo.batchSize)).toEqual(
        failToSend ? [] : [1],
      );
      expect(errors).toEqual(
        failToSend ? [expect.stringMatching(/send a failure document: no such queue/)] : [],
      );
      await driver.stop(STOP_LIMIT_MS);
    }
  });

  it('is disabled and enabled', async () => {
    const { driver, time, stream, delivered } = driverOf();
    driver.start();
    await time.advance(0);
    driver.disable();
    stream.shards[0]?.records.push(record(1));
    await time.advance(60_000);
    expect(driver.status().state).toBe('Disabled');
    expect(delivered).toEqual([]);
    driver.enable();
    await time.advance(0);
    expect(delivered).toEqual([[1]]);
    await driver.stop(STOP_LIMIT_MS);
  });

  it('runs once, and is enabled and disabled only while it runs', async () => {
    const { driver } = driverOf();
    expect(() => driver.disable()).toThrow(/is new; it can be disabled between start\(\) and stop\(\)/);
    driver.start();
    expect(() => driver.start()).toThrow(/is running; it starts once/);
    await driver.stop(STOP_LIMIT_MS);
    expect(() => driver.enable()).toThrow(/is stopped/);
  });
});

describe('a mapping driver that is stopped', () => {
  it('waits for the invocation under way, acknowledges it, and begins nothing', async () => {
    let answer: (() => void) | undefined;
    const { driver, time, stream, delivered } = driverOf({
      invoke: () =>
        new Promise((resolve) => {
          answer = () => resolve({ kind: 'response', payload: null });
        }),
    });
    stream.shards[0]?.records.push(...recordsBetween(1, 4));
    driver.start();
    await time.advance(0);
    let isStopped = false;
    const stopping = driver.stop(STOP_LIMIT_MS).then(() => {
      isStopped = true;
    });
    await settled();
    expect(isStopped).toBe(false);
    answer?.();
    await stopping;
    expect(delivered).toEqual([[1, 2]]);
    expect(time.pendingTimers).toBe(0);
    expect(driver.snapshot().shards[0]?.position).toEqual({ kind: 'after', sequenceNumber: sequence(2) });
    expect(driver.snapshot().enabled).toBe(true);
  });

  it('abandons what does not end within the limit, and ignores how it ends', async () => {
    let answer: (() => void) | undefined;
    const { driver, time, stream } = driverOf({
      invoke: () =>
        new Promise((resolve) => {
          answer = () => resolve({ kind: 'response', payload: null });
        }),
    });
    stream.shards[0]?.records.push(record(1));
    driver.start();
    await time.advance(0);
    const stopping = driver.stop(STOP_LIMIT_MS);
    await time.advance(STOP_LIMIT_MS);
    await stopping;
    answer?.();
    await settled();
    expect(driver.snapshot().shards[0]?.position).toEqual({ kind: 'trimHorizon' });
    expect(time.pendingTimers).toBe(0);
  });

  it('hands its place to the next one', async () => {
    const stream = new MemoryStream().add({ shardId: SHARD }, recordsBetween(1, 2));
    const first = driverOf({ stream });
    first.driver.start();
    await first.time.advance(0);
    await first.driver.stop(STOP_LIMIT_MS);
    stream.shards[0]?.records.push(record(3));
    const second = driverOf({ stream, snapshot: first.driver.snapshot(), time: first.time });
    second.driver.start();
    await second.time.advance(0);
    expect(second.delivered).toEqual([[3]]);
    await second.driver.stop(STOP_LIMIT_MS);
  });
});

describe('a mapping driver with chaos', () => {
  function chaosOf(seed: number, probabilities: Partial<Chaos>): Chaos {
    const chance = seededChance(seed);
    return {
      random: () => chance(2 ** 30) / 2 ** 30,
      duplicateProbability: 0,
      recutProbability: 0,
      abandonProbability: 0,
      maximumDelayMs: 2000,
      ...probabilities,
    };
  }

  async function deliveriesWith(chaos: Chaos): Promise<number[][]> {
    const stream = new MemoryStream().add({ shardId: SHARD }, recordsBetween(1, 60));
    const { driver, time, delivered } = driverOf({ stream, chaos, properties: { BatchSize: 6 } });
    driver.start();
    await time.advance(600_000);
    expect(driver.status().shards[0]).toMatchObject({ lastAcknowledged: sequence(60), queuedRecords: 0 });
    await driver.stop(STOP_LIMIT_MS);
    expect(time.pendingTimers).toBe(0);
    expect(new Set(delivered.flat()).size).toBe(60);
    return delivered;
  }

  it('cuts batches shorter', async () => {
    const delivered = await deliveriesWith(chaosOf(1, { recutProbability: 0.7 }));
    expect(delivered.flat()).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
    expect(delivered.some((batch) => batch.length < 6)).toBe(true);
  });

  it('delivers batches twice', async () => {
    const delivered = await deliveriesWith(chaosOf(2, { duplicateProbability: 0.7 }));
    expect(delivered.flat().length).toBeGreaterThan(60);
  });

  it('runs invocations late, beside their successors', async () => {
    const delivered = await deliveriesWith(chaosOf(3, { abandonProbability: 0.5 }));
    const flat = delivered.flat();
    expect(flat.length).toBeGreaterThan(60);
    expect(flat.some((number, index) => number < (flat[index - 1] ?? 0))).toBe(true);
  });

  it('does the same for the same seed', async () => {
    const all = { duplicateProbability: 0.3, recutProbability: 0.3, abandonProbability: 0.3 };
    expect(await deliveriesWith(chaosOf(4, all))).toEqual(await deliveriesWith(chaosOf(4, all)));
  });
});

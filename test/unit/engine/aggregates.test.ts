import { describe, expect, it } from 'vitest';
import { kinesis, pipeline, type Pipeline } from '../../../shared/index.ts';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import type { BatchResult } from '../../../shared/engine/process-batch.ts';
import { partitionLane } from '../../../shared/source/lane.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import { hashRange } from '../../../shared/source/shard-ranges.ts';
import {
  aggregateRecord,
  MemorySink,
  recordBatch,
  shardId,
  sourceRecord,
  testWorld,
  type TestWorld,
} from '../../support/memory-ports.ts';
import { deliver, drain, itemOf, letters, rest, stateOf } from './deliver.ts';

interface Value {
  readonly key: string;
  readonly n: number;
  readonly fails?: boolean;
}

const subject: Pipeline = pipeline('p')
  .from(kinesis<Value>('s'))
  .keyBy(({ key }) => key)
  .mapWithState<number[], number>('seen', ({ n, fails }, state) => {
    if (fails === true) throw new Error('fails');
    state.update([...(state.get() ?? []), n]);
    return n;
  })
  .to(kinesis('events'));

/** The sink refuses from the event with this number on. */
class RefusingSink extends MemorySink {
  constructor(public from: number) {
    super();
  }

  override async deliver(deliveries: Parameters<MemorySink['deliver']>[0]): Promise<readonly boolean[]> {
    const taken = deliveries.filter(({ json }) => Number(json) < this.from);
    await super.deliver(taken);
    return deliveries.map((each) => taken.includes(each));
  }
}

/** Values of one key in turn, or of each their own. */
function values(count: number, from = 0, key: (n: number) => string = () => 'k') {
  return Array.from({ length: count }, (_, place) => ({
    value: { key: key(from + place), n: from + place },
    partitionKey: key(from + place),
  }));
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}

const PARALLEL = { parallelizationFactor: 4 };

describe('an aggregate', () => {
  it('is processed record by record, between its neighbours', async () => {
    const world = testWorld(subject);
    const batch = [
      sourceRecord(0, 0, { value: { key: 'k', n: 0 } }),
      aggregateRecord(0, 1, values(3, 1)),
      sourceRecord(0, 2, { value: { key: 'k', n: 4 } }),
    ];
    const { failedFrom, report } = await deliver(world, batch);
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ records: 5, applied: 5, published: 5, unfinished: 0 });
    expect(stateOf(world, 'k', 'seen')).toEqual(numbers(5));
    expect(world.sinks.get('events')?.values()).toEqual(numbers(5));
    const ids = world.sinks.get('events')?.delivered.map(({ id }) => id) ?? [];
    expect(new Set(ids).size).toBe(5);
    expect(ids[2]).toMatch(/\/1\/0\/events\/0$/);

    expect((await deliver(world, batch)).report).toMatchObject({ applied: 0, duplicates: 5 });
    expect(stateOf(world, 'k', 'seen')).toEqual(numbers(5));
  });

  it('of which a part is done comes again whole, and each record is applied once', async () => {
    const sink = new RefusingSink(4);
    const world = testWorld(subject, { sinks: new Map([['events', sink]]) });
    const batch = [aggregateRecord(0, 0, values(10)), aggregateRecord(0, 1, values(2, 10))];
    const first = await deliver(world, batch);
    expect(first.failedFrom?.sub).toBe(4);
    expect(rest(batch, first)).toHaveLength(2);
    expect(first.report.unfinished).toBe(8);
    expect(sink.values()).toEqual(numbers(4));

    sink.from = 1_000;
    const second = await deliver(world, batch);
    expect(second.failedFrom).toBeUndefined();
    expect(second.report).toMatchObject({ records: 12, duplicates: 12, unfinished: 0 });
    expect(stateOf(world, 'k', 'seen')).toEqual(numbers(12));
    expect(sink.values()).toEqual(numbers(12));
  });

  it('of which a part is done is applied once also by a container that knows nothing of it', async () => {
    const sink = new RefusingSink(100);
    const world = testWorld(subject, { sinks: new Map([['events', sink]]) });
    const batch = [
      aggregateRecord(
        0,
        0,
        values(200, 0, (n) => `k${n % 3}`),
      ),
    ];
    expect((await deliver(world, batch)).failedFrom?.sub).toBe(100);
    sink.from = Infinity;
    await deliver(world, batch, {
      runtime: { ...world.runtime, cache: new ItemCache(), generation: undefined },
    });
    const seen = ['k0', 'k1', 'k2'].flatMap((key) => stateOf(world, key, 'seen') as number[]);
    expect(seen.toSorted((a, b) => a - b)).toEqual(numbers(200));
    expect(new Set(sink.delivered.map(({ id }) => id)).size).toBe(200);
  });

  it('that is too much for one invocation is finished by several', async () => {
    const world = testWorld(subject);
    const batch = [aggregateRecord(0, 0, values(100))];
    // Publishing one key's events in order takes longest, and each invocation has time for some of them.
    const hurried = { ...world.runtime, clock: { nowMs: () => (world.nowMs += 15) } };
    const invocations = await drain(world, batch, { runtime: hurried, grantedMs: 2_400 });
    expect(invocations).toBeGreaterThan(4);
    expect(stateOf(world, 'k', 'seen')).toEqual(numbers(100));
    expect(world.sinks.get('events')?.values()).toEqual(numbers(100));
  });

  it('whose outputs are more than an item holds is finished, although it comes again from its beginning', async () => {
    const wide: Pipeline = pipeline('p')
      .from(kinesis<Value>('s'))
      .keyBy(({ key }) => key)
      .mapWithState<number, string>('count', ({ n }, state) => {
        state.update((state.get() ?? 0) + 1);
        return `${n} ${'x'.repeat(60_000)}`;
      })
      .to(kinesis('events'));
    const sink = new RefusingSink(Infinity);
    sink.deliver = async (deliveries) => {
      const taken = deliveries.filter(({ json }) => Number(json.slice(1).split(' ')[0]) < sink.from);
      sink.delivered.push(...taken);
      return deliveries.map((each) => taken.includes(each));
    };
    const world = testWorld(wide, { sinks: new Map([['events', sink]]) });
    const batch = [aggregateRecord(0, 0, values(20))];
    // Each delivery gets some outputs on, and leaves some of them in the item.
    for (const from of [4, 5, 9, 14]) {
      sink.from = from;
      expect((await deliver(world, batch)).failedFrom?.sub).toBe(from);
    }
    sink.from = Infinity;
    expect(await drain(world, batch, { limit: 3 })).toBeLessThanOrEqual(3);
    expect(stateOf(world, 'k', 'count')).toBe(20);
    expect(new Set(sink.delivered.map(({ id }) => id)).size).toBe(20);
  });
});

describe('records of an aggregate outside the shard', () => {
  const mixed = (number: number, hashKeys: readonly number[]): SourceRecord =>
    aggregateRecord(
      0,
      number,
      hashKeys.map((hashKey, place) => ({
        value: { key: 'k', n: number * 10 + place },
        explicitHashKey: String(hashKey),
      })),
    );

  function splitWorld(changes: Parameters<typeof testWorld>[1] = {}, of = subject): TestWorld {
    const world = testWorld(of, changes);
    world.ranges.set(shardId(0), hashRange('0', '99'));
    world.ranges.set(shardId(1), hashRange('100', '199'));
    return world;
  }

  it('are dropped, counted and acknowledged, and the others keep their positions', async () => {
    const world = splitWorld();
    const { failedFrom, report } = await deliver(world, [mixed(0, [100, 0, 99, 150, 7])]);
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ records: 5, outsideShard: 2, applied: 3, duplicates: 0, unfinished: 0 });
    expect(stateOf(world, 'k', 'seen')).toEqual([1, 2, 4]);
    expect(world.sinks.get('events')?.delivered.map(({ id }) => id.split('/')[4])).toEqual(['1', '2', '4']);
    const progress = await world.store.readProgress(1, recordBatch(0, []).shard);
    expect(progress?.position?.sub).toBe(4);
  });

  it('may be a whole batch, which is acknowledged', async () => {
    const world = splitWorld();
    const batch = [mixed(0, [100, 101]), mixed(1, [150])];
    const { failedFrom, report } = await deliver(world, batch);
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ records: 3, outsideShard: 3, applied: 0, unfinished: 0 });
    const { shard } = recordBatch(0, []);
    const progress = await world.store.readProgress(1, shard);
    expect(progress?.position).toEqual({ sequence: batch[1]?.position.sequence, sub: 0 });
    expect(progress?.attempts.size).toBe(0);
  });

  it('belong to the shard that they are in, and are applied there', async () => {
    const world = splitWorld();
    await deliver(world, [mixed(0, [100, 0])]);
    const again = aggregateRecord(1, 5, [{ value: { key: 'k', n: 0 }, explicitHashKey: '100' }]);
    await deliver(world, [again], { shard: 1 });
    expect(stateOf(world, 'k', 'seen')).toEqual([1, 0]);
  });

  it('are kept where the pipeline says that its producer does not send them again', async () => {
    const keeping = pipeline('p')
      .from(kinesis<Value>('s', { outsideShard: 'keep' }))
      .keyBy(({ key }) => key)
      .updateStateByKey<number[]>('seen', ([value], seen = []) => [...seen, (value as Value).n]);
    const world = splitWorld({}, keeping);
    world.ranges.clear();
    await deliver(world, [mixed(0, [100, 0])]);
    expect(stateOf(world, 'k', 'seen')).toEqual([0, 1]);
  });

  it('cost no turn where records are taken one at a time', async () => {
    const world = splitWorld();
    const batch = [mixed(0, [100, 101, 5])];
    const first = batch[0]?.position ?? { sequence: '0', sub: 0 };
    const { shard } = recordBatch(0, []);
    await world.store.readControl();
    await world.store.createProgress(1, shard);
    for (let death = 0; death < 4; death++) await world.store.beginAttempt(1, shard, first);
    const { failedFrom } = await deliver(world, batch);
    expect(failedFrom).toBeUndefined();
    expect(stateOf(world, 'k', 'seen')).toEqual([2]);
    expect(world.logged.join()).toContain('taken one at a time');
  });

  it('stop the batch where the range cannot be learnt, without an attempt that looks like a death', async () => {
    const world = splitWorld();
    world.ranges.clear();
    const batch = [mixed(0, [0])];
    for (let tries = 0; tries < 6; tries++) {
      await expect(deliver(world, batch)).rejects.toThrow(/lists no shard/);
    }
    expect(await world.store.readProgress(1, recordBatch(0, []).shard)).toBeUndefined();
    world.ranges.set(shardId(0), hashRange('0', '99'));
    await drain(world, batch);
    expect(world.logged).toEqual([]);
    expect(stateOf(world, 'k', 'seen')).toEqual([0]);
  });
});

describe('a malformed aggregate', () => {
  const cut = (number: number): SourceRecord => {
    const whole = aggregateRecord(0, number, values(2));
    return { ...whole, data: Buffer.from(whole.data, 'base64').subarray(0, -1).toString('base64') };
  };

  it('becomes one dead letter, whole, and its neighbours are applied', async () => {
    const world = testWorld(subject);
    const bad = cut(1);
    const { failedFrom, report } = await deliver(world, [
      aggregateRecord(0, 0, values(1)),
      bad,
      aggregateRecord(0, 2, values(1, 1)),
    ]);
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ records: 3, applied: 2, deadLetters: 1 });
    expect(stateOf(world, 'k', 'seen')).toEqual([0, 1]);
    expect(letters(world)).toEqual([
      { stage: 'decode', reason: expect.stringContaining('its digest is not') as string, key: undefined },
    ]);
    const [letter] = [...world.letters.values()];
    expect(letter).toMatchObject({
      sequenceNumber: bad.position.sequence,
      subSequenceNumber: 0,
      partitionKey: 'a',
      data: bad.data,
    });
  });

  it('holds its shard where the pipeline stops at errors', async () => {
    const stopping = pipeline('p', { onRecordError: 'stop' })
      .from(kinesis<Value>('s'))
      .keyBy(({ key }) => key)
      .updateStateByKey<number>('n', (_, n = 0) => n + 1);
    const world = testWorld(stopping);
    const { failedFrom } = await deliver(world, [aggregateRecord(0, 0, values(1)), cut(1)]);
    expect(failedFrom).toEqual(cut(1).position);
    expect(world.logged.join()).toContain('its digest is not that of its bytes');
  });
});

describe('a bad record in an aggregate', () => {
  it('becomes a dead letter of its own, under its own number and partition key', async () => {
    const world = testWorld(subject);
    const given = values(3).map((each) =>
      each.value.n === 1 ? { ...each, value: { ...each.value, fails: true } } : each,
    );
    const batch = [aggregateRecord(0, 0, given)];
    const { report } = await deliver(world, batch);
    expect(report).toMatchObject({ applied: 2, deadLetters: 1 });
    const [[name, letter] = []] = [...world.letters];
    expect(name).toMatch(/\.1-0\.fold\.json$/);
    expect(letter).toMatchObject({ subSequenceNumber: 1, partitionKey: 'k', key: 'k', stage: 'fold' });
    expect(JSON.parse(Buffer.from(letter?.data ?? '', 'base64').toString())).toEqual(given[1]?.value);
  });
});

describe('an aggregate with lanes by partition key', () => {
  it('is in the lane of its own partition key, by which Lambda deals it', async () => {
    const world = testWorld(subject, PARALLEL);
    const batch = [
      aggregateRecord(0, 0, values(2)),
      sourceRecord(0, 1, { value: { key: 'k', n: 2 }, partitionKey: 'k' }),
    ];
    await deliver(world, batch);
    const { shard } = recordBatch(0, []);
    expect([...(itemOf(world, 'k')?.marks.keys() ?? [])].toSorted()).toEqual(
      [partitionLane(shard, 'a'), partitionLane(shard, 'k')].toSorted(),
    );
  });

  it('does not cover a record of its keys that Lambda deals elsewhere and delivers later', async () => {
    const world = testWorld(subject, PARALLEL);
    const plain = sourceRecord(0, 0, { value: { key: 'k', n: 0 }, partitionKey: 'k' });
    await deliver(world, [aggregateRecord(0, 1, values(2, 1))]);
    await deliver(world, [plain]);
    await deliver(world, [aggregateRecord(0, 1, values(2, 1))]);
    expect(stateOf(world, 'k', 'seen')).toEqual([1, 2, 0]);
  });

  it('is applied once where the factor was changed to 1 and it comes again', async () => {
    const world = testWorld(subject, PARALLEL);
    const batch = [aggregateRecord(0, 0, values(3))];
    await deliver(world, batch);
    await deliver(world, batch, { runtime: { ...world.runtime, parallelizationFactor: 1 } });
    expect(stateOf(world, 'k', 'seen')).toEqual(numbers(3));
  });

  it('of which a part is done is applied once', async () => {
    const sink = new RefusingSink(4);
    const world = testWorld(subject, { ...PARALLEL, sinks: new Map([['events', sink]]) });
    const batch = [aggregateRecord(0, 0, values(10))];
    const first: BatchResult = await deliver(world, batch);
    expect(first.failedFrom?.sub).toBe(4);
    sink.from = 1_000;
    await drain(world, batch);
    expect(stateOf(world, 'k', 'seen')).toEqual(numbers(10));
    expect(new Set(sink.values())).toEqual(new Set(numbers(10)));
  });
});

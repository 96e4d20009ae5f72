import { describe, expect, it } from 'vitest';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import type { Runtime } from '../../../shared/engine/runtime.ts';
import { kinesis, pipeline } from '../../../shared/index.ts';
import type { Delivery } from '../../../shared/output/sink-port.ts';
import { comparePositions, type Position } from '../../../shared/source/position.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import type { ShardRecords } from '../../../shared/source/shard-records.ts';
import {
  aggregateRecord,
  recordBatch,
  sourceRecord,
  testWorld,
  type TestWorld,
} from '../../support/memory-ports.ts';
import { deliver, drain, itemOf, letters, stateOf } from './deliver.ts';

interface Given {
  readonly key: string;
  readonly id: string;
}

const counting = pipeline('raised')
  .from(kinesis<Given>('s'))
  .keyBy(({ key }) => key)
  .mapWithState<string[], string>('seen', ({ id }, state) => {
    state.update([...(state.get() ?? []), id]);
    return id;
  })
  .to(kinesis('out', { key: () => 'one destination' }));

const SHARD = recordBatch(0, []).shard;

function given(number: number, key: string, partitionKey: string): SourceRecord {
  return sourceRecord(0, number, { value: { key, id: `r${number}` }, partitionKey });
}

/** The stream's records, page by page. */
function streamOf(records: readonly SourceRecord[], pageRecords = 2): ShardRecords & { asked: number } {
  return {
    asked: 0,
    async from(_, from, until) {
      this.asked += 1;
      const rest = records.filter(
        ({ position }) =>
          (from === undefined || comparePositions(position, { ...from, sub: 0 }) >= 0) &&
          comparePositions({ ...position, sub: 0 }, until) <= 0,
      );
      const isNew = rest.some(({ position }) => from === undefined || comparePositions(position, from) > 0);
      const isLast = rest.at(-1)?.position.sequence === until.sequence;
      return !isNew && !isLast ? undefined : recordBatch(0, rest.slice(0, pageRecords));
    },
  };
}

/** A container that is told a higher factor. */
function raised(world: TestWorld, shardRecords: ShardRecords): Runtime {
  return {
    ...world.runtime,
    cache: new ItemCache(),
    generation: undefined,
    parallelizationFactor: 2,
    shardRecords,
  };
}

function published(world: TestWorld): readonly Delivery[] {
  return world.sinks.get('out')?.delivered ?? [];
}

const REFUSING: Pick<Runtime, 'sinks'> = {
  sinks: new Map([
    [
      'out',
      {
        maximumDeliveries: 500,
        maximumBytes: 5_000_000,
        deliver: async (deliveries) => deliveries.map(() => false),
      },
    ],
  ]),
};

/** A world in which records were committed by shard and not published. */
async function begun(records: readonly SourceRecord[]): Promise<TestWorld> {
  const world = testWorld(counting);
  const { failedFrom } = await deliver(world, records, { runtime: { ...world.runtime, ...REFUSING } });
  expect(failedFrom).toEqual(records[0]?.position);
  return world;
}

describe('a ParallelizationFactor that is raised while a shard is read', () => {
  const records = [given(0, 'a', 'p0'), given(1, 'b', 'p1'), given(2, 'a', 'p0'), given(3, 'b', 'p1')];

  it('ends by shard what was handed in by shard, in order, before anything else is taken', async () => {
    const world = await begun(records);
    const stream = streamOf(records);
    const runtime = raised(world, stream);
    // The mapping deals by partition key now: the second one's records come first.
    const later = given(4, 'b', 'p1');
    const second = await deliver(world, [records[1], records[3], later] as SourceRecord[], { runtime });
    expect(second.failedFrom).toBeUndefined();
    expect(published(world).map(({ json }) => json)).toEqual(['"r0"', '"r1"', '"r2"', '"r3"', '"r4"']);
    const lanes = published(world).map(({ entry }) => entry.lane);
    expect(lanes.slice(0, 4)).toEqual([SHARD, SHARD, SHARD, SHARD]);
    expect(lanes[4]?.startsWith(`${SHARD}#`)).toBe(true);
    const first = await deliver(world, [records[0], records[2]] as SourceRecord[], { runtime });
    expect(first).toMatchObject({ failedFrom: undefined, report: { applied: 0, duplicates: 2 } });
    expect(stateOf(world, 'a', 'seen')).toEqual(['r0', 'r2']);
    expect(stateOf(world, 'b', 'seen')).toEqual(['r1', 'r3', 'r4']);
    expect(published(world)).toHaveLength(5);
    const asked = stream.asked;
    await deliver(world, [given(5, 'a', 'p0')], { runtime });
    expect(stream.asked).toBe(asked);
  });

  it('reads nothing once more where all of it was done', async () => {
    const world = testWorld(counting);
    await deliver(world, records);
    const stream = streamOf(records);
    await deliver(world, [given(4, 'b', 'p1')], { runtime: raised(world, stream) });
    expect(stream.asked).toBe(0);
    expect(stateOf(world, 'b', 'seen')).toEqual(['r1', 'r3', 'r4']);
    expect(await world.store.readProgress(1, SHARD)).toMatchObject({
      isByPartition: true,
      byShardUntil: records[3]?.position,
      attempts: new Map(),
    });
  });

  it('lets a batch come again while what was handed in by shard cannot be ended', async () => {
    const world = await begun(records);
    const runtime = raised(world, streamOf(records));
    const batch = [records[1] as SourceRecord];
    const { failedFrom } = await deliver(world, batch, { runtime: { ...runtime, ...REFUSING } });
    expect(failedFrom).toEqual(records[1]?.position);
    const progress = await world.store.readProgress(1, SHARD);
    expect(progress?.isByPartition).toBe(false);
    expect(progress?.attempts.size).toBe(0);
    expect((await deliver(world, batch, { runtime })).failedFrom).toBeUndefined();
  });

  it('does not take a stream that cannot be read for an attempt that died', async () => {
    const world = await begun(records);
    const runtime = raised(world, {
      from: async () => {
        throw new Error('Kinesis says no');
      },
    });
    await expect(deliver(world, [records[1] as SourceRecord], { runtime })).rejects.toThrow(
      'Kinesis says no',
    );
    expect((await world.store.readProgress(1, SHARD))?.attempts.size).toBe(0);
  });

  it('has the batch come again where its time is up before the stream could be read', async () => {
    const world = await begun(records);
    const runtime = raised(world, {
      from: async () => {
        world.nowMs += 3_600_000;
        throw new Error('Kinesis gives nothing');
      },
    });
    const { failedFrom } = await deliver(world, [records[1] as SourceRecord], { runtime });
    expect(failedFrom).toEqual(records[1]?.position);
    expect((await world.store.readProgress(1, SHARD))?.attempts.size).toBe(0);
  });

  it('gives up what the stream does not hold any more, and applies none of it in another lane', async () => {
    const world = await begun(records);
    const runtime = raised(world, streamOf(records.slice(0, 2)));
    const last = given(4, 'a', 'p0');
    expect((await deliver(world, [last], { runtime })).failedFrom).toBeUndefined();
    expect((await world.store.readProgress(1, SHARD))?.byShardUntil).toEqual(records[3]?.position);
    expect(world.logged).toEqual([expect.stringContaining('The stream does not hold any more')]);
    // What was not published of it never will be: nobody has its record in hand.
    await deliver(world, [given(5, 'b', 'p1')], { runtime });
    const values = published(world).map(({ json }) => json);
    expect(values).toEqual(['"r0"', '"r1"', '"r4"', '"r5"']);
    expect(stateOf(world, 'a', 'seen')).toEqual(['r0', 'r2', 'r4']);
  });

  it('ends an aggregate of which a part is done', async () => {
    const aggregated = aggregateRecord(
      0,
      0,
      ['a', 'b', 'a'].map((key, number) => ({
        value: { key, id: `u${number}` },
        partitionKey: `p${number}`,
      })),
    );
    const world = await begun([aggregated]);
    const runtime = raised(world, streamOf([aggregated]));
    const last = given(1, 'a', 'a');
    expect((await deliver(world, [aggregated, last], { runtime })).failedFrom).toBeUndefined();
    expect(stateOf(world, 'a', 'seen')).toEqual(['u0', 'u2', 'r1']);
    expect(stateOf(world, 'b', 'seen')).toEqual(['u1']);
    expect(published(world)).toHaveLength(4);
  });

  it.each([
    ['are not taken for attempts that died', 9, false],
    ['are, where there are more than can be at work', 12, true],
  ])('lanes of the shard that are at it at once %s', async (_, others, isTaken) => {
    const world = await begun(records);
    const first = records[0]?.position as Position;
    for (let other = 0; other < others; other++) await world.store.beginAttempt(1, SHARD, first);
    const runtime = { ...raised(world, streamOf(records)), parallelizationFactor: 10 };
    expect((await deliver(world, [records[1] as SourceRecord], { runtime })).failedFrom).toBeUndefined();
    expect(world.logged.some((line) => line.includes('Earlier attempts'))).toBe(isTaken);
  });

  it('leaves no attempt that died in the generation of a rewind that comes in between', async () => {
    const world = await begun(records);
    const { store } = world;
    const isSealing: ShardRecords = {
      from: async () => {
        store.seal(1, SHARD);
        store.setControl({ generation: 2, nextGeneration: 3, phase: 'live', isByPartition: true });
        store.insertProgress(2, SHARD, { first: records[0]?.position as Position });
        await store.beginAttempt(2, SHARD, records[0]?.position as Position, records[3]?.position);
        await store.advance(2, SHARD, {
          first: records[0]?.position as Position,
          records: 0,
          endedTurns: [],
        });
        store.rows.delete(`1/p/${SHARD}`);
        return undefined;
      },
    };
    const runtime = raised(world, isSealing);
    const batch = [records[1] as SourceRecord];
    expect((await deliver(world, batch, { runtime })).failedFrom).toEqual(records[1]?.position);
    expect((await store.readProgress(2, SHARD))?.attempts).toEqual(new Map());
  });

  it('gives a record without a key one letter, whoever rejects it', async () => {
    const bad = sourceRecord(0, 0, { value: 'not JSON', partitionKey: 'p0' });
    const world = testWorld(counting);
    // Somebody by shard is at work when the factor is raised, and goes on behind it.
    const { store } = world.runtime;
    let goOn: () => void = () => undefined;
    const until = new Promise<void>((resolve) => (goOn = resolve));
    let isHeld: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (isHeld = resolve));
    const slow: Runtime = {
      ...world.runtime,
      store: new Proxy(store, {
        get: (target, name) => {
          if (name === 'commit') {
            return async (...writes: Parameters<typeof store.commit>) => {
              isHeld();
              await until;
              return store.commit(...writes);
            };
          }
          const member: unknown = Reflect.get(target, name, target);
          return typeof member === 'function' ? (member.bind(target) as unknown) : member;
        },
      }),
    };
    const sleeping = deliver(world, [bad], { runtime: slow });
    await held;
    const runtime = raised(world, streamOf([bad]));
    expect((await deliver(world, [bad], { runtime })).failedFrom).toBeUndefined();
    goOn();
    await sleeping;
    await deliver(world, [bad, given(1, 'a', 'p0')], { runtime });
    expect(letters(world)).toHaveLength(1);
  });

  describe('of outputs that fill an item, all published by shard', () => {
    const BIG = 'x'.repeat(60_000);
    /** Events of 60 KB: six fill an item. */
    const filling = pipeline('filling')
      .from(kinesis<{ readonly key: string; readonly events: number }>('s'))
      .flatMap((big) => Array<typeof big>(big.events).fill(big))
      .keyBy(({ key }) => key)
      .updateStateByKey<number>('n', (_, n = 0) => n + 1, { emit: 'every' })
      .map((n) => `${n} ${BIG}`)
      .to(kinesis('out'));
    const big = (shard: number, number: number, partitionKey: string, events: number): SourceRecord =>
      sourceRecord(shard, number, { value: { key: 'k', events }, partitionKey });

    it('makes room for records of the shard, for none comes of its lane any more', async () => {
      const world = testWorld(filling);
      await deliver(world, [big(0, 0, 'p0', 4)]);
      expect(itemOf(world, 'k')?.outbox).toHaveLength(4);
      const runtime = raised(world, streamOf([]));
      const { failedFrom } = await deliver(world, [big(0, 1, 'p1', 4)], { runtime });
      expect(failedFrom).toBeUndefined();
      expect(itemOf(world, 'k')?.outbox).toHaveLength(4);
      expect(stateOf(world, 'k', 'n')).toBe(8);
    });

    it('makes room for records of another shard', async () => {
      const world = testWorld(filling);
      await deliver(world, [big(0, 0, 'p0', 4)]);
      const runtime = raised(world, streamOf([]));
      await deliver(world, [sourceRecord(0, 1, { value: { key: 'other', events: 1 }, partitionKey: 'p1' })], {
        runtime,
      });
      const { failedFrom } = await deliver(world, [big(1, 0, 'p0', 4)], { shard: 1, runtime });
      expect(failedFrom).toBeUndefined();
      expect(stateOf(world, 'k', 'n')).toBe(8);
    });

    it('keeps those that are not published while they are ended by shard', async () => {
      const world = testWorld(filling);
      const first = big(0, 0, 'p0', 4);
      await deliver(world, [first], { runtime: { ...world.runtime, ...REFUSING } });
      const runtime = raised(world, streamOf([first]));
      await drain(world, [big(0, 1, 'p1', 4)], { runtime });
      expect(published(world).map(({ json }) => Number.parseInt(json.slice(1)))).toEqual([
        1, 2, 3, 4, 5, 6, 7, 8,
      ]);
    });
  });
});

import { describe, expect, it } from 'vitest';
import { breakEven, RATES } from '../../../infra/cost/break-even.ts';
import { ASSUMED, costPage, keysOfShard } from '../../../infra/cost/monthly-cost.ts';
import { recordsPerBatch, shardsNeeded, type StreamShape } from '../../../infra/cost/stream-shape.ts';

const SHAPE: StreamShape = {
  recordsPerSecond: 100,
  keys: 20,
  batchSize: 500,
  recordBytes: 500,
  stateBytes: 200,
  shards: 1,
  windowSeconds: 1,
  memoryMb: 1_024,
  changedShare: 1,
  fullEvery: 8,
};
const SECONDS = 730 * 3_600;

function costsOf(changes: Partial<StreamShape>) {
  return costPage({ ...SHAPE, ...changes }, ASSUMED);
}

describe('a batch of a steady stream', () => {
  it.each([
    ['what its window gathers', {}, 100],
    ['what a longer window gathers', { windowSeconds: 4 }, 400],
    ['no more than its size', { windowSeconds: 30 }, 500],
    ['what one shard of several gathers', { shards: 4 }, 25],
    ['one record where none gathers', { windowSeconds: 0 }, 1],
    // 6 MB of base64, and what stands beside it.
    ['no more than an event carries', { recordBytes: 100_000, windowSeconds: 10 }, 47],
  ])('holds %s', (_what, changes, records) => {
    expect(recordsPerBatch({ ...SHAPE, ...changes })).toBe(records);
  });

  it('comes of as many shards as records and bytes need', () => {
    expect(shardsNeeded({ recordsPerSecond: 1_000, recordBytes: 500 })).toBe(1);
    expect(shardsNeeded({ recordsPerSecond: 1_001, recordBytes: 500 })).toBe(2);
    expect(shardsNeeded({ recordsPerSecond: 100, recordBytes: 100_000 })).toBe(10);
  });
});

describe('the keys of a shard', () => {
  it.each([
    [100, 4, 25],
    [4, 4, 1],
    [3, 4, 3],
  ])('are of %i keys in %i shards %i: all of them where they are fewer', (keys, shards, each) => {
    expect(keysOfShard(keys, shards)).toBe(each);
  });
});

describe('what a month costs', () => {
  it('is the counted units at their price', async () => {
    const { batch, batchesPerSecond, costs } = await costsOf({});

    expect(batchesPerSecond).toBe(1);
    expect(batch.wcu).toBeCloseTo(22, 0);
    const writes = costs.tidemark.parts.find(({ what }) => what === 'DynamoDB writes');
    expect(writes?.dollars).toBeCloseTo((batch.wcu * SECONDS * 0.625) / 1_000_000, 6);
  });

  it('is of checkpoints what they read, and of each kind what it stores and asks for', async () => {
    const { costs, batch } = await costPage(SHAPE, ASSUMED, undefined, async () => ({
      full: { aDay: 3, bytes: 1, puts: 100, gets: 10 },
      delta: { aDay: 21, bytes: 1, puts: 50, gets: 20 },
      standing: { fullBytes: 10 * 1024 ** 3, deltaBytes: 1024 ** 3 },
      idlePuts: 22,
    }));

    const dollarsOf = (name: string) => costs.tidemark.parts.find(({ what }) => what.includes(name))?.dollars;
    // Four segments of a table that is smaller than a read unit, and listings at ticks at which nothing is due.
    expect(20 * batch.itemBytes).toBeLessThan(4 * 4_096);
    expect(dollarsOf('scans of the table')).toBeCloseTo(
      (730 * 4 * 0.125) / 1e6 + (730 * 22 * 0.005) / 1e3,
      9,
    );
    const days = 730 / 24;
    expect(dollarsOf('full ones')).toBeCloseTo(0.23 + (days * 3 * (100 * 0.005 + 10 * 0.0004)) / 1e3, 9);
    expect(dollarsOf('deltas')).toBeCloseTo(0.023 + (days * 21 * (50 * 0.005 + 20 * 0.0004)) / 1e3, 9);
  });

  it('is the sum of its parts', async () => {
    for (const { dollars, parts } of Object.values((await costsOf({})).costs)) {
      expect(dollars).toBeCloseTo(
        parts.reduce((sum, part) => sum + part.dollars, 0),
        9,
      );
    }
  });

  it('is for idempotent calls three writes and a read of each record', async () => {
    const { parts } = (await costsOf({})).costs.idempotentLambda;

    const dollarsOf = (name: string) => parts.find(({ what }) => what === name)?.dollars;
    expect(dollarsOf('DynamoDB writes')).toBeCloseTo((100 * 3 * SECONDS * 0.625) / 1_000_000, 6);
    expect(dollarsOf('DynamoDB reads')).toBeCloseTo((100 * SECONDS * 0.125) / 1_000_000, 6);
  });

  it('is for clusters the least that they have, whatever comes, up to what that takes', async () => {
    const little = (await costsOf({ recordsPerSecond: 1 })).costs;
    const all = (await costsOf({ recordsPerSecond: 10_000 })).costs;
    const more = (await costsOf({ recordsPerSecond: 10_001 })).costs;

    // Two KPUs for 730 hours at 11 cents, and 50 GB at 10.
    expect(little.flink.dollars).toBeCloseTo(165.6, 6);
    expect(all.flink.dollars).toBe(little.flink.dollars);
    expect(more.flink.dollars).toBeCloseTo(165.6 + 80.3 + 5, 6);
    expect(all.spark.dollars).toBe(little.spark.dollars);
    expect(more.spark.dollars).toBeCloseTo(1.5 * little.spark.dollars, 6);
  });

  it('is less where the batch has fewer keys, and where it gathers for longer', async () => {
    const { tidemark } = (await costsOf({ keys: 10_000 })).costs;
    expect((await costsOf({ keys: 10 })).costs.tidemark.dollars).toBeLessThan(tidemark.dollars);
    const [short, long] = await Promise.all([costsOf({}), costsOf({ windowSeconds: 5 })]);
    expect(long.costs.tidemark.dollars).toBeLessThan(short.costs.tidemark.dollars);
  });

  it('says where one invocation at a time for each shard does not keep up', async () => {
    expect((await costsOf({})).keepsUp).toBe(true);
    // Forty batches of one record a second, of five round trips of 10 ms each.
    expect((await costsOf({ recordsPerSecond: 40, windowSeconds: 0 })).keepsUp).toBe(false);
  });
});

describe('the break-even', () => {
  it('is where Tidemark is cheaper below and no longer above', async () => {
    const { cheaper, rates } = await breakEven({ ...SHAPE, keys: 5_000 }, ASSUMED);

    expect(rates.map(({ recordsPerSecond }) => recordsPerSecond)).toEqual(RATES);
    const [range] = cheaper.flink;
    expect(cheaper.flink).toEqual([{ from: 1, to: range?.to }]);
    const at = range?.to ?? 0;
    const below = (await costsOf({ keys: 5_000, recordsPerSecond: at })).costs;
    const above = (await costsOf({ keys: 5_000, recordsPerSecond: Math.ceil(at * 1.1) })).costs;
    expect(below.tidemark.dollars).toBeLessThan(below.flink.dollars);
    expect(above.tidemark.dollars).toBeGreaterThan(above.flink.dollars);
  });
});

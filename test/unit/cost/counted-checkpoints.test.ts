import { describe, expect, it } from 'vitest';
import { CHECKPOINT_TICK } from '../../../infra/constructs/pipeline-metrics.ts';
import {
  countCheckpoints,
  evenlyChangedShare,
  TICK_MINUTES,
  type CheckpointShape,
} from '../../../infra/cost/counted-checkpoints.ts';

const SHAPE: CheckpointShape = {
  keys: 200,
  stateBytes: 200,
  changedShare: 0.01,
  fullEvery: 8,
  memoryMb: 1_024,
};
const count = (changes: Partial<CheckpointShape>) => countCheckpoints({ ...SHAPE, ...changes });

/** Of a million keys. */
const MILLION = count({ keys: 1_000_000 });

describe('a day of checkpoints', () => {
  it('has a full one for every seven deltas, which store little more than what has changed', async () => {
    const { full, delta } = await MILLION;
    expect([full.aDay, delta.aDay]).toEqual([3, 21]);
    // 0.013 of what `npm run bench` takes of a million keys; small parts pack less.
    expect(delta.bytes / full.bytes).toBeGreaterThan(0.01);
    expect(delta.bytes / full.bytes).toBeLessThan(0.03);
  });

  it('has as many more deltas as full ones are rarer', async () => {
    for (const [fullEvery, fulls] of [
      [1, 24],
      [2, 12],
      [24, 1],
    ] as const) {
      const { full, delta } = await count({ fullEvery });
      expect([full.aDay, delta.aDay]).toEqual([fulls, 24 - fulls]);
    }
  });

  it('has full ones only where all changes, and where there are more keys than memory is for', async () => {
    for (const all of [await count({ changedShare: 1 }), await count({ keys: 2_000_000, memoryMb: 128 })]) {
      expect(all).toMatchObject({ full: { aDay: 24 }, delta: { aDay: 0, bytes: 0 } });
      expect(all.standing.deltaBytes).toBe(0);
    }
  });

  it('leaves standing what is kept, and for a day what was removed', async () => {
    const { full, standing } = await count({ fullEvery: 1, keys: 1_000_000 });
    // The last 24, the newest of some days before them, 24 that were removed within a day; notes are a trifle.
    const copies = standing.fullBytes / full.bytes;
    expect(copies).toBeGreaterThan(24 + 24 + 4);
    expect(copies).toBeLessThan(24 + 24 + 7);
    const { standing: less } = await MILLION;
    expect(less.fullBytes + less.deltaBytes).toBeLessThan(standing.fullBytes / 2);
  });

  it('stores in proportion to the keys, and puts as many parts as a table of that size has', async () => {
    const [some, more] = [await MILLION, await count({ keys: 10_000_000 })];
    expect(more.full.bytes / some.full.bytes).toBeCloseTo(10, 0);
    // 10 million lines of some 430 bytes, in parts of 16 MiB: for each part lines, hashes and a note.
    const parts = (each: { readonly puts: number }): number => each.puts / 3;
    expect(parts(more.full) - parts(some.full)).toBeGreaterThan(180);
    expect(parts(more.full) - parts(some.full)).toBeLessThan(300);
  });

  it('asks at each tick at which none is due for the folders and the newest manifest', async () => {
    expect((await count({})).idlePuts).toBe(11 * 2);
    expect(TICK_MINUTES).toBe(CHECKPOINT_TICK.toMinutes());
  });
});

describe('the share of keys that evenly drawn records change in an hour', () => {
  it.each([
    [1, 3_600_000, 0.001],
    [1, 3_600, 0.632],
    [1_000, 50, 1],
  ])('of %i a second and %i keys is %f', (rate, keys, share) => {
    expect(evenlyChangedShare(rate, keys)).toBeCloseTo(share, 3);
  });
});

import { describe, expect, it } from 'vitest';
import { inParallel } from '../../../shared/state/in-parallel.ts';

describe('inParallel', () => {
  it('gives the results in the order of the inputs', async () => {
    const turns = [3, 1, 2];
    const results = await inParallel(turns, 3, async (count) => {
      for (let turn = 0; turn < count; turn++) await Promise.resolve();
      return count * 10;
    });
    expect(results).toEqual([30, 10, 20]);
  });

  it('runs as many at a time as it is allowed, and no more', async () => {
    let running = 0;
    let most = 0;
    await inParallel(Array.from({ length: 20 }), 4, async () => {
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
    });
    expect(most).toBe(4);
  });

  it('awaits what was begun and begins nothing more before it throws the first error', async () => {
    const ended: number[] = [];
    const run = inParallel([1, 2, 3, 4], 2, async (input) => {
      if (input === 1) throw new Error('first');
      await Promise.resolve();
      await Promise.resolve();
      ended.push(input);
    });
    await expect(run).rejects.toThrow('first');
    expect(ended).toEqual([2]);
  });
});

import { describe, expect, it } from 'vitest';
import { simulate } from './exactly-once.ts';

/** Enough to catch each broken variant of the engine many times over, in some seconds. */
const SEEDS = 2_000;

describe('the engine under crashes, zombies, duplicates, re-cut batches and partial failures', () => {
  it(`keeps I1, I4 and I6 for ${SEEDS} seeds`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { violations, story } = await simulate(seed);
      expect(violations, `seed ${seed}\n${story.join('\n')}`).toEqual([]);
    }
  });
});

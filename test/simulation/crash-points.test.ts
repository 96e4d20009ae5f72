import { expect, it } from 'vitest';
import { runCrashPoints } from './crash-points.ts';

/** All of them, some 12,000, are for `npm run simulate -- --crash-points`. No number of a moment divides it. */
const EVERY = 5;

it('breaks no invariant at any fifth crash point of small scenarios', { timeout: 900_000 }, async () => {
  const { points, failures } = await runCrashPoints(undefined, EVERY);
  expect(failures.slice(0, 3)).toEqual([]);
  expect(points).toBeGreaterThan(2_000);
});

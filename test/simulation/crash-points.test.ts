import { expect, it } from 'vitest';
import { runCrashPoints } from './crash-points.ts';

it('breaks no invariant at any crash point of small scenarios', { timeout: 900_000 }, async () => {
  const { points, failures } = await runCrashPoints();
  expect(failures.slice(0, 3)).toEqual([]);
  expect(points).toBeGreaterThan(4_000);
});

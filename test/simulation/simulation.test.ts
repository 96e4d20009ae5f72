import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FAULTS } from '../../shared/testing/simulator/faults.ts';
import regressions from './regressions.json' with { type: 'json' };
import type { WorldPlan } from './drawn-world.ts';
import { runSeedsInParallel } from './seed-run.ts';
import { bundleSimulation, type SimulationBundle } from './simulation-bundle.ts';

/** Enough to catch each broken engine of `broken-engines.ts` that does not need a rare world. */
const SEEDS = 1_000;

describe('the engine in simulated worlds', () => {
  let bundle: SimulationBundle;
  beforeAll(async () => {
    bundle = await bundleSimulation();
  });
  afterAll(() => bundle.remove());

  it(`breaks no invariant in ${SEEDS} of them, in which every fault happens`, async () => {
    const report = await runSeedsInParallel({ file: bundle.file, from: 1, seeds: SEEDS, stopAtFirst: false });
    expect(report.failures).toEqual([]);
    expect(report.seeds).toBe(SEEDS);
    expect(Object.keys(report.happened).sort()).toEqual(Object.keys(FAULTS).sort());
    expect(Object.values(report.happened).every((count) => count > 0)).toBe(true);
  }, 600_000);

  it('breaks none in worlds that once did', async () => {
    const { simulate } = await bundle.load();
    for (const { plan, why } of regressions as unknown as { plan: WorldPlan; why: string }[]) {
      const { violations } = await simulate(plan);
      expect(violations, why).toEqual([]);
    }
  });
});

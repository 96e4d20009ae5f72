import { afterAll, describe, expect, it } from 'vitest';
import { BROKEN_ENGINES } from './broken-engines.ts';
import { runSeedsInParallel } from './seed-run.ts';
import { bundleSimulation, type SimulationBundle } from './simulation-bundle.ts';

const bundles: SimulationBundle[] = [];
afterAll(() => Promise.all(bundles.map((bundle) => bundle.remove())));

describe('an engine is caught that', () => {
  it.each(BROKEN_ENGINES)('$name', { timeout: 300_000 }, async ({ changes, within }) => {
    const bundle = await bundleSimulation(changes);
    bundles.push(bundle);
    const report = await runSeedsInParallel({ file: bundle.file, from: 1, seeds: within, stopAtFirst: true });
    expect(report.failures.length).toBeGreaterThan(0);
  });

  it('is one of at least thirty', () => expect(BROKEN_ENGINES.length).toBeGreaterThanOrEqual(30));
});

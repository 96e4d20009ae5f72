import { afterAll, describe, expect, it } from 'vitest';
import { BROKEN_ENGINES } from './broken-engines.ts';
import { runSeedsInParallel } from './seed-run.ts';
import { bundleSimulation, type SimulationBundle } from './simulation-bundle.ts';

const bundles: SimulationBundle[] = [];
afterAll(() => Promise.all(bundles.map((bundle) => bundle.remove())));

/** Those that take more worlds are for `npm run simulate -- --broken`. */
const WORLDS_LIMIT = 1_000;
const TESTED = BROKEN_ENGINES.filter(({ within }) => within <= WORLDS_LIMIT);

describe('an engine is caught that', () => {
  it.each(TESTED)('$name', { timeout: 900_000 }, async ({ changes, within }) => {
    const bundle = await bundleSimulation(changes);
    bundles.push(bundle);
    const report = await runSeedsInParallel({ file: bundle.file, from: 1, seeds: within, stopAtFirst: true });
    expect(report.failures.length).toBeGreaterThan(0);
  });

  it('is one of at least sixty', () => expect(TESTED.length).toBeGreaterThanOrEqual(60));
});

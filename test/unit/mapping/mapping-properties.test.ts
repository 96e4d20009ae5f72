import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMapping } from '../../../shared/mapping/mapping.ts';
import type { MappingSettings } from '../../../shared/mapping/mapping-settings.ts';
import { settingsOf } from './example-settings.ts';
import { HostileRun, seededChance } from './hostile-run.ts';

const STEPS = 250;

/** Settings of a life: each begins with its own chance, so that playing it again gives the same sizes. */
function settingsBy(seed: number): () => MappingSettings {
  const chance = seededChance(seed);
  const properties = {
    BatchSize: 1 + chance(5),
    ParallelizationFactor: 1 + chance(3),
    BisectBatchOnFunctionError: chance(2) === 0,
    MaximumBatchingWindowInSeconds: chance(2),
    FunctionResponseTypes: ['ReportBatchItemFailures'],
  };
  const recuts = chance(2) === 0;
  return () => {
    const sizes = seededChance(seed + 1);
    const overrides = recuts ? { chooseBatchSize: (maximum: number) => 1 + sizes(maximum) } : {};
    return settingsOf(properties, overrides);
  };
}

function runHostile(seed: number): HostileRun {
  const run = new HostileRun(settingsBy(seed), seededChance(seed + 2));
  for (let step = 0; step < STEPS; step++) run.step();
  run.finish();
  return run;
}

describe('a mapping, whatever happens', () => {
  it('delivers every record, in order per key, and acknowledges nothing that failed', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        runHostile(seed);
      }),
      { seed: 20_260_301, numRuns: 300 },
    );
  });

  it('gives the same actions for the same inputs', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        for (const { snapshotText, inputs } of runHostile(seed).lives) {
          const snapshot = snapshotText === undefined ? undefined : (JSON.parse(snapshotText) as never);
          const again = createMapping(settingsBy(seed)(), snapshot);
          for (const { input, nowMs, actions } of inputs) {
            expect(JSON.stringify(again.handle(input, nowMs))).toBe(actions);
          }
        }
      }),
      { seed: 20_260_302, numRuns: 40 },
    );
  });
});

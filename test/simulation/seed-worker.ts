import { parentPort } from 'node:worker_threads';
import type { Fault } from '../../shared/testing/simulator/faults.ts';
import { drawPlan, simulate } from './drawn-world.ts';

export { drawPlan, simulate };

/** Seeds to run. */
export interface SeedTask {
  readonly from: number;
  readonly count: number;
  readonly stopAtFirst: boolean;
}

/** What came of them. */
export interface SeedReport {
  /** Seeds that were run: less than asked for where it stopped at the first failure. */
  readonly seeds: number;
  readonly requests: number;
  /** See `SimulationResult.excused`. */
  readonly excused: number;
  readonly happened: Readonly<Partial<Record<Fault, number>>>;
  readonly failures: readonly { readonly seed: number; readonly violations: readonly string[] }[];
}

export async function runSeeds({ from, count, stopAtFirst }: SeedTask): Promise<SeedReport> {
  const happened: Partial<Record<Fault, number>> = {};
  const failures: { seed: number; violations: readonly string[] }[] = [];
  let requests = 0;
  let excused = 0;
  let seeds = 0;
  while (seeds < count && !(stopAtFirst && failures.length > 0)) {
    const seed = from + seeds;
    const result = await simulate(drawPlan(seed));
    seeds += 1;
    requests += result.requests;
    excused += result.excused;
    for (const fault of Object.keys(result.happened) as Fault[]) {
      happened[fault] = (happened[fault] ?? 0) + (result.happened[fault] ?? 0);
    }
    if (result.violations.length > 0) failures.push({ seed, violations: result.violations });
  }
  return { seeds, requests, excused, happened, failures };
}

parentPort?.on('message', (task: SeedTask) => {
  runSeeds(task).then(
    (report) => parentPort?.postMessage(report),
    (error: unknown) =>
      setImmediate(() => {
        throw error;
      }),
  );
});

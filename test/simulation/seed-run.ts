import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { SeedReport, SeedTask } from './seed-worker.ts';

export interface SeedRunOptions {
  /** A bundle made by `bundleSimulation`. */
  readonly file: string;
  readonly from: number;
  readonly seeds: number;
  readonly stopAtFirst: boolean;
  readonly workers?: number;
  /** Asked before each task; without an end unless given. */
  readonly keepGoing?: () => boolean;
  readonly onReport?: (sum: SeedReport) => void;
}

/** Seeds that a worker is given at a time; few where the first failure ends the run, for the others go on until then. */
const TASK_SEEDS = 100;
const TASK_SEEDS_TO_FIRST = 10;

/** Runs seeds on worker threads. @returns what came of all of them; failures in the order of their seeds. */
export async function runSeedsInParallel(options: SeedRunOptions): Promise<SeedReport> {
  const { file, from, seeds, stopAtFirst, keepGoing = () => true, onReport } = options;
  const end = from + seeds;
  let next = from;
  const taskSeeds = stopAtFirst ? TASK_SEEDS_TO_FIRST : TASK_SEEDS;
  let sum: SeedReport = { seeds: 0, requests: 0, excused: 0, happened: {}, failures: [] };
  const nextTask = (): SeedTask | undefined => {
    if (next >= end || !keepGoing() || (stopAtFirst && sum.failures.length > 0)) return undefined;
    const task = { from: next, count: Math.min(taskSeeds, end - next), stopAtFirst };
    next += task.count;
    return task;
  };
  const work = async (): Promise<void> => {
    const worker = new Worker(file);
    try {
      for (let task = nextTask(); task !== undefined; task = nextTask()) {
        // The sum is read behind the wait: another worker's report may have come in between.
        const report = await reportOf(worker, task);
        sum = added(sum, report);
        onReport?.(sum);
      }
    } finally {
      await worker.terminate();
    }
  };
  const workers = Math.min(options.workers ?? availableParallelism(), Math.ceil(seeds / taskSeeds));
  await Promise.all(Array.from({ length: workers }, work));
  return { ...sum, failures: sum.failures.toSorted((a, b) => a.seed - b.seed) };
}

function reportOf(worker: Worker, task: SeedTask): Promise<SeedReport> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void =>
      reject(
        new Error(`Seeds ${task.from} to ${task.from + task.count - 1}: ${error.message}`, { cause: error }),
      );
    worker.once('error', onError);
    worker.once('message', (report: SeedReport) => {
      worker.off('error', onError);
      resolve(report);
    });
    worker.postMessage(task);
  });
}

function added(a: SeedReport, b: SeedReport): SeedReport {
  const happened = { ...a.happened };
  for (const [fault, count] of Object.entries(b.happened) as [keyof typeof happened, number][]) {
    happened[fault] = (happened[fault] ?? 0) + count;
  }
  return {
    seeds: a.seeds + b.seeds,
    requests: a.requests + b.requests,
    excused: a.excused + b.excused,
    happened,
    failures: [...a.failures, ...b.failures],
  };
}

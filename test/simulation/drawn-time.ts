import { seededRandom } from '../../shared/testing/seeded-random.ts';
import { drawFork, drawRewind, type PlannedRecord, type WorldPlan } from './drawn-world.ts';
import { CLOCKED, TIMED, TIMED_TOO } from './timed-workloads.ts';
import type { Poison, Workload } from './workloads.ts';

/** How many worlds have event time. */
const TIMED_SHARE = 0.2;
/** How many of those have a workload of `TIMED_TOO`. */
const TOO_SHARE = 0.12;
/** And how many one of `CLOCKED`. */
const CLOCKED_SHARE = 0.15;
/** Event time of the first record, milliseconds since the epoch. */
const FIRST_MS = 1_000_000;
/** To what event times are rounded: several records have one. */
const GRAIN_MS = 500;
const POISONS: readonly Poison[] = ['decode', 'stateless', 'key', 'fold', 'foldFirst', 'state'];

/** Which pipeline with a time takes the workload's place, and when sweeps come; undefined for none. */
export interface PlannedTime {
  readonly workload: number;
  /** Sweeps besides those that come by themselves, by the world's clock. */
  readonly sweepsAtMs: readonly number[];
  readonly sweepIntervalMs: number;
}

/** By the number that a plan has. */
export function timedWorkload(number: number): Workload {
  return [...TIMED, ...TIMED_TOO, ...CLOCKED][number] as Workload;
}

/** In some worlds records have event time: in bursts, out of order in a shard and between shards, some far behind. */
export function drawTime(seed: number, plan: WorldPlan): WorldPlan {
  const random = seededRandom(seed ^ 0x428a2f98);
  if (random() >= TIMED_SHARE) return plan;
  const upTo = (limit: number): number => Math.floor(random() * (limit + 1));
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const chance = (probability: number): boolean => random() < probability;
  const drawn = upTo(TIMED.length - 1);
  const too = seededRandom(seed ^ 0x71374491);
  const other = too() < TOO_SHARE ? TIMED.length + Math.floor(too() * TIMED_TOO.length) : drawn;
  const clocked = seededRandom(seed ^ 0x3956c25b);
  const workload =
    clocked() < CLOCKED_SHARE
      ? TIMED.length + TIMED_TOO.length + Math.floor(clocked() * CLOCKED.length)
      : other;
  const following = timedWorkload(workload).next?.pipelines.length ?? 0;
  const poison = chance(0.2) ? pick(POISONS) : undefined;
  const spreadMs = pick([50, 2_000, 20_000]);
  const bursts = 1 + upTo(2);
  const pauseMs = pick([3_000, 15_000, 60_000]);
  const durationMs = pick([20_000, 60_000]);
  const disorderMs = pick([0, 2_000, 8_000]);
  const keyForm = pick(['equal', 'across', 'one']);
  const partitions = 1 + upTo(4);
  // Some partitions are behind all others all the time, and some bring nothing but one record.
  const skews = Array.from({ length: partitions }, () => (chance(0.3) ? -upTo(15_000) : 0));
  const count = 6 + upTo(20);
  const records = Array.from({ length: count }, (_, number): PlannedRecord => {
    const part = number / count;
    const burst = Math.floor(part * bursts);
    const partition = chance(0.5) ? 0 : upTo(partitions - 1);
    const far = chance(0.1) ? -upTo(40_000) : chance(0.03) ? upTo(20_000) : 0;
    const at = FIRST_MS + part * durationMs + (skews[partition] ?? 0) - random() * disorderMs + far;
    const key = keyForm === 'one' ? 'k' : keyForm === 'equal' ? `p${partition}` : `k${upTo(1)}`;
    return {
      atMs: (part + 0.1 * random()) * spreadMs + burst * pauseMs,
      partitionKey: `p${partition}`,
      value: {
        id: `r${number}`,
        key,
        destination: `d${upTo(1)}`,
        amount: upTo(9),
        at: Math.round(at / GRAIN_MS) * GRAIN_MS,
        ...(poison !== undefined && chance(0.2) && { poison }),
        ...(chance(0.1) && { other: `k${upTo(1)}` }),
      },
      isSentAgain: number > 0 && chance(0.05),
      isAggregated: false,
    };
  });
  const lastMs = spreadMs + (bursts - 1) * pauseMs;
  const sweepsAtMs = Array.from({ length: upTo(6) }, () => random() * (lastMs + 10_000));
  // Several at once.
  const first = sweepsAtMs[0];
  if (first !== undefined && chance(0.5)) sweepsAtMs.push(first, first + random() * 100);
  const next = following > 0 && chance(0.4) ? upTo(following - 1) : undefined;
  const rewind = next === undefined ? drawRewind(seed, lastMs) : undefined;
  const fork = next === undefined && rewind?.deltas === undefined ? drawFork(seed, lastMs) : undefined;
  return {
    ...plan,
    next,
    repartition: undefined,
    time: { workload, sweepsAtMs, sweepIntervalMs: pick([5_000, 20_000, 60_000]) },
    shards: 1 + upTo(3),
    parallelizationFactor: 1,
    lowersFactor: false,
    timeoutMs: pick([6_000, 15_000, 60_000]),
    parentsFirst: true,
    pollIntervalMs: 1_000,
    records,
    reshards: plan.reshards.map((reshard) => ({
      ...reshard,
      atMs: random() * (lastMs + 2_000),
      isMiddle: reshard.isMiddle && following > 0,
    })),
    mending: undefined,
    rewind,
    fork: fork?.replaces === true ? undefined : fork,
    roomBytes: undefined,
  };
}

import { NO_FAULTS } from '../../shared/testing/simulator/faults.ts';
import { MemoryStream } from '../../shared/testing/simulator/memory-stream.ts';
import { World } from '../../shared/testing/simulator/world.ts';
import { seededRandom } from '../../shared/testing/seeded-random.ts';
import type { RequestPlan } from '../../shared/testing/simulator/simulated-process.ts';
import { CLOCKED, TIMED, TIMED_TOO } from './timed-workloads.ts';
import { killing, REPARTITIONED, WORKLOADS, type Poison, type Value, type Workload } from './workloads.ts';

/** A few records that go one known way, request by request. */
interface Scenario {
  readonly name: string;
  /** Of the pipeline. */
  readonly workload: string;
  readonly parallelizationFactor?: number;
  /** So long after the records, milliseconds, the function is told the factor, and 100 later the mapping is; both begin with 1. */
  readonly raisedAfterMs?: number;
  readonly isChained?: boolean;
  /** One unless given. */
  readonly shards?: number;
  /** `key[,other][!poison]@destination`, each a record. */
  readonly records: readonly string[];
}

const SCENARIOS: readonly Scenario[] = [
  { name: 'a count', workload: 'counter', records: ['a@d0', 'b@d0', 'a@d1'] },
  { name: 'ordered events', workload: 'list', records: ['a@d0', 'a@d0', 'b@d1', 'a@d0'] },
  {
    name: 'events of two keys to one destination',
    workload: 'sessions',
    records: ['a@d0', 'b@d0', 'a@d0', 'b@d0'],
  },
  { name: 'an element for another key', workload: 'sessions', records: ['a,b@d0', 'b,a@d0', 'a@d0'] },
  {
    name: 'a rejected record',
    workload: 'sessions',
    records: ['a@d0', 'a!foldAfterUpdate@d0', 'b!stateless@d0', 'a@d0'],
  },
  { name: 'several operators and sinks', workload: 'operators', records: ['a@d0', 'a@d0', 'b@d0'] },
  { name: 'records sent again', workload: 'deduplicated', records: ['a@d0', 'b@d0', 'a@d0'] },
  { name: 'a parked key', workload: 'parked', records: ['a@d0', 'a!fold@d0', 'a@d0', 'b@d0'] },
  {
    name: 'parallel lanes',
    workload: 'sessions',
    parallelizationFactor: 2,
    records: ['a@d0', 'b@d0', 'a@d0', 'b@d0'],
  },
  ...[1_100, 1_300].map((raisedAfterMs) => ({
    name: `a factor that is raised after ${raisedAfterMs} ms`,
    workload: 'sessions',
    parallelizationFactor: 2,
    raisedAfterMs,
    isChained: true,
    records: ['a@d0', 'b!stateless@d0', 'b@d0', 'a@d0', 'b@d0'],
  })),
  { name: 'a repartition', workload: 'relayed', records: ['a,b@d0', 'b@d0', 'a!key@d0', 'a@d0'] },
  { name: 'a chain', workload: 'sessions', isChained: true, records: ['a@d0', 'b@d0', 'a@d0'] },
  { name: 'windows', workload: 'tumbling', records: ['a@d0', 'b@d0', 'a@d0', 'a@d0', 'b@d0'] },
  {
    name: 'windows over two shards',
    workload: 'twice',
    shards: 2,
    records: ['a@d0', 'b@d0', 'a@d0', 'b@d0'],
  },
  {
    name: 'timers that a chain reads',
    workload: 'timers',
    shards: 2,
    isChained: true,
    records: ['a@d0', 'b,a@d0', 'a@d0', 'b@d0'],
  },
  {
    name: 'timers by the clock that a chain reads',
    workload: 'clocked',
    isChained: true,
    records: ['a@d0', 'b@d0', 'a@d0', 'a@d0'],
  },
  { name: 'times to live', workload: 'living', records: ['a@d0', 'a@d0', 'a@d0', 'b@d0', 'a@d0'] },
];

/** What happens at one request. */
const MOMENTS = ['before', 'after', 'afterButReportedFailed'] as const;
/** How the records come again. */
const RETURNS = ['sameBatch', 'reCut', 'zombie'] as const;
/** A zombie goes on behind so many requests of whoever comes after it. */
const ZOMBIE_DELAYS = [0, 1, 2, 3, 4, 5, 6, 8, 10] as const;

const START_MS = 1_800_000_000_000;
const HALF_TRIP_MS = 10;
const FIRST_RETRY_MS = 250;
const RECORDS_PER_BATCH = 3;
/** Event time of the first record, and between two. */
const FIRST_EVENT_MS = 1_000_000;
const BETWEEN_EVENTS_MS = 6_000;
const SWEEP_INTERVAL_MS = 4_000;

/** A crash point: which request, what becomes of it, and how its records come again. */
export interface CrashPoint {
  readonly scenario: string;
  readonly request: number;
  readonly moment: (typeof MOMENTS)[number];
  readonly returns: (typeof RETURNS)[number];
  readonly zombieDelay: number;
}

export interface CrashPointReport {
  readonly points: number;
  readonly failures: readonly { readonly point: CrashPoint; readonly violations: readonly string[] }[];
}

/**
 * Runs the crash points of every scenario.
 * @param every one of so many; all unless given.
 */
export async function runCrashPoints(
  onScenario?: (name: string, points: number) => void,
  every = 1,
): Promise<CrashPointReport> {
  const failures: CrashPointReport['failures'][number][] = [];
  let points = 0;
  for (const scenario of SCENARIOS) {
    const { requests, violations } = await run(scenario, undefined);
    if (violations.length > 0)
      throw new Error(`${scenario.name} fails without a fault: ${violations.join('; ')}`);
    const before = points;
    let place = 0;
    for (const point of pointsOf(scenario.name, requests)) {
      if (place++ % every !== 0) continue;
      points += 1;
      const result = await run(scenario, point);
      if (result.violations.length > 0) failures.push({ point, violations: result.violations });
    }
    onScenario?.(scenario.name, points - before);
  }
  return { points, failures };
}

function* pointsOf(scenario: string, requests: number): Generator<CrashPoint> {
  for (let request = 0; request < requests; request++) {
    for (const moment of MOMENTS) {
      for (const returns of RETURNS) {
        const delays = returns === 'zombie' ? ZOMBIE_DELAYS : [0];
        for (const zombieDelay of delays) yield { scenario, request, moment, returns, zombieDelay };
      }
    }
  }
}

async function run(
  scenario: Scenario,
  point: CrashPoint | undefined,
): Promise<{ violations: string[]; requests: number }> {
  const workloads: readonly Workload[] = [...WORKLOADS, ...REPARTITIONED, ...TIMED, ...TIMED_TOO, ...CLOCKED];
  const { pipeline, next, windows } = workloads.find(
    (each) => each.pipeline.definition.name === scenario.workload,
  ) as Workload;
  let requests = 0;
  let hasHappened = false;
  const world = new World({
    random: seededRandom(7),
    faults: NO_FAULTS,
    startMs: START_MS,
    isTold: false,
    planRequest: (): RequestPlan => {
      const isThis = requests++ === point?.request;
      if (!isThis || point === undefined)
        return { thereMs: HALF_TRIP_MS, backMs: HALF_TRIP_MS, fault: 'none' };
      hasHappened = true;
      if (point.returns === 'zombie') {
        for (const deployed of pipelines) deployed.abandonAll();
        return zombiePlan(point);
      }
      return { thereMs: HALF_TRIP_MS, backMs: HALF_TRIP_MS, fault: FAULT_OF[point.moment] };
    },
  });
  killing.world = world;
  const input = new MemoryStream('input', scenario.shards ?? 1, 86_400_000);
  const middle = new MemoryStream(pipeline.definition.repartition?.sink.name ?? 'middle', 1, 86_400_000);
  const isReCut = point?.returns === 'reCut';
  const common = {
    batchSize: RECORDS_PER_BATCH,
    batchingWindowMs: 0,
    parallelizationFactor: scenario.parallelizationFactor ?? 1,
    firstFactor: scenario.raisedAfterMs && 1,
    bisectOnError: false,
    timeoutMs: 60_000,
    sinkRequestSize: 500,
    parentsFirst: true,
    pollIntervalMs: 1_000,
    // Cut anew behind the fault: one record, then all that there are.
    chooseBatchSize: (maximum: number) => (isReCut && hasHappened ? 1 + (requests % maximum) : maximum),
  };
  const following = scenario.isChained === true ? next : undefined;
  const sinkStreams = new Map(following === undefined ? [] : [[following.sink, middle]]);
  const deployed = world.deploy({
    ...common,
    pipeline,
    stream: input,
    innerStream: middle,
    sinkStreams,
    windows,
    timerSweepIntervalMs: pipeline.definition.time && SWEEP_INTERVAL_MS,
  });
  const pipelines = [deployed];
  const { raisedAfterMs, parallelizationFactor = 1 } = scenario;
  if (raisedAfterMs !== undefined) {
    world.plan(START_MS + raisedAfterMs, () => deployed.tellFunction(parallelizationFactor));
    world.plan(START_MS + raisedAfterMs + 100, () => deployed.changeMapping(parallelizationFactor));
  }
  const last = following?.pipelines.at(-1);
  if (last !== undefined) pipelines.push(world.deploy({ ...common, pipeline: last, stream: middle }));
  for (const [number, text] of scenario.records.entries()) {
    const value = valueOf(text, number);
    const data = Buffer.from(JSON.stringify(value)).toString('base64');
    world.plan(START_MS, () => world.put(input, value.key, data));
  }
  return { violations: await world.run(), requests };
}

const FAULT_OF = {
  before: 'crashBeforeEffect',
  after: 'crashAfterEffect',
  afterButReportedFailed: 'lostAnswer',
} as const satisfies Record<CrashPoint['moment'], RequestPlan['fault']>;

function zombiePlan({ moment, zombieDelay }: CrashPoint): RequestPlan {
  const laterMs = FIRST_RETRY_MS + zombieDelay * 2 * HALF_TRIP_MS;
  switch (moment) {
    case 'before':
      return { thereMs: laterMs, backMs: HALF_TRIP_MS, fault: 'none' };
    case 'after':
      return { thereMs: HALF_TRIP_MS, backMs: laterMs, fault: 'none' };
    case 'afterButReportedFailed':
      return { thereMs: HALF_TRIP_MS, backMs: laterMs, fault: 'lostAnswer' };
  }
}

function valueOf(text: string, number: number): Value {
  const [, key = '', other, poison, destination = ''] =
    /^(\w+)(?:,(\w+))?(?:!(\w+))?@(\w+)$/.exec(text) ?? [];
  return {
    id: `r${number}`,
    key,
    destination,
    amount: number,
    at: FIRST_EVENT_MS + number * BETWEEN_EVENTS_MS,
    ...(other !== undefined && { other }),
    ...(poison !== undefined && { poison: poison as Poison }),
  };
}

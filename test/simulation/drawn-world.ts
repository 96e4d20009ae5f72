import { drawFaults } from '../../shared/testing/simulator/drawn-faults.ts';
import type { Fault, FaultBudget } from '../../shared/testing/simulator/faults.ts';
import { MemoryStream } from '../../shared/testing/simulator/memory-stream.ts';
import type { RewindPlan } from '../../shared/testing/simulator/simulated-rewind.ts';
import type { ForkPlan } from '../../shared/testing/simulator/simulated-fork.ts';
import { World } from '../../shared/testing/simulator/world.ts';
import { seededRandom } from '../../shared/testing/seeded-random.ts';
import { drawTime, timedWorkload, type PlannedTime } from './drawn-time.ts';
import {
  hasNoKey,
  isKilling,
  killing,
  LOOKING,
  mending,
  POISONS,
  REPARTITIONED,
  WORKLOADS,
  type Value,
  type Workload,
} from './workloads.ts';

const START_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;
/** Behind it an object of before is older than a horizon and what a sweep leaves alone. */
const LONG_PAUSE_MS = 80 * HOUR_MS;

/** Everything that a seed decides about a world before it runs; shrinking takes things out of it. */
export interface WorldPlan {
  readonly seed: number;
  readonly workload: number;
  /** Which of the pipelines that read the workload's outputs there is; undefined for none. */
  readonly next: number | undefined;
  /** Which pipeline with a repartition takes the workload's place; undefined for none. */
  readonly repartition?: number | undefined;
  /** Whether a pipeline that looks rows up takes the workload's place. */
  readonly looks?: boolean | undefined;
  /** Which pipeline with a time takes the workload's place; undefined for none. */
  readonly time?: PlannedTime | undefined;
  readonly shards: number;
  readonly parallelizationFactor: number;
  /** Whether the factor is lowered to 1 in the middle, first for the function and later for the mapping. */
  readonly lowersFactor: boolean;
  /** Whether function and mapping begin with 1 and are raised to the factor in the middle, the mapping later. */
  readonly raisesFactor?: boolean | undefined;
  readonly batchSize: number;
  readonly batchingWindowMs: number;
  readonly bisectOnError: boolean;
  readonly timeoutMs: number;
  readonly sinkRequestSize: number;
  readonly parentsFirst: boolean;
  readonly pollIntervalMs: number;
  readonly records: readonly PlannedRecord[];
  readonly reshards: readonly PlannedReshard[];
  readonly faults: FaultBudget;
  /** States beyond so many bytes are spilled; undefined for as many as on AWS. */
  readonly inlineStateBytes?: number | undefined;
  /** When spilled states are swept. */
  readonly sweeps?: readonly PlannedSweep[] | undefined;
  /** What inline states and the outbox of an item of the first pipeline may take; undefined for as much as on AWS. */
  readonly roomBytes?: number | undefined;
  /** Once the world has come to rest: mended code, further records, and operators who redrive dead letters. */
  readonly mending?: PlannedMending | undefined;
  /** A checkpoint is taken, and later the pipeline is rewound to it. */
  readonly rewind?: RewindPlan | undefined;
  /** A checkpoint is taken, and another pipeline with the same code goes on from it. */
  readonly fork?: ForkPlan | undefined;
}

export interface PlannedMending {
  readonly operators: number;
  /** How likely an operator drops what could be redriven. */
  readonly dropProbability: number;
  readonly records: readonly PlannedRecord[];
  readonly faults: FaultBudget;
  /** With spilled states: operators go on when everything else is long over, and what their first tries left is swept. */
  readonly sweeps?: readonly PlannedSweep[] | undefined;
  /** When so much time begins to pass that no record can come again, milliseconds. */
  readonly pauseAtMs?: number | undefined;
  /** Before the world has come to rest: when the code is mended, as soon as nobody is at work. */
  readonly earlyMs?: number | undefined;
  /** A checkpoint is taken while letters without a key are redriven, and the pipeline is rewound to it. */
  readonly rewind?: RewindPlan | undefined;
}

export interface PlannedSweep {
  readonly atMs: number;
  /** How much older than they are objects are taken for. */
  readonly aheadMs: number;
}

export interface PlannedRecord {
  readonly atMs: number;
  readonly partitionKey: string;
  readonly value: Value;
  /** Whether its producer sends it a second time. */
  readonly isSentAgain: boolean;
  /** Whether it comes in the world's aggregate of the Kinesis Producer Library. */
  readonly isAggregated: boolean;
}

export interface PlannedReshard {
  readonly atMs: number;
  readonly kind: 'split' | 'merge';
  /** Whether of the stream between two pipelines, or between the halves of one. */
  readonly isMiddle: boolean;
  /** Picks one of the open shards. */
  readonly pick: number;
}

/** How keys lie to partition keys. */
type KeyForm = 'equal' | 'refined' | 'across';

/** Behind a day records cannot come again, and behind the longer ones tombstones of before are gone. */
const PAUSES_HOURS = [27, 60, 120] as const;
/** How often the table looks for what has expired. */
const EXPIRY_INTERVAL_MS = 7 * HOUR_MS;

function pickFrom<T>(list: readonly T[], random: () => number): T {
  return list[Math.floor(random() * list.length)] as T;
}

/** Draws a world. */
export function drawPlan(seed: number): WorldPlan {
  return drawTime(seed, drawTimelessPlan(seed));
}

function drawTimelessPlan(seed: number): WorldPlan {
  const random = seededRandom(seed);
  const upTo = (limit: number): number => Math.floor(random() * (limit + 1));
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const chance = (probability: number): boolean => random() < probability;

  const parallelizationFactor = chance(0.2) ? 2 + upTo(1) : 1;
  const spreadMs = pick([50, 2_000, 20_000]);
  const workload = upTo(WORKLOADS.length - 1);
  const following = (WORKLOADS[workload] as Workload).next?.pipelines.length ?? 0;
  const keyForm = pick<KeyForm>(['equal', 'refined', 'across']);
  const keyCount = 1 + upTo(3);
  const isSkewed = chance(0.5);
  const poison = chance(0.25) ? pick(POISONS) : undefined;
  const kills = isKilling(poison);
  const recordCount = 4 + upTo(14);
  const hasPause = chance(0.04);
  const aggregates = !hasPause && chance(0.2);
  const pauseHours = pickFrom(PAUSES_HOURS, seededRandom(seed ^ 0x510e527f));
  const records = Array.from({ length: recordCount }, (_, number): PlannedRecord => {
    const partition = isSkewed && chance(0.6) ? 0 : upTo(keyCount - 1);
    const partitionKey = `p${partition}`;
    const keys: Record<KeyForm, string> = {
      equal: partitionKey,
      refined: `${partitionKey}.${upTo(1)}`,
      across: `k${upTo(keyCount - 1)}`,
    };
    const isPoisoned = poison !== undefined && chance(kills ? 0.1 : 0.25);
    const value: Value = {
      id: `r${number}`,
      key: keys[keyForm],
      destination: `d${upTo(1)}`,
      amount: upTo(9),
      ...(isPoisoned && { poison }),
      ...(!kills && chance(0.15) && { other: `k${upTo(keyCount - 1)}` }),
    };
    // A producer sends again what it has an error for.
    const isSentAgain = number > 0 && !kills && chance(0.1);
    const pauseMs = hasPause && number > recordCount / 2 ? pauseHours * HOUR_MS : 0;
    return {
      atMs: random() * spreadMs + pauseMs,
      partitionKey,
      value,
      isSentAgain,
      isAggregated: aggregates && chance(0.5),
    };
  });
  const reshards = chance(0.35)
    ? Array.from({ length: 1 + upTo(2) }, (): PlannedReshard => ({
        atMs: random() * spreadMs,
        kind: chance(0.6) ? 'split' : 'merge',
        isMiddle: chance(0.3),
        pick: random(),
      }))
    : [];
  // Outputs are in order per lane; those of partition keys' lanes are followed too, but not while the factor changes.
  const repartition = drawRepartition(seed);
  const inlineStateBytes = drawInlineStateBytes(seed);
  const isAlone = repartition !== undefined || following === 0;
  const next = !isAlone && parallelizationFactor === 1 && chance(0.5) ? upTo(following - 1) : undefined;
  const looks = repartition === undefined && next === undefined && drawLooking(seed);
  // A replay may order two shards otherwise, and make other outputs: what the next pipeline has seen of them stays.
  const isOrderFixed = keyForm !== 'across' && records.every(({ value }) => value.other === undefined);
  const mayRewind = !kills && !hasPause && (next === undefined || isOrderFixed);
  const rewinds = mayRewind && repartition === undefined && next === undefined;
  const rewind = mayRewind ? drawRewind(seed, spreadMs) : undefined;
  const drawnFork = rewinds && rewind?.deltas === undefined ? drawFork(seed, spreadMs) : undefined;
  // With parallel lanes nothing proves what a pipeline has published that is to be replaced.
  const fork = drawnFork?.replaces === true && parallelizationFactor > 1 ? undefined : drawnFork;
  const mayBeEarly = !kills && rewind === undefined && fork === undefined;
  // Of a restored item nothing tells which of a parallel lane's records have a letter in it.
  const isLate = rewinds && rewind === undefined && parallelizationFactor === 1 && hasNoKey(poison);
  return {
    seed,
    workload,
    next,
    repartition,
    looks,
    shards: 1 + upTo(2),
    parallelizationFactor,
    lowersFactor: parallelizationFactor > 1 && reshards.length === 0 && chance(0.3),
    raisesFactor: parallelizationFactor > 1 && drawRaise(seed),
    batchSize: 1 + upTo(8),
    batchingWindowMs: pick([0, 0, 500, 3_000]),
    bisectOnError: chance(0.5),
    timeoutMs: kills ? 12_000 : pick([6_000, 15_000, 60_000, 900_000]),
    sinkRequestSize: pick([1, 2, 3, 500]),
    // Marks by provenance need it: the order of an output's lane goes on from a shard to its children.
    parentsFirst: next !== undefined || chance(0.85) || repartition !== undefined,
    pollIntervalMs: hasPause ? 600_000 : 1_000,
    records,
    reshards,
    faults: drawFaults(random, kills),
    inlineStateBytes,
    sweeps: inlineStateBytes === undefined ? undefined : drawSweeps(seed, spreadMs + 5_000),
    mending:
      poison === undefined || hasPause
        ? undefined
        : drawMending(
            seed,
            records,
            inlineStateBytes !== undefined,
            isLate,
            mayBeEarly ? spreadMs : undefined,
          ),
    rewind,
    fork,
    // With parallel lanes nothing proves that another lane's entries are published, and they may fill an item for ever.
    roomBytes:
      parallelizationFactor > 1
        ? undefined
        : drawRoomBytes(seed, workloadOf({ workload, repartition, looks })),
  };
}

/** Some worlds look rows up. */
function drawLooking(seed: number): boolean {
  return seededRandom(seed ^ 0xbb67ae85)() < LOOKING_SHARE;
}

/** One world in six re-keys. */
function drawRepartition(seed: number): number | undefined {
  const random = seededRandom(seed ^ 0x6a09e667);
  return random() < 1 / 6 ? Math.floor(random() * REPARTITIONED.length) : undefined;
}

/** Of the worlds with parallel lanes. */
function drawRaise(seed: number): boolean {
  return seededRandom(seed ^ 0x9b05688c)() < RAISED_SHARE;
}

/** In some worlds all states are spilled, and in some those that grow. */
function drawInlineStateBytes(seed: number): number | undefined {
  const random = seededRandom(seed ^ 0x3c6ef372);
  return random() < 0.2 ? Math.floor(random() * 40) : undefined;
}

/** Sweeps while records come, of objects that are taken for old and of such as are. */
function drawSweeps(seed: number, spreadMs: number): readonly PlannedSweep[] {
  const random = seededRandom(seed ^ 0x1f83d9ab);
  return Array.from({ length: Math.floor(random() * 4) }, () => ({
    atMs: random() * 2 * spreadMs,
    aheadMs: random() < 0.8 ? 24 * HOUR_MS : 0,
  }));
}

/** Sweeps behind a pause, while operators take up what they had begun before it. */
function drawLateSweeps(seed: number): Pick<PlannedMending, 'sweeps' | 'pauseAtMs'> {
  const random = seededRandom(seed ^ 0x5be0cd19);
  const pauseAtMs = random() * 20_000;
  const sweeps = Array.from({ length: Math.floor(random() * 10) }, () => ({
    atMs: pauseAtMs + random() * 30_000,
    aheadMs: 0,
  }));
  return { pauseAtMs, sweeps };
}

/** In some worlds a few records fill an outbox. */
function drawRoomBytes(seed: number, { leastRoomBytes }: Workload): number | undefined {
  const random = seededRandom(seed ^ 0x1b873593);
  return random() < 0.15 ? Math.floor(leastRoomBytes * (1 + random())) : undefined;
}

/** Records like those of before, and operators. */
function drawMending(
  seed: number,
  records: readonly PlannedRecord[],
  spills: boolean,
  mayRewind: boolean,
  earlySpreadMs: number | undefined,
): PlannedMending {
  const rewind = mayRewind ? drawLateRewind(seed) : undefined;
  const early = seededRandom(seed ^ 0x71374491);
  const isEarly = earlySpreadMs !== undefined && rewind === undefined && early() < EARLY_SHARE;
  const random = seededRandom(seed ^ 0x2545f491);
  const spreadMs = random() < 0.5 ? 60_000 : 5_000;
  const later = records.map(({ partitionKey, value }): PlannedRecord => ({
    atMs: random() * spreadMs,
    partitionKey,
    value: { ...value, id: `${value.id}b` },
    isSentAgain: false,
    isAggregated: false,
  }));
  return {
    operators: random() < 0.5 ? 1 : 2,
    dropProbability: random() < 0.5 || rewind !== undefined ? 0 : 0.2,
    records: later.filter(() => random() < 0.6),
    faults: drawFaults(random, false),
    ...(isEarly && { earlyMs: early() * (earlySpreadMs + 10_000) }),
    ...(spills && rewind === undefined && drawLateSweeps(seed)),
    ...(rewind !== undefined && { rewind }),
  };
}

/** In some worlds. @param spreadMs for how long records come. */
export function drawRewind(seed: number, spreadMs: number): RewindPlan | undefined {
  const random = seededRandom(seed ^ 0x510e527f);
  if (random() >= REWIND_SHARE) return undefined;
  const deaths = random() < 0.5 ? 0 : 1 + Math.floor(random() * 2);
  return {
    ...drawDeltas(seed, spreadMs),
    checkpointAfterMs: random() * spreadMs,
    rewindAfterMs: random() * spreadMs,
    outputs: random() < 0.8 ? 'same' : 'again',
    disables: random() < 0.7,
    deaths,
    ends: random() < 0.75 ? 'resume' : 'undo',
  };
}

/** In some worlds. @param spreadMs for how long records come. */
export function drawFork(seed: number, spreadMs: number): ForkPlan | undefined {
  const random = seededRandom(seed ^ 0x59f111f1);
  if (random() >= FORK_SHARE) return undefined;
  const replaces = random() < 0.3;
  return {
    checkpointAfterMs: random() * spreadMs,
    forkAfterMs: random() * spreadMs,
    replaces,
    sharesFactor: replaces || random() < 0.5,
    disables: random() < 0.5,
    deaths: random() < 0.5 ? 0 : 1 + Math.floor(random() * 2),
    ends: random() < UNDONE_SHARE ? 'undo' : 'resume',
  };
}

/** In some worlds the checkpoint is the last of several, each a delta of the one before. */
function drawDeltas(seed: number, spreadMs: number): Pick<RewindPlan, 'deltas'> {
  const random = seededRandom(seed ^ 0x3956c25b);
  if (random() >= DELTA_SHARE) return {};
  return {
    deltas: {
      everyMs: Array.from({ length: 1 + Math.floor(random() * 3) }, () => (random() * spreadMs) / 2),
      fullEvery: 2 + Math.floor(random() * 4),
      keepLast: 1 + Math.floor(random() * 3),
      deletes: random() < 0.3,
    },
  };
}

/** A scan that takes seconds, among operators who redrive letters. */
function drawLateRewind(seed: number): RewindPlan | undefined {
  const random = seededRandom(seed ^ 0x428a2f98);
  if (random() >= LATE_REWIND_SHARE) return undefined;
  return {
    checkpointAfterMs: random() * 15_000,
    rewindAfterMs: random() * 30_000,
    readUnitsPerSecond: 1 + random() * 20,
    outputs: random() < 0.8 ? 'same' : 'again',
    disables: random() < 0.7,
    deaths: Math.floor(random() * 2),
    ends: 'resume',
  };
}

/** Of the worlds with neither a repartition nor a next pipeline. */
const LOOKING_SHARE = 0.06;

/** Of the worlds with parallel lanes. */
const RAISED_SHARE = 0.3;

/** Of the worlds with poison, without a rewind. */
const EARLY_SHARE = 0.4;

/** Of the worlds with letters that have no key, and without an earlier rewind. */
const LATE_REWIND_SHARE = 0.5;

/** How many of these have deltas. */
const DELTA_SHARE = 0.5;

/** Of the forks; they are begun again. */
const UNDONE_SHARE = 0.25;

/** Of the worlds that may be rewound, and have neither a repartition nor a next pipeline. */
const FORK_SHARE = 0.1;

/** How many worlds have one. */
const REWIND_SHARE = 0.25;

export interface SimulationResult {
  readonly violations: readonly string[];
  readonly story: readonly string[];
  readonly happened: Readonly<Partial<Record<Fault, number>>>;
  readonly requests: number;
  /** Records that were late for nothing but what their shard was lifted to while it was idle. */
  readonly excused: number;
}

/** Runs a planned world. @param isTold whether the story is wanted. */
export async function simulate(plan: WorldPlan, isTold = false): Promise<SimulationResult> {
  const random = seededRandom(plan.seed ^ 0x5bd1e995);
  const world = new World({ random, faults: plan.faults, startMs: START_MS, isTold });
  killing.world = world;
  const stream = new MemoryStream('input', plan.shards, 24 * HOUR_MS);
  const { pipeline, next, wrongIn, windows } = workloadOf(plan);
  // Behind a pause ids have been forgotten, as they should be.
  const hasPause = plan.mending?.pauseAtMs !== undefined;
  const following = plan.next === undefined ? undefined : next?.pipelines[plan.next];
  const middleName = pipeline.definition.repartition?.sink.name ?? next?.sink ?? 'middle';
  const middle = new MemoryStream(middleName, 1 + (plan.seed % 2), 24 * HOUR_MS);
  const common = {
    batchSize: plan.batchSize,
    batchingWindowMs: plan.batchingWindowMs,
    parallelizationFactor: plan.parallelizationFactor,
    firstFactor: plan.raisesFactor === true ? 1 : undefined,
    bisectOnError: plan.bisectOnError,
    timeoutMs: plan.timeoutMs,
    inlineStateBytes: plan.inlineStateBytes,
    sinkRequestSize: plan.sinkRequestSize,
    parentsFirst: plan.parentsFirst,
    pollIntervalMs: plan.pollIntervalMs,
  };
  const sinkStreams = new Map(following && next ? [[next.sink, middle]] : []);
  const { roomBytes } = plan;
  const deployed = world.deploy({
    ...common,
    pipeline,
    stream,
    innerStream: middle,
    sinkStreams,
    roomBytes,
    wrongIn: hasPause ? undefined : wrongIn,
    windows,
    timerSweepIntervalMs: plan.time?.sweepIntervalMs,
  });
  for (const atMs of plan.time?.sweepsAtMs ?? []) world.plan(START_MS + atMs, () => deployed.sweepTimers());
  if (following !== undefined) world.deploy({ ...common, pipeline: following, stream: middle });
  if (plan.rewind !== undefined) deployed.rewind(plan.rewind);
  const { fork } = plan;
  const forked =
    fork &&
    world.deploy({
      ...common,
      pipeline: {
        ...pipeline,
        definition: { ...pipeline.definition, name: `${pipeline.definition.name}-fork` },
      },
      stream,
      parallelizationFactor: fork.sharesFactor ? plan.parallelizationFactor : 1,
      firstFactor: undefined,
      roomBytes,
      wrongIn: hasPause ? undefined : wrongIn,
      windows,
      timerSweepIntervalMs: plan.time?.sweepIntervalMs,
      forkOf: deployed,
      isLive: fork.replaces,
    });
  if (fork !== undefined) forked?.fork(fork);
  // One aggregate of all that the producer gathered, with the partition keys that it took for those of one shard.
  const gathered = plan.records.filter(({ isAggregated }) => isAggregated);
  if (gathered.length > 0) {
    const users = gathered.map(({ partitionKey, value }) => ({ partitionKey, data: bytesOf(value) }));
    world.plan(START_MS + Math.max(...gathered.map(({ atMs }) => atMs)), () =>
      world.putAggregate(stream, users),
    );
  }
  for (const { atMs, partitionKey, value, isSentAgain, isAggregated } of plan.records) {
    if (isAggregated) continue;
    world.plan(START_MS + atMs, () => world.put(stream, partitionKey, bytesOf(value).toString('base64')));
    if (isSentAgain) {
      world.plan(START_MS + atMs + random() * 5_000, () =>
        world.put(stream, partitionKey, bytesOf(value).toString('base64')),
      );
    }
  }
  for (const { atMs, kind, pick, isMiddle } of plan.reshards) {
    world.plan(START_MS + atMs, () => {
      const resharded = isMiddle ? middle : stream;
      const open = resharded.openShards;
      const shard = open[Math.floor(pick * open.length)];
      if (shard === undefined) return;
      world.tell(`${kind} ${resharded.name} ${shard.shardId.slice(-2)}`);
      if (kind === 'split') resharded.split(shard);
      else resharded.merge(shard);
    });
  }
  let raisedMs = START_MS;
  if (plan.raisesFactor === true) {
    const factor = plan.parallelizationFactor;
    const atMs = START_MS + random() * 20_000;
    raisedMs = atMs + random() * 20_000;
    world.plan(atMs, () => deployed.tellFunction(factor));
    world.plan(raisedMs, () => deployed.changeMapping(factor));
  }
  const lastMs = Math.max(0, ...plan.records.map(({ atMs }) => atMs));
  for (let atMs = EXPIRY_INTERVAL_MS; atMs < lastMs; atMs += EXPIRY_INTERVAL_MS)
    world.plan(START_MS + atMs, () => deployed.expire());
  if (plan.lowersFactor) {
    const atMs = raisedMs + random() * 20_000;
    const mappingMs = random() * 20_000;
    // A function that has never run with the higher factor could not note it: README says so.
    world.plan(atMs, () => {
      if (!deployed.hasNotedLanes) return;
      deployed.tellFunction(1);
      world.plan(world.time.nowMs + mappingMs, () => deployed.changeMapping(1));
    });
  }
  const sweep = ({ atMs, aheadMs }: PlannedSweep): void =>
    world.plan(world.time.nowMs + atMs, () => deployed.sweep(aheadMs));
  for (const each of plan.sweeps ?? []) sweep(each);
  mending.isMended = false;
  const deploy = ({ operators, dropProbability }: PlannedMending): void => {
    if (mending.isMended) return;
    mending.isMended = true;
    world.tell('the code is mended');
    deployed.mend(operators, dropProbability);
    forked?.mend(operators, dropProbability);
  };
  const mend = (planned: PlannedMending): void => {
    const { faults, records, sweeps, pauseAtMs, rewind } = planned;
    world.faults.add(faults);
    deploy(planned);
    if (rewind !== undefined) deployed.rewind(rewind);
    for (const { atMs, partitionKey, value } of records) {
      world.plan(world.time.nowMs + atMs, () =>
        world.put(stream, partitionKey, bytesOf(value).toString('base64')),
      );
    }
    for (const each of sweeps ?? []) sweep(each);
    if (pauseAtMs !== undefined) world.time.after(pauseAtMs, () => world.passAtRest(LONG_PAUSE_MS));
  };
  const planned = plan.mending;
  if (planned?.earlyMs !== undefined) world.planWhenQuiet(START_MS + planned.earlyMs, () => deploy(planned));
  const violations = await world.run(planned && (() => mend(planned)));
  const { story, requests } = world;
  const { happened } = world.faults;
  return { violations, story, happened, requests, excused: deployed.checker.time?.excused ?? 0 };
}

function workloadOf({
  workload,
  repartition,
  looks,
  time,
}: Pick<WorldPlan, 'workload' | 'repartition' | 'looks' | 'time'>): Workload {
  if (time !== undefined) return timedWorkload(time.workload);
  if (looks === true) return LOOKING;
  return (repartition === undefined ? WORKLOADS[workload] : REPARTITIONED[repartition]) as Workload;
}

function bytesOf(value: Value): Buffer {
  const text = value.poison === 'decode' ? `not JSON ${value.id}` : JSON.stringify(value);
  return Buffer.from(text);
}

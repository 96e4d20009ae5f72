import { outerSourceOf, type KinesisSource, type Pipeline } from '../pipeline/definition.ts';
import { seededRandom } from './seeded-random.ts';
import { drawFaults } from './simulator/drawn-faults.ts';
import { NO_FAULTS, type Fault, type FaultBudget } from './simulator/faults.ts';
import { MemoryStream } from './simulator/memory-stream.ts';
import type { SimulatedPipeline, SimulatedPipelineOptions } from './simulator/simulated-pipeline.ts';
import { World } from './simulator/world.ts';

/** When the first record of a test arrives: 2027-01-15T08:00:00Z, so that nothing hangs on today. */
export const TEST_START_MS = 1_800_000_000_000;

/** A record as a test has sent it. */
export interface SentRecord {
  /** As the test gave it, to be shown. */
  readonly shown: unknown;
  readonly partitionKey: string;
  /** base64. */
  readonly data: string;
  /** By the test's clock, milliseconds since the epoch. */
  readonly sentMs: number;
}

/** An output as a consumer sees it that skips what it has seen. */
export interface Output {
  readonly sink: string;
  readonly id: string;
  readonly key: string;
  readonly value: unknown;
  readonly isChange: boolean;
}

/** A pipeline deployed in memory. */
export interface TestWorld {
  readonly world: World;
  readonly stream: MemoryStream;
  /** The internal stream of a repartition. */
  readonly innerStream: MemoryStream | undefined;
  readonly deployed: SimulatedPipeline;
}

/** What a record is allowed before its world is taken for stuck: each of its keys takes some ten happenings. */
const HAPPENINGS_PER_RECORD = 1_000;
const LEAST_HAPPENINGS = 2_000;
/** Long timeouts and freezes are polled through. */
const FAULTY_HAPPENINGS = 60_000;

/** Each batch comes again, and the mapping restarts at every other, while any are left. */
const REDELIVERIES_LIKELIER = 10;

/** How a world without faults reads its stream. */
export interface QuietWorldOptions {
  /** How many records are run to rest at a time. */
  readonly recordsLimit: number;
  /** One unless given; of the internal stream of a repartition likewise. */
  readonly shards?: number;
  readonly innerShards?: number;
  /** A batch has so many records where so many are there: one unless given. */
  readonly batchSize?: number;
  /** How many batches at most come a second time, and how often the mapping goes on from an earlier place. */
  readonly redeliveries?: number;
}

/** In order and without faults, but for batches that come again where that is asked for. */
export function quietWorld(
  pipeline: Pipeline,
  { recordsLimit, shards = 1, innerShards = 1, batchSize = 1, redeliveries = 0 }: QuietWorldOptions,
): TestWorld {
  const world = new World({
    random: seededRandom(1),
    faults: { ...NO_FAULTS, duplicated: redeliveries, restartedMapping: redeliveries },
    likelier: REDELIVERIES_LIKELIER,
    startMs: TEST_START_MS,
    isTold: false,
    happeningsLimit: LEAST_HAPPENINGS + recordsLimit * HAPPENINGS_PER_RECORD,
  });
  return deploy(world, pipeline, shards, innerShards, {
    batchSize,
    batchingWindowMs: 0,
    parallelizationFactor: 1,
    bisectOnError: false,
    timeoutMs: 60_000,
    sinkRequestSize: 500,
    pollIntervalMs: 1_000,
    ...(batchSize > 1 && { chooseBatchSize: (maximum: number) => maximum }),
  });
}

type Settings = Omit<
  SimulatedPipelineOptions,
  'pipeline' | 'stream' | 'innerStream' | 'sinkStreams' | 'parentsFirst'
>;

function deploy(
  world: World,
  pipeline: Pipeline,
  shards: number,
  innerShards: number,
  settings: Settings,
): TestWorld {
  const { definition } = pipeline;
  const stream = memoryStream(outerSourceOf(definition), shards);
  const innerStream = definition.repartition && memoryStream(definition.source, innerShards);
  const deployed = world.deploy({ pipeline, stream, innerStream, parentsFirst: true, ...settings });
  return { world, stream, innerStream, deployed };
}

function memoryStream({ stream, retentionHours }: KinesisSource, shards: number): MemoryStream {
  return new MemoryStream(stream, shards, retentionHours * 3_600_000);
}

/** What came of one world. */
export interface WorldResult {
  readonly violations: readonly string[];
  readonly outputs: readonly Output[];
  readonly happened: Readonly<Partial<Record<Fault, number>>>;
}

/** As the template's schedule does. */
const SWEEP_INTERVAL_MS = 60_000;

/** Pauses of a test that are longer are waited for at rest, not by polling the stream all the while. */
const LONG_PAUSE_MS = 60_000;

/**
 * Runs the records in a world that the seed decides: shards, batches, timing, faults.
 * @param isOneShard where the order of all records must be the order in which they were sent.
 */
export async function runFaultyWorld(
  pipeline: Pipeline,
  records: readonly SentRecord[],
  seed: number,
  isOneShard: boolean,
): Promise<WorldResult> {
  const random = seededRandom(seed);
  const upTo = (limit: number): number => Math.floor(random() * (limit + 1));
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const faults: FaultBudget = drawFaults(random, false);
  const world = new World({
    random: seededRandom(seed ^ 0x5bd1e995),
    faults,
    startMs: TEST_START_MS,
    isTold: false,
    happeningsLimit: FAULTY_HAPPENINGS + records.length * HAPPENINGS_PER_RECORD,
  });
  const innerShards = isOneShard ? 1 : 1 + (seed % 2);
  const testWorld = deploy(world, pipeline, isOneShard ? 1 : 1 + upTo(2), innerShards, {
    batchSize: 1 + upTo(9),
    batchingWindowMs: pick([0, 0, 500, 3_000]),
    // Drawn in any case: a seed's world is the same. With an event time the construct refuses more than one.
    parallelizationFactor: !isOneShard && random() < 0.2 && pipeline.definition.time === undefined ? 2 : 1,
    bisectOnError: random() < 0.5,
    timeoutMs: pick([6_000, 15_000, 60_000, 900_000]),
    sinkRequestSize: pick([1, 2, 3, 500]),
    pollIntervalMs: 1_000,
    // What fired and could not be published waits for the next sweep, as it does for the template's schedule.
    ...(pipeline.definition.time !== undefined && { timerSweepIntervalMs: SWEEP_INTERVAL_MS }),
  });
  const spreadMs = pick([50, 2_000, 20_000]);
  if (!isOneShard && random() < 0.3) planReshard(testWorld, random() * spreadMs, random);
  const violations = await runRecords(testWorld, records, random, spreadMs);
  return { violations, outputs: outputsOf(testWorld.deployed), happened: world.faults.happened };
}

/** Runs the records in a quiet world, as `send` does. */
export async function runQuietWorld(
  pipeline: Pipeline,
  records: readonly SentRecord[],
): Promise<WorldResult> {
  const quiet = quietWorld(pipeline, { recordsLimit: records.length });
  const violations = await runRecords(quiet, records, () => 0, 0);
  return { violations, outputs: outputsOf(quiet.deployed), happened: {} };
}

/** Puts records in their order, those of one moment spread over a time, and runs until all is at rest. */
async function runRecords(
  { world, stream }: TestWorld,
  records: readonly SentRecord[],
  random: () => number,
  spreadMs: number,
): Promise<readonly string[]> {
  let violations: readonly string[] = [];
  let at = 0;
  while (at < records.length) {
    const { sentMs } = records[at] as SentRecord;
    let end = at;
    while (end < records.length && (records[end] as SentRecord).sentMs < sentMs + LONG_PAUSE_MS) end++;
    world.time.pass(Math.max(0, sentMs - world.time.nowMs));
    const group = records.slice(at, end);
    const times = group.map(() => random() * spreadMs).toSorted((a, b) => a - b);
    for (const [place, record] of group.entries()) {
      const atMs = world.time.nowMs + (record.sentMs - sentMs) + (times[place] as number);
      world.plan(atMs, () => world.put(stream, record.partitionKey, record.data));
    }
    violations = await world.run();
    at = end;
  }
  return violations;
}

function planReshard({ world, stream, innerStream }: TestWorld, afterMs: number, random: () => number): void {
  const resharded = innerStream !== undefined && random() < 0.5 ? innerStream : stream;
  world.plan(TEST_START_MS + afterMs, () => {
    const shard = resharded.openShards[Math.floor(random() * resharded.openShards.length)];
    if (shard === undefined) return;
    if (random() < 0.6) resharded.split(shard);
    else resharded.merge(shard);
  });
}

/**
 * What a consumer sees that skips ids that it has seen, and changes that are older than one it has seen of the same
 * source and key, in the order in which they come.
 */
export function outputsOf(deployed: SimulatedPipeline): Output[] {
  const seen = new Set<string>();
  const newest = new Map<string, number>();
  const outputs: Output[] = [];
  for (const [sink, deliveries] of deployed.checker.deliveries) {
    for (const { id, destinationKey: key, json, pk, entry } of deliveries) {
      const source = JSON.stringify([sink, pk, key]);
      const isOld = entry.isChange && entry.revision < (newest.get(source) ?? 0);
      if (seen.has(id) || isOld) continue;
      seen.add(id);
      newest.set(source, entry.revision);
      outputs.push({ sink, id, key, value: JSON.parse(json) as unknown, isChange: entry.isChange });
    }
  }
  return outputs;
}

import { CHECKPOINT_DEFAULTS } from '../../shared/checkpoint/checkpoint-defaults.ts';
import { readUnits, writeUnits } from '../../shared/state/attribute-bytes.ts';
import { countBatch, type CountedBatch } from './counted-batch.ts';
import {
  countCheckpoints,
  type CheckpointShape,
  type CountedCheckpoint,
  type CountedCheckpoints,
} from './counted-checkpoints.ts';
import { HOURS_PER_MONTH, LIST_PRICES as PRICES, SECONDS_PER_MONTH } from './list-prices.ts';
import { recordsPerBatch, shardsOf, type StreamShape } from './stream-shape.ts';

/** What is not counted and has to be taken as given. Each is said with the result. */
export interface Assumptions {
  /** One round trip to DynamoDB or Kinesis within the region, milliseconds. */
  readonly requestMs: number;
  /** What one vCPU of Flink or Spark processes of keyed aggregates. */
  readonly recordsPerCoreSecond: number;
}

export const ASSUMED: Assumptions = { requestMs: 10, recordsPerCoreSecond: 10_000 };

/** One line of a bill. */
export interface CostPart {
  readonly what: string;
  /** A month. */
  readonly dollars: number;
}

/** What one way to process the stream costs. */
export interface MonthlyCost {
  readonly way: Way;
  /** A month of 730 hours. */
  readonly dollars: number;
  readonly parts: readonly CostPart[];
}

export const WAYS = {
  tidemark: 'Tidemark',
  idempotentLambda: 'Lambda with Powertools idempotency',
  flink: 'Managed Service for Apache Flink',
  spark: 'Spark on EMR Serverless',
} as const;
export type Way = keyof typeof WAYS;

/** How a stream of some shape is processed, and what that costs in each way. */
export interface CostPage {
  readonly shards: number;
  readonly batch: CountedBatch;
  readonly checkpoints: CountedCheckpoints;
  readonly batchesPerSecond: number;
  /** How long the function works on a batch, milliseconds: round trips and CPU. */
  readonly batchMs: number;
  /** Whether one invocation at a time for each shard is fast enough. */
  readonly keepsUp: boolean;
  readonly costs: Readonly<Record<Way, MonthlyCost>>;
}

const GB = 1024 ** 3;
const MILLION = 1_000_000;

/**
 * CPU of the AWS SDK and of the engine, milliseconds on one vCPU: measured against local endpoints under Node 20
 * (requests) and by `npm run bench` (records).
 */
const CPU_MS = { batchRead: 1.5, batchWrite: 0.9, putRecords: 3, plainRequest: 0.6, record: 0.02 };
/** Memory with which a function has one vCPU (AWS Lambda, "Configure function memory"). */
const MB_PER_VCPU = 1_769;

/** Of the construct: see pipeline-alarms.ts and batch-metrics.ts. */
const ALARMS = 8;
const METRICS = 15;
/** A line of metrics and Lambda's own start and report, of each invocation. */
const LOG_BYTES = 2_500;
/** X-Ray's default rule: the first of each second, and of the others one in twenty. */
const TRACED_SHARE = 0.05;

/** Of an item that a function writes by itself: its key, and names of attributes. */
const PLAIN_ITEM_BYTES = 60;
/** Of a record of Powertools idempotency: function, hash, status and two times; no result is kept. */
const IDEMPOTENCY_RECORD_BYTES = 250;

const FLINK_STORAGE_GB_PER_KPU = 50;
const GB_PER_CORE = 4;

/** Counts a batch and a day of checkpoints of this shape, and prices them in each way. */
export async function costPage(
  shape: StreamShape,
  assumptions: Assumptions,
  count: typeof countBatch = countBatch,
  countDay: typeof countCheckpoints = countCheckpoints,
): Promise<CostPage> {
  const shards = shardsOf(shape);
  const records = recordsPerBatch(shape);
  const keys = keysOfShard(shape.keys, shards);
  const batch = await count({ records, keys, stateBytes: shape.stateBytes });
  const checkpoints = await countDay(checkpointShapeOf(shape));
  const batchesPerSecond = shape.recordsPerSecond / records;
  const cpuMs =
    batch.readRequests * CPU_MS.batchRead +
    batch.writeRequests * CPU_MS.batchWrite +
    batch.sinkRequests * CPU_MS.putRecords +
    records * CPU_MS.record;
  const batchMs = batch.rounds * assumptions.requestMs + scaled(cpuMs, shape);
  const setting = { shape, batch, checkpoints, batchesPerSecond, batchMs, ...assumptions };
  return {
    shards,
    batch,
    checkpoints,
    batchesPerSecond,
    batchMs,
    keepsUp: (batchesPerSecond / shards) * (batchMs / 1_000) < 1,
    costs: {
      tidemark: tidemark(setting),
      idempotentLambda: idempotentLambda(setting),
      flink: flink(setting),
      spark: spark(setting),
    },
  };
}

interface Setting extends Assumptions {
  readonly shape: StreamShape;
  readonly batch: CountedBatch;
  readonly checkpoints: CountedCheckpoints;
  readonly batchesPerSecond: number;
  readonly batchMs: number;
}

/** Of these alone depends what checkpoints store and ask for: not of the rate. */
function checkpointShapeOf(shape: StreamShape): CheckpointShape {
  const { keys, stateBytes, changedShare, fullEvery, memoryMb } = shape;
  return { keys, stateBytes, changedShare, fullEvery, memoryMb };
}

function tidemark({ shape, batch, checkpoints, batchesPerSecond, batchMs }: Setting): MonthlyCost {
  const batches = batchesPerSecond * SECONDS_PER_MONTH;
  const stored = (shape.keys * batch.itemBytes) / GB;
  const { segments } = CHECKPOINT_DEFAULTS;
  const scans = HOURS_PER_MONTH * segments * readUnits((shape.keys * batch.itemBytes) / segments);
  const { full, delta, standing, idlePuts } = checkpoints;
  return sum('tidemark', {
    'DynamoDB writes': writes(batches * batch.wcu),
    'DynamoDB reads, no item in memory': reads(batches * batch.rcu),
    'S3, spilled states': requests(batches * batch.blobPuts, batches * batch.blobGets),
    'DynamoDB storage and recovery': stored * (PRICES.dynamoDb.gbMonth + PRICES.dynamoDb.recoveryGbMonth),
    'Checkpoints, one an hour: scans of the table': reads(scans) + requests(HOURS_PER_MONTH * idlePuts, 0),
    'Checkpoints in S3: full ones': kept(full, standing.fullBytes),
    'Checkpoints in S3: deltas': kept(delta, standing.deltaBytes),
    Lambda: lambda(batches, batchMs, shape),
    'Logs, metrics, alarms, traces': observed(batchesPerSecond),
  });
}

/**
 * Each record as an idempotent call that reads, folds and writes its key's item: a put that claims the record, a get and
 * a put of the state, an update that closes the claim. The records of a batch side by side, those of one key in a row.
 */
function idempotentLambda({ shape, batch, batchesPerSecond, requestMs }: Setting): MonthlyCost {
  const records = shape.recordsPerSecond * SECONDS_PER_MONTH;
  const batches = batchesPerSecond * SECONDS_PER_MONTH;
  const itemBytes = shape.stateBytes + PLAIN_ITEM_BYTES;
  const requests = 4;
  const claimed = 2 * writeUnits(0, IDEMPOTENCY_RECORD_BYTES);
  const cpuMs = batch.records * (requests * CPU_MS.plainRequest + CPU_MS.record);
  const batchMs = Math.max(batch.recordsOfOneKey * requests * requestMs, scaled(cpuMs, shape));
  const stored = (shape.keys * itemBytes) / GB;
  return sum('idempotentLambda', {
    'DynamoDB writes': writes(records * (claimed + writeUnits(0, itemBytes))),
    'DynamoDB reads': reads(records * readUnits(itemBytes)),
    'DynamoDB storage and recovery': stored * (PRICES.dynamoDb.gbMonth + PRICES.dynamoDb.recoveryGbMonth),
    Lambda: lambda(batches, batchMs, shape),
    'Logs, metrics, alarms, traces': observed(batchesPerSecond),
  });
}

/** As few KPUs as the records and the state need, and the one that runs them. */
function flink({ shape, recordsPerCoreSecond }: Setting): MonthlyCost {
  const byState = (shape.keys * shape.stateBytes) / GB / FLINK_STORAGE_GB_PER_KPU;
  const kpus = Math.max(1, Math.ceil(shape.recordsPerSecond / recordsPerCoreSecond), Math.ceil(byState));
  return sum('flink', {
    [`${kpus + 1} KPUs, one of them for orchestration`]: (kpus + 1) * HOURS_PER_MONTH * PRICES.flink.kpuHour,
    'Running application storage': kpus * FLINK_STORAGE_GB_PER_KPU * PRICES.flink.storageGbMonth,
  });
}

/** A driver and as few executors as the records need, each of 1 vCPU, day and night. */
function spark({ shape, recordsPerCoreSecond }: Setting): MonthlyCost {
  const cores = 1 + Math.max(1, Math.ceil(shape.recordsPerSecond / recordsPerCoreSecond));
  const { vcpuHour, gbHour } = PRICES.emrServerless;
  return sum('spark', {
    [`${cores} workers of 1 vCPU, one of them the driver`]: cores * HOURS_PER_MONTH * vcpuHour,
    [`${GB_PER_CORE} GB of memory each`]: cores * GB_PER_CORE * HOURS_PER_MONTH * gbHour,
  });
}

function sum(way: Way, dollarsByPart: Readonly<Record<string, number>>): MonthlyCost {
  const parts = Object.entries(dollarsByPart)
    .filter(([, dollars]) => dollars > 0)
    .map(([what, dollars]) => ({ what, dollars }));
  return { way, dollars: parts.reduce((total, { dollars }) => total + dollars, 0), parts };
}

function writes(units: number): number {
  return (units / MILLION) * PRICES.dynamoDb.millionWriteUnits;
}

function reads(units: number): number {
  return (units / MILLION) * PRICES.dynamoDb.millionReadUnits;
}

function requests(puts: number, gets: number): number {
  return (puts * PRICES.s3.thousandPuts + gets * PRICES.s3.thousandGets) / 1_000;
}

/** Checkpoints of a kind, in S3: what stands there, and what is asked for. */
function kept({ aDay, puts, gets }: CountedCheckpoint, bytes: number): number {
  const taken = (HOURS_PER_MONTH / 24) * aDay;
  return (bytes / GB) * PRICES.s3.gbMonth + requests(taken * puts, taken * gets);
}

function lambda(invocations: number, ms: number, { memoryMb }: StreamShape): number {
  const gbSeconds = invocations * (Math.ceil(ms) / 1_000) * (memoryMb / 1_024);
  return (invocations / MILLION) * PRICES.lambda.millionRequests + gbSeconds * PRICES.lambda.gbSecond;
}

function observed(invocationsPerSecond: number): number {
  const { metricMonth, alarmMonth, dashboardMonth, logGb } = PRICES.cloudWatch;
  const traced = Math.min(invocationsPerSecond, 1) + Math.max(0, invocationsPerSecond - 1) * TRACED_SHARE;
  return (
    METRICS * metricMonth +
    ALARMS * alarmMonth +
    dashboardMonth +
    ((invocationsPerSecond * SECONDS_PER_MONTH * LOG_BYTES) / GB) * logGb +
    ((traced * SECONDS_PER_MONTH) / MILLION) * PRICES.xRay.millionTraces
  );
}

/** Dealt by their keys; fewer keys than shards cannot be, and each shard has records of all of them. */
export function keysOfShard(keys: number, shards: number): number {
  return keys < shards ? keys : Math.round(keys / shards);
}

/** A function has a part of a vCPU, by its memory; one thread uses no more than one. */
function scaled(cpuMs: number, { memoryMb }: StreamShape): number {
  return cpuMs / Math.min(1, memoryMb / MB_PER_VCPU);
}

import { ItemCache } from '../../shared/engine/item-cache.ts';
import { ENGINE_LIMITS, type EngineLimits } from '../../shared/engine/limits.ts';
import { programOf } from '../../shared/engine/program.ts';
import type { Runtime } from '../../shared/engine/runtime.ts';
import type { DeadLetter } from '../../shared/output/dead-letter-store.ts';
import { MemoryDeadLetterStore } from '../../shared/output/memory-dead-letters.ts';
import type { Delivery, SinkPort } from '../../shared/output/sink-port.ts';
import { sinksOf, type Pipeline } from '../../shared/pipeline/definition.ts';
import { shardLane, partitionLane } from '../../shared/source/lane.ts';
import { compareSequences } from '../../shared/source/position.ts';
import type { RecordBatch, SourceRecord } from '../../shared/source/record.ts';
import { hashRange, MemoryShardRanges, type HashRange } from '../../shared/source/shard-ranges.ts';
import { MemoryBlobStore } from '../../shared/state/memory-blob-store.ts';
import { MemoryStateStore } from '../../shared/state/memory-state-store.ts';
import { blobName, unpackBlob } from '../../shared/state/spilled-states.ts';
import { SpillingStateStore } from '../../shared/state/spilling-state-store.ts';
import type { StateItem } from '../../shared/state/state-item.ts';
import { aggregate } from '../../shared/testing/kpl-aggregate.ts';

export const STREAM = 'input';
export const START_MS = 1_800_000_000_000;
/** As wide as Kinesis' own, and one digit longer from some record on. */
const SEQUENCE_BASE = 10n ** 56n - 5n;
/** Shards whose ranges a world knows. */
const SHARDS = 8;

/** A sink that keeps what it is given. */
export class MemorySink implements SinkPort {
  readonly maximumDeliveries = 500;
  readonly maximumBytes = 5_000_000;
  readonly delivered: Delivery[] = [];

  async deliver(deliveries: readonly Delivery[]): Promise<readonly boolean[]> {
    this.delivered.push(...deliveries);
    return deliveries.map(() => true);
  }

  /** The values, parsed, in order. */
  values(): unknown[] {
    return this.delivered.map(({ json }) => JSON.parse(json) as unknown);
  }
}

export interface TestWorld {
  readonly runtime: Runtime;
  readonly store: MemoryStateStore;
  readonly blobs: MemoryBlobStore;
  readonly sinks: ReadonlyMap<string, MemorySink>;
  readonly letters: Map<string, DeadLetter>;
  readonly closedLetters: Map<string, DeadLetter>;
  readonly logged: string[];
  /** By shard id. Each shard has the whole range unless a test says otherwise. */
  readonly ranges: Map<string, HashRange>;
  /** By shard, what was handed in of it: the stream still holds it. */
  readonly stream: Map<string, SourceRecord[]>;
  /** The virtual clock. */
  nowMs: number;
}

/** A runtime on memory ports for one pipeline. */
export function testWorld(
  pipeline: Pipeline,
  changes: Partial<Runtime> = {},
  limits: Partial<EngineLimits> = {},
  awaitsFork = false,
): TestWorld {
  const store = new MemoryStateStore({ awaitsFork });
  const blobs = new MemoryBlobStore(() => world.nowMs);
  const letters = new Map<string, DeadLetter>();
  const closedLetters = new Map<string, DeadLetter>();
  const logged: string[] = [];
  const stream = new Map<string, SourceRecord[]>();
  const whole = hashRange('0', String(2n ** 128n - 1n));
  const ranges = new Map(Array.from({ length: SHARDS }, (_, shard) => [shardId(shard), whole]));
  const sinks = new Map(sinksOf(pipeline.definition).map(({ name }) => [name, new MemorySink()]));
  const world: TestWorld = {
    nowMs: START_MS,
    store,
    blobs,
    sinks,
    letters,
    closedLetters,
    logged,
    ranges,
    stream,
    runtime: {
      program: programOf(pipeline.definition, { ...ENGINE_LIMITS, ...limits }),
      store: new SpillingStateStore({ store, blobs }),
      sinks,
      deadLetters: new MemoryDeadLetterStore(() => world.nowMs, letters),
      closedLetters: new MemoryDeadLetterStore(() => world.nowMs, closedLetters),
      shardRanges: new MemoryShardRanges(ranges),
      shardRecords: {
        from: async (of, from, until) => {
          const records = (stream.get(of.shard) ?? []).filter(
            ({ position: { sequence } }) =>
              (from === undefined || compareSequences(sequence, from.sequence) >= 0) &&
              compareSequences(sequence, until.sequence) <= 0,
          );
          return records.length === 0 ? undefined : { ...of, records };
        },
      },
      lanes: {
        lanes: async () =>
          [...ranges.keys()].map((shard) => ({ shard: shardLane(STREAM, shard), parents: [] })),
        behind: async () => 'records',
      },
      clock: { nowMs: () => world.nowMs },
      wait: async (ms) => void (world.nowMs += ms),
      log: {
        warn: (message) => void logged.push(message),
        error: (message) => void logged.push(message),
      },
      cache: new ItemCache(),
      parallelizationFactor: 1,
      generation: undefined,
      ...changes,
    },
  };
  return world;
}

/** Every state item with its states, wherever they are. */
export function wholeItems({ store, blobs }: Pick<TestWorld, 'store' | 'blobs'>): Map<string, StateItem> {
  const items = store.items();
  for (const [pk, item] of items) {
    const { spilled } = item;
    if (spilled === undefined) continue;
    const blob = blobs.bytes(blobName(pk, spilled));
    if (blob === undefined) throw new Error(`The states of ${pk} are missing`);
    items.set(pk, { ...item, states: unpackBlob(blob, pk, spilled) });
  }
  return items;
}

export interface TestRecord {
  readonly value: unknown;
  readonly partitionKey?: string;
  readonly arrivalMs?: number;
}

/** The record with this number (from 0) in a shard. */
export function sourceRecord(
  shard: number,
  number: number,
  { value, partitionKey = 'p', arrivalMs = START_MS + number }: TestRecord,
  parallelizationFactor = 1,
): SourceRecord {
  const lane = shardLane(STREAM, shardId(shard));
  return {
    position: { sequence: String(SEQUENCE_BASE + BigInt(number)), sub: 0 },
    partitionKey,
    lane: parallelizationFactor === 1 ? lane : partitionLane(lane, partitionKey),
    data: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64'),
    arrivalMs,
  };
}

/** The Kinesis record with this number, an aggregate of these records as the Kinesis Producer Library makes it. */
export function aggregateRecord(
  shard: number,
  number: number,
  values: readonly (TestRecord & { readonly explicitHashKey?: string })[],
  partitionKey = 'a',
): SourceRecord {
  const packed = aggregate(
    values.map((each) => ({
      partitionKey: each.partitionKey ?? 'p',
      ...(each.explicitHashKey !== undefined && { explicitHashKey: each.explicitHashKey }),
      data: Buffer.from(typeof each.value === 'string' ? each.value : JSON.stringify(each.value)),
    })),
  );
  return { ...sourceRecord(shard, number, { value: '', partitionKey }), data: packed.toString('base64') };
}

/** What is handed in stands in the world's stream. */
export function putInStream({ stream }: TestWorld, { shard, records }: RecordBatch): void {
  const all = new Map((stream.get(shard) ?? []).map((record) => [record.position.sequence, record]));
  for (const record of records) all.set(record.position.sequence, record);
  stream.set(
    shard,
    [...all.values()].toSorted((a, b) => compareSequences(a.position.sequence, b.position.sequence)),
  );
}

export function recordBatch(shard: number, records: readonly SourceRecord[]): RecordBatch {
  return {
    stream: STREAM,
    streamArn: `arn:aws:kinesis:eu-west-1:123456789012:stream/${STREAM}`,
    shardId: shardId(shard),
    shard: shardLane(STREAM, shardId(shard)),
    records,
  };
}

export function shardId(shard: number): string {
  return `shardId-${String(shard).padStart(12, '0')}`;
}

import { ItemCache } from '../../shared/engine/item-cache.ts';
import { programOf } from '../../shared/engine/program.ts';
import type { Runtime } from '../../shared/engine/runtime.ts';
import type { DeadLetter } from '../../shared/output/dead-letter-store.ts';
import type { Delivery, SinkPort } from '../../shared/output/sink-port.ts';
import { sinksOf, type Pipeline } from '../../shared/pipeline/definition.ts';
import { shardLane, partitionLane } from '../../shared/source/lane.ts';
import type { RecordBatch, SourceRecord } from '../../shared/source/record.ts';
import { MemoryStateStore } from '../../shared/state/memory-state-store.ts';

export const STREAM = 'input';
export const START_MS = 1_800_000_000_000;
/** As wide as Kinesis' own, and one digit longer from some record on. */
const SEQUENCE_BASE = 10n ** 56n - 5n;

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
  readonly sinks: ReadonlyMap<string, MemorySink>;
  readonly letters: Map<string, DeadLetter>;
  readonly logged: string[];
  /** The virtual clock. */
  nowMs: number;
}

/** A runtime on memory ports for one pipeline. */
export function testWorld(pipeline: Pipeline, changes: Partial<Runtime> = {}): TestWorld {
  const store = new MemoryStateStore();
  const letters = new Map<string, DeadLetter>();
  const logged: string[] = [];
  const sinks = new Map(sinksOf(pipeline.definition).map(({ name }) => [name, new MemorySink()]));
  const world: TestWorld = {
    nowMs: START_MS,
    store,
    sinks,
    letters,
    logged,
    runtime: {
      program: programOf(pipeline.definition),
      store,
      sinks,
      deadLetters: { put: async (name, letter) => void letters.set(name, letter) },
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

export function recordBatch(shard: number, records: readonly SourceRecord[]): RecordBatch {
  return { stream: STREAM, shard: shardLane(STREAM, shardId(shard)), records };
}

function shardId(shard: number): string {
  return `shardId-${String(shard).padStart(12, '0')}`;
}

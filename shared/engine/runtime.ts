import type { DeadLetterStore } from '../output/dead-letter-store.ts';
import type { SinkPort } from '../output/sink-port.ts';
import type { ShardRanges } from '../source/shard-ranges.ts';
import type { ShardRecords } from '../source/shard-records.ts';
import type { StateStore } from '../state/state-store.ts';
import type { Clock } from '../time/clock.ts';
import type { SourceLanes } from '../time/source-lanes.ts';
import type { ItemCache } from './item-cache.ts';
import type { KnownLaneTimes } from './lane-times.ts';
import type { Program } from './program.ts';
import type { RejectedRecords } from './rejected-records.ts';

/** What the engine has to say to people: names, numbers and reasons, never the contents of records. */
export interface EngineLog {
  info?(message: string, details: Record<string, string | number>): void;
  warn(message: string, details: Record<string, string | number>): void;
  error(message: string, details: Record<string, string | number>): void;
}

/** Everything a container holds between two invocations, and the ports to the world outside. */
export interface Runtime {
  readonly program: Program;
  readonly store: StateStore;
  /** By sink name. */
  readonly sinks: ReadonlyMap<string, SinkPort>;
  readonly deadLetters: DeadLetterStore;
  /** Keeps letters that were redriven or dropped. */
  readonly closedLetters: DeadLetterStore;
  /** The lanes of the source, of which one that nobody has heard of holds event time back: of a pipeline with a time. */
  readonly lanes?: SourceLanes;
  /** Asked only where a batch holds an aggregate of the Kinesis Producer Library. */
  readonly shardRanges: ShardRanges;
  readonly clock: Clock;
  readonly wait: (ms: number) => Promise<void>;
  readonly log: EngineLog;
  readonly cache: ItemCache;
  /** Asked only where lanes become by partition key while a shard is read. */
  readonly shardRecords?: ShardRecords;
  /** Of the event source mapping. */
  readonly parallelizationFactor: number;
  /** The generation that this container works in; unknown before its first batch. */
  generation: number | undefined;
  /** How far the lanes were when they were last looked at; they go on, and never back. */
  laneTimes?: KnownLaneTimes;
  /** Up to where this container has fired what was due, milliseconds since the epoch. */
  firedMs?: { readonly generation: number; readonly overMs: number };
  /** See `rejectedBefore`. */
  rejectedBefore?: {
    readonly generation: number;
    readonly byShard: Promise<ReadonlyMap<string, RejectedRecords>>;
  };
  /** Whether lanes are by partition key in every shard; known with the generation. */
  isByPartition?: boolean;
  /** With a repartition: that of the half which reads the stream of this physical name. */
  readonly runtimeFor?: (stream: string) => Runtime;
}

/** How one batch went, in figures. */
export interface BatchReport {
  /** Records that Lambda handed in, those inside of aggregates counted. */
  readonly records: number;
  /** Of them: records of aggregates that belong to another shard, and were dropped here. */
  readonly outsideShard: number;
  /** Records that this invocation applied to state, or found to need none. */
  applied: number;
  /** Records that were applied before, and skipped. */
  duplicates: number;
  /** Dead letters that this invocation committed. */
  deadLetters: number;
  /** Values that came too late for what waits for event time, and were dropped. */
  late: number;
  /** Writes whose condition did not hold. */
  conflicts: number;
  /** Distinct keys. */
  keys: number;
  /** Outputs that sinks confirmed. */
  published: number;
  /** Records that were not acknowledged. */
  unfinished: number;
}

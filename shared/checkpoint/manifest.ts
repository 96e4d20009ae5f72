import type { LaneTime } from '../time/lane-time.ts';

/** What `manifest.json` says. A checkpoint without one does not exist. */
export interface Manifest {
  /** Version of the form of manifest, parts and lines: a delta has one of its own. */
  readonly format: typeof CHECKPOINT_FORMAT | typeof DELTA_FORMAT;
  /** Sorts by time. */
  readonly id: string;
  readonly pipeline: string;
  /** Of a savepoint: what a person called it. */
  readonly savepoint?: string;
  /** The pipeline that took it, where that is another: it was copied for a fork. */
  readonly forkedFrom?: string;
  /** The generation that it shows, of the pipeline that took it. */
  readonly generation: number;
  /** Of its outputs. */
  readonly epoch?: number;
  /** Milliseconds since the epoch. */
  readonly startedMs: number;
  readonly endedMs: number;
  /** Hash of the code that took it. */
  readonly code?: string;
  /** Whether lanes are by partition key: a replay begins at the stream's oldest record then. */
  readonly isByPartition: boolean;
  /** The time within which a record can come again, seconds. */
  readonly horizonSeconds: number;
  /** Stateful operators with the versions of their state, in order. */
  readonly operators: readonly ManifestOperator[];
  readonly shards: readonly ManifestShard[];
  /** By shard: how far it was when all was scanned. Absent in checkpoints of before 2026-12-01. */
  readonly reached?: Readonly<Record<string, ReachedShard>>;
  /** Of a delta: those of other checkpoints whose lines it keeps, and its own behind them. */
  readonly parts: readonly ManifestPart[];
  /** Lines of all parts that count: the whole state. */
  readonly items: number;
  /** Sum of the SHA-256 of all lines that count, as hexadecimal digits: the same in whatever order they stand. */
  readonly digest: string;
  /** Of a delta. */
  readonly delta?: ManifestDelta;
}

/** What makes a checkpoint a delta: of parts of earlier ones it keeps the lines that the scan has found again. */
export interface ManifestDelta {
  /** The id of the checkpoint that it was compared with. */
  readonly base: string;
  /** So many deltas since the last full one, itself counted. */
  readonly depth: number;
  /** So many lines have the parts of which it could keep some. */
  readonly lines: number;
  /** Which of them count: one object for each segment of the scan, in its own folder. */
  readonly kept: readonly ManifestObject[];
}

export interface ManifestObject {
  /** Name in the checkpoint's folder. */
  readonly name: string;
  readonly bytes: number;
  /** Of the bytes, hexadecimal. */
  readonly sha256: string;
}

/** A checkpoint all of whose lines are in its own parts. */
export const CHECKPOINT_FORMAT = 1;
/** A delta: what knows the first form only would take lines for good that do not count. */
export const DELTA_FORMAT = 2;

export interface ManifestOperator {
  readonly name: string;
  readonly version: number;
}

/** A shard of a stream that the pipeline reads, as it was listed before anything was scanned. */
export interface ManifestShard {
  /** Physical name. */
  readonly stream: string;
  readonly shardId: string;
  /** Stream and shard, compact: the name of its progress row. */
  readonly shard: string;
  readonly parents: readonly string[];
  /** Encoded; absent where nothing was acknowledged. */
  readonly position?: string;
  /** Sequence number of the position, for people. */
  readonly sequenceNumber?: string;
  /** Arrival of the record there, milliseconds since the epoch. */
  readonly arrivalMs?: number;
  /** How far event time had come at the position; absent in a pipeline without a time. */
  readonly time?: LaneTime;
  /** The event time to which it was lifted while it was idle, milliseconds since the epoch. */
  readonly liftedMs?: number;
  /** Whether its lanes are by partition key; of a checkpoint that does not say how far shards were behind the scan, unknown. */
  readonly isByPartition?: true;
  /** Encoded: up to where they were by shard before. */
  readonly byShardUntil?: string;
  /** The first record that was handed in, encoded. */
  readonly first?: string;
  /** Records acknowledged. */
  readonly records: number;
  /** Whether there was a progress row. */
  readonly isKnown: boolean;
}

export interface ReachedShard {
  /** Encoded. What is no longer in the outbox of an item of the checkpoint lies at or below it, in lanes by shard. */
  readonly position?: string;
  /** Encoded: the last record that was handed in while lanes were by shard. */
  readonly handedIn?: string;
  /** Whether its lanes are by partition key. */
  readonly isByPartition?: true;
}

export interface ManifestPart {
  /** Name in the checkpoint's folder. */
  readonly name: string;
  readonly lines: number;
  /** Packed. */
  readonly bytes: number;
  /** Of the packed bytes, hexadecimal. */
  readonly sha256: string;
  /** SHA-256 of the hashes of its lines, which lie beside it; absent where there are none. */
  readonly hashes?: string;
  /** The checkpoint in whose folder it lies, where that is another. */
  readonly from?: string;
  /** Of a part some of whose lines do not count. */
  readonly kept?: {
    /** The number of its first line among those of all parts of which lines are kept. */
    readonly first: number;
    /** So many lines count. */
    readonly lines: number;
  };
}

/** How many lines of a part count. */
export function linesThatCount({ lines, kept }: Pick<ManifestPart, 'lines' | 'kept'>): number {
  return kept?.lines ?? lines;
}

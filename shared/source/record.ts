import type { Position } from './position.ts';

/** One user record of a stream, its data still as it came. */
export interface SourceRecord {
  readonly position: Position;
  readonly partitionKey: string;
  /** The lane in which Lambda delivers it in order; marks are kept by it. */
  readonly lane: string;
  /** As Lambda hands it in: base64. */
  readonly data: string;
  /** Approximate arrival, milliseconds since the epoch: neither exact nor monotonic. */
  readonly arrivalMs: number;
}

/** What Lambda handed in: records of one shard, in order, each with a position above the one before. */
export interface RecordBatch {
  readonly stream: string;
  /** Stream and shard, compact: the lane with ParallelizationFactor 1, and the name of the progress row. */
  readonly shard: string;
  readonly records: readonly SourceRecord[];
}

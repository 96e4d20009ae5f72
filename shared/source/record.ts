import type { Position } from './position.ts';
import type { Rejection } from './record-error.ts';

/** One user record of a stream, its data still as it came. */
export interface SourceRecord {
  readonly position: Position;
  readonly partitionKey: string;
  /** The partition key by which Lambda deals it, where that is another: the one of the aggregate that it came in. */
  readonly deliveryKey?: string;
  /** The lane in which Lambda delivers it in order; marks are kept by it. */
  readonly lane: string;
  /** As Lambda hands it in: base64. */
  readonly data: string;
  /** Approximate arrival, milliseconds since the epoch: neither exact nor monotonic. */
  readonly arrivalMs: number;
  /** Why it cannot even be decoded, where it cannot. */
  readonly rejection?: Rejection;
  /** It came in an aggregate and belongs to another shard: it keeps its position, and nothing is done with it. */
  readonly isForeign?: boolean;
}

/** What Lambda handed in: records of one shard, in order, each with a position above the one before. */
export interface RecordBatch {
  readonly stream: string;
  readonly streamArn: string;
  /** As Kinesis names it. */
  readonly shardId: string;
  /** Stream and shard, compact: the lane with ParallelizationFactor 1, and the name of the progress row. */
  readonly shard: string;
  readonly records: readonly SourceRecord[];
  /** What Lambda handed in behind them and this invocation leaves alone, not unpacked. */
  readonly left?: readonly SourceRecord[];
}

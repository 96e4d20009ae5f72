import type { StreamRecord } from '../mapping/stream-record.ts';

/** A shard of a stream that the pipeline reads. */
export interface SourceShard {
  /** Physical name. */
  readonly stream: string;
  readonly streamArn: string;
  readonly shardId: string;
  /** Stream and shard, compact: the name of its progress row. */
  readonly shard: string;
  /** The shards that it came from, by the same kind of name; they may be gone. */
  readonly parents: readonly string[];
}

export type ReplayPage =
  | {
      readonly kind: 'records';
      /** In order. None, and not at the end: there may be some behind. */
      readonly records: readonly StreamRecord[];
      /** Nothing stands behind them now. */
      readonly isAtEnd: boolean;
      /** Nor will anything ever: the shard is closed. */
      readonly isClosed?: true;
    }
  /** The stream does not have the shard any more. */
  | { readonly kind: 'gone' };

/** Reads a shard on, page by page. */
export interface ReplayReader {
  next(limit: number): Promise<ReplayPage>;
}

/** The streams of a pipeline, as a replay reads them. */
export interface ReplaySource {
  shards(): Promise<readonly SourceShard[]>;

  /**
   * @param from the sequence number to begin with, that record included, or with the oldest behind it where the stream
   * does not hold it any more; with the oldest of all unless given.
   */
  reader(shard: SourceShard, from: string | undefined): ReplayReader;

  /** Whether a shard, by the name of its progress row, is of a stream that is passed on and not kept as state. */
  isRelayed(shard: string): boolean;
}

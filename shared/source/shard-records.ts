import type { Position } from './position.ts';
import type { RecordBatch } from './record.ts';

/** Reads records of a shard that were handed in before. */
export interface ShardRecords {
  /**
   * @param of of which shard.
   * @param from where to begin, that record included, for of an aggregate there may be more behind it; with the oldest
   * behind it where the stream does not hold it any more; with the oldest of all where not given.
   * @param until the last record that is wanted.
   * @param keepGoing asked before it reads on: a stream that is throttled must not hold an invocation until it is ended.
   * @returns the next ones, in order, not all of them; `undefined` where the stream holds none of them any more.
   * @throws where the stream cannot be read, or not in time.
   */
  from(
    of: Pick<RecordBatch, 'stream' | 'streamArn' | 'shardId' | 'shard'>,
    from: Position | undefined,
    until: Position,
    keepGoing: () => boolean,
  ): Promise<RecordBatch | undefined>;
}

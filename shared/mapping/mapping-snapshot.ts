import type { ReadFrom } from './read-from.ts';

/** Where a mapping stands, as plain JSON. What was in flight or queued is delivered again after a restore. */
export interface MappingSnapshot {
  readonly version: 1;
  readonly enabled: boolean;
  /** Whether the stream's shards were listed once: shards that appear later are read from their beginning. */
  readonly listed: boolean;
  /** Ids continue from here, so that none is given out twice. */
  readonly nextId: number;
  readonly shards: readonly ShardSnapshot[];
}

export interface ShardSnapshot {
  readonly shardId: string;
  readonly parentShardIds: readonly string[];
  /** Everything before it is acknowledged. */
  readonly position: ReadFrom;
  /** Closed, read to its end, and acknowledged. */
  readonly done: boolean;
}

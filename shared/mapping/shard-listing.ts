/** A shard as ListShards gives it. */
export interface ListedShard {
  readonly shardId: string;
  /** The shard that was split, or the first of the two that were merged, into this one. */
  readonly parentShardId?: string | undefined;
  /** The second of two merged shards. */
  readonly adjacentParentShardId?: string | undefined;
}

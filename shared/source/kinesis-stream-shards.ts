import { ListShardsCommand, type KinesisClient } from '@aws-sdk/client-kinesis';
import type { ListedShard } from '../mapping/shard-listing.ts';
import type { StreamShards } from './stream-shards.ts';

/** Learns shards by ListShards, anew each time. */
export class KinesisStreamShards implements StreamShards {
  readonly #client: Pick<KinesisClient, 'send'>;

  constructor(client: Pick<KinesisClient, 'send'>) {
    this.#client = client;
  }

  async shardsOf(stream: string): Promise<readonly ListedShard[]> {
    const shards: ListedShard[] = [];
    let nextToken: string | undefined;
    do {
      // A token stands for the stream: AWS refuses a request that names both.
      const { Shards = [], NextToken } = await this.#client.send(
        new ListShardsCommand(nextToken === undefined ? { StreamName: stream } : { NextToken: nextToken }),
      );
      for (const { ShardId = '', ParentShardId, AdjacentParentShardId } of Shards) {
        shards.push({
          shardId: ShardId,
          ...(ParentShardId !== undefined && { parentShardId: ParentShardId }),
          ...(AdjacentParentShardId !== undefined && { adjacentParentShardId: AdjacentParentShardId }),
        });
      }
      nextToken = NextToken;
    } while (nextToken !== undefined);
    return shards;
  }
}

import { ListShardsCommand, type KinesisClient } from '@aws-sdk/client-kinesis';
import { hashRange, unknownShard, type HashRange, type ShardRanges } from './shard-ranges.ts';

/** Learns ranges by ListShards, which also lists closed shards whose records can still be read. Kept for ever. */
export class KinesisShardRanges implements ShardRanges {
  readonly #client: KinesisClient;
  /** By stream ARN and shard id. */
  readonly #known = new Map<string, HashRange>();
  readonly #listings = new Map<string, Promise<void>>();

  constructor(client: KinesisClient) {
    this.#client = client;
  }

  async rangeOf(streamArn: string, shardId: string): Promise<HashRange> {
    const name = nameOf(streamArn, shardId);
    if (!this.#known.has(name)) await this.#list(streamArn);
    const range = this.#known.get(name);
    if (range === undefined) throw unknownShard(streamArn, shardId);
    return range;
  }

  /** One listing at a time serves all who wait for the stream; one that failed is not kept. */
  async #list(streamArn: string): Promise<void> {
    let listing = this.#listings.get(streamArn);
    if (listing === undefined) {
      listing = this.#listAll(streamArn).finally(() => this.#listings.delete(streamArn));
      this.#listings.set(streamArn, listing);
    }
    await listing;
  }

  async #listAll(streamArn: string): Promise<void> {
    let nextToken: string | undefined;
    do {
      // A token stands for the stream: AWS refuses a request that names both.
      const { Shards = [], NextToken } = await this.#client.send(
        new ListShardsCommand(nextToken === undefined ? { StreamARN: streamArn } : { NextToken: nextToken }),
      );
      for (const { ShardId = '', HashKeyRange } of Shards) {
        const { StartingHashKey = '', EndingHashKey = '' } = HashKeyRange ?? {};
        this.#known.set(nameOf(streamArn, ShardId), hashRange(StartingHashKey, EndingHashKey));
      }
      nextToken = NextToken;
    } while (nextToken !== undefined);
  }
}

function nameOf(streamArn: string, shardId: string): string {
  return `${streamArn} ${shardId}`;
}

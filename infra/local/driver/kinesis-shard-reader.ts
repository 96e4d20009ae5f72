import {
  ExpiredIteratorException,
  GetRecordsCommand,
  GetShardIteratorCommand,
  InvalidArgumentException,
  ListShardsCommand,
  ResourceNotFoundException,
  type GetShardIteratorCommandInput,
  type KinesisClient,
  type Shard,
} from '@aws-sdk/client-kinesis';
import type { ReadFrom } from '../../../shared/mapping/read-from.ts';
import type { ListedShard } from '../../../shared/mapping/shard-listing.ts';
import type { StreamRecord } from '../../../shared/mapping/stream-record.ts';
import type { ShardReader } from './shard-reader.ts';

function positionOf(from: ReadFrom): Pick<
  GetShardIteratorCommandInput,
  'ShardIteratorType' | 'StartingSequenceNumber' | 'Timestamp'
> & {
  ShardIteratorType: NonNullable<GetShardIteratorCommandInput['ShardIteratorType']>;
} {
  switch (from.kind) {
    case 'trimHorizon':
      return { ShardIteratorType: 'TRIM_HORIZON' };
    case 'latest':
      return { ShardIteratorType: 'LATEST' };
    case 'timestamp':
      return { ShardIteratorType: 'AT_TIMESTAMP', Timestamp: new Date(from.timestampMs) };
    case 'after':
      return { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber: from.sequenceNumber };
  }
}

function listedShard(shard: Shard): ListedShard {
  if (shard.ShardId === undefined) throw new TypeError('ListShards gave a shard without ShardId.');
  return {
    shardId: shard.ShardId,
    parentShardId: shard.ParentShardId,
    adjacentParentShardId: shard.AdjacentParentShardId,
  };
}

/**
 * Reads a stream through the AWS SDK. The client must speak HTTP/1.1 (`requestHandler: new NodeHttpHandler()`) where
 * the endpoint is a local engine.
 */
export function createKinesisShardReader(client: KinesisClient, streamName: string): ShardReader {
  return {
    async listShards(signal) {
      const shards: ListedShard[] = [];
      let nextToken: string | undefined;
      do {
        // A token stands for the stream: AWS refuses a request that names both.
        const input = nextToken === undefined ? { StreamName: streamName } : { NextToken: nextToken };
        const page = await client.send(new ListShardsCommand(input), { abortSignal: signal });
        for (const shard of page.Shards ?? []) shards.push(listedShard(shard));
        nextToken = page.NextToken;
      } while (nextToken !== undefined);
      return shards;
    },

    async openIterator(shardId, from, signal) {
      const input = { StreamName: streamName, ShardId: shardId, ...positionOf(from) };
      try {
        const { ShardIterator } = await client.send(new GetShardIteratorCommand(input), {
          abortSignal: signal,
        });
        if (ShardIterator === undefined) throw new TypeError('GetShardIterator gave no iterator.');
        return { kind: 'iterator', iterator: ShardIterator };
      } catch (error) {
        const isNotFound = error instanceof ResourceNotFoundException;
        // AWS finds fault with the number, kinesis-mock finds nothing: with a number in the request, neither tells that
        // the shard is gone. Asking for the shard's beginning does.
        if (from.kind === 'after' && (isNotFound || error instanceof InvalidArgumentException)) {
          return { kind: 'unknownPosition' };
        }
        if (isNotFound) return { kind: 'shardGone' };
        throw error;
      }
    },

    async readPage(iterator, limit, signal) {
      try {
        const page = await client.send(new GetRecordsCommand({ ShardIterator: iterator, Limit: limit }), {
          abortSignal: signal,
        });
        const records: StreamRecord[] = (page.Records ?? []).map((record) => ({
          sequenceNumber: record.SequenceNumber ?? '',
          partitionKey: record.PartitionKey ?? '',
          data: record.Data ?? new Uint8Array(),
          approximateArrivalTimestampMs: record.ApproximateArrivalTimestamp?.getTime() ?? 0,
        }));
        return {
          kind: 'page',
          records,
          nextIterator: page.NextShardIterator,
          millisBehindLatest: page.MillisBehindLatest ?? 0,
        };
      } catch (error) {
        if (error instanceof ExpiredIteratorException) return { kind: 'expiredIterator' };
        if (error instanceof ResourceNotFoundException) return { kind: 'shardGone' };
        throw error;
      }
    },
  };
}

import { KinesisClient } from '@aws-sdk/client-kinesis';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { KinesisReplaySource, type KinesisReplaySourceOptions } from '../checkpoint/kinesis-replay-source.ts';
import type { ReplaySource } from '../checkpoint/replay-source.ts';
import { KinesisSinkPort } from '../output/kinesis-sink.ts';
import type { SinkPort } from '../output/sink-port.ts';
import { KinesisStreamShards } from '../source/kinesis-stream-shards.ts';
import type { StreamShards } from '../source/stream-shards.ts';
import { KinesisShardRanges } from '../source/kinesis-shard-ranges.ts';
import type { ShardRanges } from '../source/shard-ranges.ts';
import { askByArn } from '../source/ask-by-arn.ts';
import { REQUEST_LIMITS } from './request-limits.ts';
import type { Trace } from './trace.ts';

/** Its own module, loaded by pipelines that write to Kinesis, and at the first aggregate of a stream. */
export function kinesisSinkPort(streamName: string, lineage: string, trace: Trace): SinkPort {
  return new KinesisSinkPort(kinesisClient(trace), streamName, lineage);
}

export function kinesisShardRanges(trace: Trace): ShardRanges {
  return new KinesisShardRanges(kinesisClient(trace));
}

/** @param streamArns of the streams that are asked for by their names. */
export function kinesisStreamShards(streamArns: readonly string[], trace: Trace): StreamShards {
  return new KinesisStreamShards(askByArn(kinesisClient(trace), streamArns));
}

export function kinesisReplaySource(
  options: Omit<KinesisReplaySourceOptions, 'client'>,
  trace: Trace,
): ReplaySource {
  return new KinesisReplaySource({ ...options, client: askByArn(kinesisClient(trace), options.streamArns) });
}

/** HTTP/1.1: neither PutRecords nor ListShards gains anything from HTTP/2, which not every endpoint speaks. */
function kinesisClient(trace: Trace): KinesisClient {
  return trace.client(new KinesisClient({ requestHandler: new NodeHttpHandler(REQUEST_LIMITS) }));
}

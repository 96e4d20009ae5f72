import { createHash } from 'node:crypto';
import type { TimeDomain } from '../pipeline/definition.ts';
import { comparePositions, type Position } from './position.ts';
import type { RecordBatch, SourceRecord } from './record.ts';

const SHARD_ID_PATTERN = /^shardId-0*(\d+)$/;

/** 36 bits of the stream's name: a pipeline reads a few streams at most. */
const STREAM_TAG_CHARACTERS = 6;
/** 64 bits of the partition key's hash. */
const KEY_HASH_CHARACTERS = 11;

/**
 * Stream and shard in few bytes, for it stands in every mark: `x3Fa_q/6`. The stream is a part of it because a
 * pipeline that is moved to another stream must not take that stream's first records for records it has seen.
 */
export function shardLane(streamName: string, shardId: string): string {
  return `${streamTag(streamName)}/${SHARD_ID_PATTERN.exec(shardId)?.[1] ?? shardId}`;
}

/** What stands for a stream before the slash of a `shardLane`. */
export function streamTag(streamName: string): string {
  return createHash('sha256').update(streamName).digest('base64url').slice(0, STREAM_TAG_CHARACTERS);
}

/** The lane of one partition key where ParallelizationFactor is above 1: order holds only per partition key there. */
export function partitionLane(shard: string, partitionKey: string): string {
  const hash = createHash('sha256').update(partitionKey).digest('base64url').slice(0, KEY_HASH_CHARACTERS);
  return `${partitionLanePrefix(shard)}${hash}`;
}

/** How the lanes of a shard's partition keys begin. */
export function partitionLanePrefix(shard: string): string {
  return `${shard}#`;
}

/** The lane of a record in `shard` where order holds only per partition key: the one that Lambda deals it by. */
export function partitionLaneOf(shard: string, { partitionKey, deliveryKey }: SourceRecord): string {
  return partitionLane(shard, deliveryKey ?? partitionKey);
}

/**
 * The batch with its records in the lanes of the partition keys that Lambda deals them by.
 * @param byShardUntil up to there their lane stays the shard.
 */
export function byPartition(batch: RecordBatch, byShardUntil: Position | undefined): RecordBatch {
  const lanes = new Map<string, string>();
  const records = batch.records.map((record): SourceRecord => {
    if (byShardUntil !== undefined && comparePositions(record.position, byShardUntil) <= 0) return record;
    const key = record.deliveryKey ?? record.partitionKey;
    let lane = lanes.get(key);
    if (lane === undefined) lanes.set(key, (lane = partitionLane(batch.shard, key)));
    return { ...record, lane };
  });
  return { ...batch, records };
}

/** Of the outputs of a key's timers: no stream's lane begins so, for its tag has six characters. */
const TIMER_PREFIXES: Readonly<Record<TimeDomain, string>> = { event: 'timer/', processing: 'clock/' };

/** In which order a key's timers of one time fire; between the two there is no order. @param keyHash of the key. */
export function timerLane(keyHash: string, domain: TimeDomain = 'event'): string {
  return `${TIMER_PREFIXES[domain]}${keyHash}`;
}

export function isTimerLane(lane: string): boolean {
  return lane.startsWith(TIMER_PREFIXES.event) || isProcessingLane(lane);
}

/** Whether the lane is of timers that go by the clock. */
export function isProcessingLane(lane: string): boolean {
  return lane.startsWith(TIMER_PREFIXES.processing);
}

/** The shard part of a lane. */
export function shardOfLane(lane: string): string {
  const end = lane.indexOf('#');
  return end === -1 ? lane : lane.slice(0, end);
}

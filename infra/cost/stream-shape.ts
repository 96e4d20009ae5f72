import { MAXIMUM_PAYLOAD_BYTES } from '../../shared/mapping/kinesis-event.ts';

/** What is to be processed, and how the mapping and the function are set. */
export interface StreamShape {
  readonly recordsPerSecond: number;
  /** That are in use: each record is of one of them, each as likely as any other. */
  readonly keys: number;
  /** The mapping's `batchSize`. */
  readonly batchSize: number;
  readonly recordBytes: number;
  /** What the state of one key takes in DynamoDB. */
  readonly stateBytes: number;
  /** Of the source stream; at least as many are taken as the records need. */
  readonly shards: number;
  /** The mapping's `maximumBatchingWindow`. */
  readonly windowSeconds: number;
  /** The function's memory. */
  readonly memoryMb: number;
  /** Of the keys, those that change between two checkpoints: from 0 to 1. */
  readonly changedShare: number;
  /** Every so many checkpoints one is full; 1 where all are. */
  readonly fullEvery: number;
}

/** Amazon Kinesis quotas: what one shard takes. */
const RECORDS_PER_SHARD_SECOND = 1_000;
const BYTES_PER_SHARD_SECOND = 1024 * 1024;
/** What an event holds of a record beside its data. */
const EVENT_BYTES_PER_RECORD = 500;

export function shardsNeeded({
  recordsPerSecond,
  recordBytes,
}: Pick<StreamShape, 'recordsPerSecond' | 'recordBytes'>): number {
  const byBytes = (recordsPerSecond * recordBytes) / BYTES_PER_SHARD_SECOND;
  return Math.max(1, Math.ceil(recordsPerSecond / RECORDS_PER_SHARD_SECOND), Math.ceil(byBytes));
}

export function shardsOf(shape: StreamShape): number {
  return Math.max(shape.shards, shardsNeeded(shape));
}

/**
 * Records that a batch of a steady stream holds: what comes in the batching window, up to the batch's size and Lambda's
 * 6 MB. Where an invocation takes longer than the window more have gathered, so that this is the dearer side.
 */
export function recordsPerBatch(shape: StreamShape): number {
  const gathered = (shape.recordsPerSecond / shardsOf(shape)) * shape.windowSeconds;
  const fitting = MAXIMUM_PAYLOAD_BYTES / (EVENT_BYTES_PER_RECORD + (shape.recordBytes * 4) / 3);
  return Math.max(1, Math.floor(Math.min(shape.batchSize, gathered, fitting)));
}

import { S3Client } from '@aws-sdk/client-s3';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import { S3CheckpointStore } from '../checkpoint/s3-checkpoint-store.ts';
import type { DeadLetterStore } from '../output/dead-letter-store.ts';
import { closedLetterPrefix, deadLetterPrefix, S3DeadLetterStore } from '../output/s3-dead-letters.ts';
import type { BlobStore } from '../state/blob-store.ts';
import { S3BlobStore } from '../state/s3-blob-store.ts';
import { spilledPrefix } from '../state/spilled-states.ts';
import { REQUEST_LIMITS } from './request-limits.ts';
import type { Trace } from './trace.ts';

/**
 * Its own module, loaded at the first dead letter or spilled state: most containers never see one, and S3's client is
 * the largest.
 */
export function s3DeadLetterStore(
  bucket: string,
  pipeline: string,
  which: 'open' | 'closed',
  trace: Trace,
): DeadLetterStore {
  return new S3DeadLetterStore(
    trace.client(new S3Client({ requestHandler: REQUEST_LIMITS })),
    bucket,
    which === 'open' ? deadLetterPrefix(pipeline) : closedLetterPrefix(pipeline),
  );
}

/** Loaded with the first state that does not fit into its item. */
export function s3SpilledStates(bucket: string, pipeline: string, trace: Trace): BlobStore {
  return new S3BlobStore(
    trace.client(new S3Client({ requestHandler: REQUEST_LIMITS })),
    bucket,
    spilledPrefix(pipeline),
  );
}

/** A part has some megabytes; what is sent for longer hangs. */
const PART_REQUEST_LIMIT_MS = 30_000;

export function s3Checkpoints(bucket: string, pipeline: string, trace: Trace): CheckpointStore {
  const requestHandler = { ...REQUEST_LIMITS, requestTimeout: PART_REQUEST_LIMIT_MS };
  return new S3CheckpointStore(trace.client(new S3Client({ requestHandler })), bucket, pipeline);
}

import { Duration, Validations, type RemovalPolicy } from 'aws-cdk-lib';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  ObjectOwnership,
  type IBucket,
} from 'aws-cdk-lib/aws-s3';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { closedLetterPrefix } from '../../shared/output/s3-dead-letters.ts';
import { checkpointPrefix } from '../../shared/checkpoint/checkpoint-store.ts';
import { spilledPrefix } from '../../shared/state/spilled-states.ts';

/** How long an overwritten or deleted object can still be brought back. */
const NONCURRENT_RETENTION = Duration.days(30);
/** Nothing of ours is uploaded in parts; what others begin and leave would be paid for unseen. */
const ABANDONED_UPLOAD_AGE = Duration.days(1);

/** Spilled states are written anew with every change of a large state: earlier ones would be most of the bucket. */
const NONCURRENT_SPILLED_RETENTION = Duration.days(1);

/** A rewind to a checkpoint that is older than this does not redo what was redriven or dropped before it. */
const CLOSED_LETTER_RETENTION = Duration.days(30);

/** What retention removes is a copy of the whole state each time. */
const NONCURRENT_CHECKPOINT_RETENTION = Duration.days(1);

export interface PipelineBucketProps {
  readonly pipelineName: string;
  readonly removalPolicy: RemovalPolicy;
  readonly encryptionKey: IKey | undefined;
  readonly accessLogsBucket: IBucket | undefined;
}

/**
 * Holds a pipeline's checkpoints, dead letters and spilled states. Versioned, because a dead letter is the only copy of what was
 * rejected once its record has left the stream. Nothing current expires by itself: which checkpoints may go is
 * decided by their retention, which knows the last good one.
 */
export function pipelineBucket(scope: Construct, props: PipelineBucketProps): Bucket {
  const bucket = new Bucket(scope, 'Bucket', {
    // A key of the bucket's own, made of the given one, saves a request to KMS for each object.
    ...(props.encryptionKey === undefined
      ? { encryption: BucketEncryption.S3_MANAGED }
      : {
          encryption: BucketEncryption.KMS,
          encryptionKey: props.encryptionKey,
          bucketKeyEnabled: true,
        }),
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
    objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
    versioned: true,
    lifecycleRules: [
      { abortIncompleteMultipartUploadAfter: ABANDONED_UPLOAD_AGE },
      { noncurrentVersionExpiration: NONCURRENT_RETENTION, expiredObjectDeleteMarker: true },
      { prefix: closedLetterPrefix(props.pipelineName), expiration: CLOSED_LETTER_RETENTION },
      // Of two rules that hold for an object the one with the shorter time takes effect.
      {
        prefix: spilledPrefix(props.pipelineName),
        noncurrentVersionExpiration: NONCURRENT_SPILLED_RETENTION,
      },
      {
        prefix: checkpointPrefix(props.pipelineName),
        noncurrentVersionExpiration: NONCURRENT_CHECKPOINT_RETENTION,
      },
    ],
    removalPolicy: props.removalPolicy,
    ...(props.accessLogsBucket === undefined
      ? {}
      : { serverAccessLogsBucket: props.accessLogsBucket, serverAccessLogsPrefix: 'tidemark/' }),
  });
  if (props.accessLogsBucket === undefined) {
    Validations.of(bucket).acknowledge({
      id: 'AwsSolutions-S1',
      reason:
        'One function writes and named operators read this private, TLS-only bucket; its access logs would need a ' +
        'bucket of their own in every stack. Give accessLogsBucket where an audit asks for them.',
    });
  }
  return bucket;
}

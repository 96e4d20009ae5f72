import {
  BucketAlreadyExists,
  BucketAlreadyOwnedByYou,
  CreateBucketCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { IdentifiedResource } from '../template/resolved-template.ts';

export interface LocalBucket {
  readonly logicalId: string;
  readonly name: string;
  readonly arn: string;
}

/** Lifecycle, versioning, encryption and access rules are left out: the local S3 has none of them. */
export function describeBucket(resource: IdentifiedResource): LocalBucket {
  return { logicalId: resource.logicalId, name: resource.ref, arn: resource.attributes['Arn'] ?? '' };
}

/** Makes the bucket unless it is there. */
export async function createBucket(client: S3Client, bucket: LocalBucket): Promise<void> {
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket.name }));
  } catch (error) {
    if (!(error instanceof BucketAlreadyOwnedByYou || error instanceof BucketAlreadyExists)) throw error;
  }
}

import { createHash } from 'node:crypto';
import { generationOf } from './row-key.ts';

/**
 * Parts of the index of what is due: DynamoDB gives 1,000 write units a second to each, and a sweep asks each of them.
 */
export const DUE_BUCKETS = 8;

/** The part in which an item stands. */
export function dueBucketOf(pk: string): string {
  const [byte = 0] = createHash('sha256')
    .update(pk.slice(pk.indexOf('/')))
    .digest();
  return dueBucket(generationOf(pk), byte % DUE_BUCKETS);
}

export function dueBucket(generation: number, bucket: number): string {
  return `${generation}/${bucket}`;
}

import { createHash } from 'node:crypto';
import { rowBytes, writeUnits, type Row } from './attribute-bytes.ts';
import { ITEM } from './item-attributes.ts';
import { generationOf } from './row-key.ts';

/**
 * The name of the index of what is due: a global secondary index of keys alone, with the partition key `ITEM.dueBucket`
 * and the sort key `ITEM.due`. Only the table of a pipeline with a time has it, and only items that wait stand in it.
 */
export const DUE_INDEX = 'due';

/** Keys that one request asks of one part: few enough that the first come at once, and are no longer new at the last. */
export const DUE_KEYS_PER_READ = 250;

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

/** An item's entry in the index. */
export function dueEntry(pk: string, dueMs: number): Row {
  return { [ITEM.pk]: { S: pk }, [ITEM.dueBucket]: { S: dueBucketOf(pk) }, [ITEM.due]: { N: String(dueMs) } };
}

/**
 * Write units of the index for one write of an item ("Global secondary index write considerations" of the developer
 * guide): one entry is removed, one is put, or both where the time is another; none where it stays.
 */
export function dueIndexUnits(pk: string, beforeMs: number | undefined, afterMs: number | undefined): number {
  if (beforeMs === afterMs) return 0;
  const entries = [beforeMs, afterMs].filter((dueMs) => dueMs !== undefined);
  return entries.reduce((units, dueMs) => units + writeUnits(0, rowBytes(dueEntry(pk, dueMs))), 0);
}

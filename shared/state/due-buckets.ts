import { createHash } from 'node:crypto';
import { rowBytes, writeUnits, type Row } from './attribute-bytes.ts';
import type { TimeDomain } from '../pipeline/definition.ts';
import { ITEM } from './item-attributes.ts';
import { generationOf } from './row-key.ts';
import type { StateItem } from './state-item.ts';

/**
 * The name of the index of what is due: a global secondary index of keys alone, with the partition key `ITEM.dueBucket`
 * and the sort key `ITEM.due`. Only the table of a pipeline with a time has it, and only items that wait stand in it.
 */
const DUE_INDEX = 'due';

/** The like of what is due by the clock, with the sort key `ITEM.processingDue`: only where a pipeline has such timers. */
const PROCESSING_DUE_INDEX = 'processing-due';

/** An index, and the attribute by which it is sorted. */
export interface DueIndex {
  readonly name: string;
  readonly due: string;
  /** What a pipeline has whose table has it. */
  readonly of: string;
}

/** By the time whose timers it finds. */
export const DUE_INDEXES: Readonly<Record<TimeDomain, DueIndex>> = {
  event: { name: DUE_INDEX, due: ITEM.due, of: 'a time' },
  processing: {
    name: PROCESSING_DUE_INDEX,
    due: ITEM.processingDue,
    of: 'timers of processing time',
  },
};

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

/** An item's entry in an index. */
export function dueEntry(pk: string, dueMs: number, { due }: DueIndex = DUE_INDEXES.event): Row {
  return { [ITEM.pk]: { S: pk }, [ITEM.dueBucket]: { S: dueBucketOf(pk) }, [due]: { N: String(dueMs) } };
}

/** When an item is due, by either time. */
export type DueTimes = Pick<StateItem, 'dueMs' | 'processingDueMs'>;

/**
 * Write units of the indexes for one write of an item ("Global secondary index write considerations" of the developer
 * guide): one entry is removed, one is put, or both where the time is another; none where it stays.
 */
export function dueIndexUnits(pk: string, before: DueTimes, after: DueTimes): number {
  return (
    entryUnits(pk, DUE_INDEXES.event, before.dueMs, after.dueMs) +
    entryUnits(pk, DUE_INDEXES.processing, before.processingDueMs, after.processingDueMs)
  );
}

function entryUnits(
  pk: string,
  index: DueIndex,
  beforeMs: number | undefined,
  afterMs: number | undefined,
): number {
  if (beforeMs === afterMs) return 0;
  const entries = [beforeMs, afterMs].filter((dueMs) => dueMs !== undefined);
  return entries.reduce((units, dueMs) => units + writeUnits(0, rowBytes(dueEntry(pk, dueMs, index))), 0);
}

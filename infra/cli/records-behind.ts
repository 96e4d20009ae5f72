import { GetRecordsCommand, GetShardIteratorCommand, type KinesisClient } from '@aws-sdk/client-kinesis';
import type { ManifestShard } from '../../shared/checkpoint/manifest.ts';

/** What a shard holds behind a position. */
export interface RecordsBehind {
  /**
   * Counted by reading them, for Kinesis counts none: an aggregate of the Kinesis Producer Library is one, and one that is
   * done in part is none.
   */
  readonly records: number;
  /** Reading ended before they did: there are so many or more. */
  readonly isAtLeast: boolean;
  /** Age of the oldest of them, milliseconds by this machine's clock; 0 where there is none, absent where none was found. */
  readonly oldestMs?: number;
}

/** What one read gives at most: the shard's two megabytes a second are the pipeline's, too. */
const PAGE_RECORDS = 1_000;
/** Reads of a shard that gave nothing, though it is not at its end: Kinesis steps over what has expired so. */
const EMPTY_READS = 10;

/** What says nothing of the records: the position is gone from the stream, or it is asked too often. */
const UNKNOWN: ReadonlySet<string> = new Set([
  'InvalidArgumentException',
  'ResourceNotFoundException',
  'ProvisionedThroughputExceededException',
]);

/**
 * Counts the records of a shard behind a position, by reading them.
 * @param most records that are read, from 1; at most so many and a page more are counted.
 * @returns `undefined` where Kinesis does not tell.
 */
export async function recordsBehind(
  kinesis: Pick<KinesisClient, 'send'>,
  { stream, shardId, sequenceNumber }: Pick<ManifestShard, 'stream' | 'shardId' | 'sequenceNumber'>,
  most: number,
  nowMs: () => number,
): Promise<RecordsBehind | undefined> {
  let records = 0;
  let oldestMs: number | undefined;
  try {
    const opened = await kinesis.send(
      new GetShardIteratorCommand({
        StreamName: stream,
        ShardId: shardId,
        ...(sequenceNumber === undefined
          ? { ShardIteratorType: 'TRIM_HORIZON' }
          : { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber: sequenceNumber }),
      }),
    );
    let iterator = opened.ShardIterator;
    for (let empty = 0; iterator !== undefined;) {
      const Limit = Math.min(PAGE_RECORDS, most - records);
      if (Limit <= 0 || empty === EMPTY_READS) return told(records, true, oldestMs);
      const page = await kinesis.send(new GetRecordsCommand({ ShardIterator: iterator, Limit }));
      const { Records: found = [], NextShardIterator, MillisBehindLatest } = page;
      const arrivedMs = found[0]?.ApproximateArrivalTimestamp?.getTime();
      if (arrivedMs !== undefined) oldestMs ??= Math.max(0, nowMs() - arrivedMs);
      records += found.length;
      // Beside records the time behind the latest says little: two may have arrived in one millisecond.
      if (found.length === 0 && MillisBehindLatest === 0) break;
      empty = found.length === 0 ? empty + 1 : 0;
      iterator = NextShardIterator;
    }
    return told(records, false, oldestMs);
  } catch (error) {
    if (!(error instanceof Error) || !UNKNOWN.has(error.name)) throw error;
    return records === 0 ? undefined : told(records, true, oldestMs);
  }
}

function told(records: number, isAtLeast: boolean, oldestMs: number | undefined): RecordsBehind {
  const ageMs = oldestMs ?? (records === 0 && !isAtLeast ? 0 : undefined);
  return { records, isAtLeast, ...(ageMs !== undefined && { oldestMs: ageMs }) };
}

/** Of several shards together; `undefined` where of one it is not known. */
export function sumBehind(all: readonly (RecordsBehind | undefined)[]): RecordsBehind | undefined {
  const known = all.filter((each) => each !== undefined);
  if (known.length < all.length) return undefined;
  const ages = known.map(({ oldestMs }) => oldestMs).filter((each) => each !== undefined);
  return {
    records: known.reduce((sum, { records }) => sum + records, 0),
    isAtLeast: known.some(({ isAtLeast }) => isAtLeast),
    ...(ages.length === known.length && { oldestMs: Math.max(0, ...ages) }),
  };
}

/** For people: `0`, `17`, `1,000 or more`. */
export function behindText(behind: RecordsBehind | undefined, formatted: (count: number) => string): string {
  if (behind === undefined) return 'unknown';
  return behind.isAtLeast ? `${formatted(behind.records)} or more` : formatted(behind.records);
}

/** For people: the age of the oldest record that waits. */
export function ageText(behind: RecordsBehind | undefined): string {
  if (behind?.oldestMs === undefined) return 'unknown';
  return behind.records === 0 ? 'none waits' : `${(behind.oldestMs / 1_000).toFixed(1)} s`;
}

import { RecordError } from './record-error.ts';
import type { RecordBatch, SourceRecord } from './record.ts';
import type { HashRange, ShardRanges } from './shard-ranges.ts';

/** What an aggregate of the Kinesis Producer Library begins with. No UTF-8 text and nothing gzipped begins so. */
export const AGGREGATE_MAGIC: Buffer = Buffer.from([0xf3, 0x89, 0x9a, 0xc2]);
/** The base64 of its first 30 bits; of the rest a whole look is taken. */
const MAGIC_BASE64 = '84maw';
/** The base64 digits that hold the magic bytes, and what they decode to. */
const MAGIC_BASE64_DIGITS = 8;

/**
 * User records in one aggregate. The Kinesis Producer Library makes none of more than 1 MiB, and no record takes less
 * than 6 bytes of it; in memory each takes some hundred.
 */
export const AGGREGATE_RECORDS_LIMIT = 200_000;

/**
 * User records of one batch at which no further Kinesis record is unpacked in this invocation: 6 MB of payload can
 * hold a hundred thousands of small ones, more than there may be memory or time for. What is left comes again.
 */
export const UNPACKED_RECORDS_LIMIT = 50_000;

/** What unpacking takes from outside. */
export interface UnpackOptions {
  readonly ranges: ShardRanges;
  /** Whether records of an aggregate outside the shard's range are dropped, see `unpackAggregates`. */
  readonly isFiltered: boolean;
  readonly recordsLimit?: number;
}

/**
 * The batch with the user records of its aggregates in their place, each with a position of its own: the sequence
 * number of the aggregate, and its number among **all** user records of it, so that no position depends on a filter.
 *
 * A user record whose hash key lies outside the shard's range is not the shard's: the shard was split or merged while
 * it was on its way, and the Kinesis Producer Library sends it again. It keeps its position and is nothing else.
 * (The Kinesis Client Library drops the whole aggregate then; the producer sends only those outside again.)
 *
 * An aggregate that is not whole and right becomes one record that is rejected.
 * @throws where the shard's range cannot be learnt.
 */
export async function unpackAggregates(
  batch: RecordBatch,
  { ranges, isFiltered, recordsLimit = UNPACKED_RECORDS_LIMIT }: UnpackOptions,
): Promise<RecordBatch> {
  if (!batch.records.some(isAggregate)) return batch;
  const { readAggregate } = await import('./aggregate-format.ts');
  const records: SourceRecord[] = [];
  let range: HashRange | undefined;
  for (const [place, record] of batch.records.entries()) {
    if (records.length >= recordsLimit) return { ...batch, records, left: batch.records.slice(place) };
    if (!isAggregate(record)) {
      records.push(record);
      continue;
    }
    try {
      const users = readAggregate(Buffer.from(record.data, 'base64'));
      if (isFiltered) range ??= await ranges.rangeOf(batch.streamArn, batch.shardId);
      const { position, partitionKey: deliveryKey, lane, arrivalMs } = record;
      for (const [sub, { partitionKey, hashKey, data }] of users.entries()) {
        const isForeign = range !== undefined && !contains(range, hashKey.hashDigits);
        records.push({
          position: { sequence: position.sequence, sub },
          partitionKey: partitionKey.text,
          deliveryKey,
          lane,
          data: isForeign ? '' : data.toString('base64'),
          arrivalMs,
          isForeign,
        });
      }
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      records.push({ ...record, rejection: { stage: error.stage, reason: error.message } });
    }
  }
  return { ...batch, records };
}

function contains({ starting, ending }: HashRange, hashDigits: string): boolean {
  return starting <= hashDigits && hashDigits <= ending;
}

/** Whether a record begins as an aggregate does. */
export function isAggregate({ data }: SourceRecord): boolean {
  if (!data.startsWith(MAGIC_BASE64)) return false;
  return Buffer.from(data.slice(0, MAGIC_BASE64_DIGITS), 'base64')
    .subarray(0, AGGREGATE_MAGIC.length)
    .equals(AGGREGATE_MAGIC);
}

import { compareSequences } from '../source/position.ts';
import type { StreamRecord } from './stream-record.ts';

/** What a function's answer says of the batch it was given. */
export type BatchVerdict =
  | { readonly kind: 'succeeded' }
  | { readonly kind: 'failed'; readonly reason: string }
  /** Everything before the record at `index` is done; that record and all behind it come again. */
  | { readonly kind: 'failedFrom'; readonly index: number };

function failed(reason: string): BatchVerdict {
  return { kind: 'failed', reason };
}

/**
 * Reads a function's answer as a mapping with ReportBatchItemFailures does. Nothing, an empty text, an empty list and
 * an absent, null or empty `batchItemFailures` are success. An identifier that is empty, null, misspelt or not in the
 * batch, and any other form, fail the whole batch. Of several identifiers the lowest, as an integer, counts.
 */
export function readBatchResponse(payload: unknown, records: readonly StreamRecord[]): BatchVerdict {
  if (payload === undefined || payload === null || payload === '') return { kind: 'succeeded' };
  if (Array.isArray(payload) && payload.length === 0) return { kind: 'succeeded' };
  if (typeof payload !== 'object' || Array.isArray(payload)) {
    return failed(`the response is not an object but ${JSON.stringify(payload)}`);
  }
  const failures: unknown = 'batchItemFailures' in payload ? payload.batchItemFailures : undefined;
  if (failures === undefined || failures === null) return { kind: 'succeeded' };
  if (!Array.isArray(failures)) {
    return failed(`batchItemFailures is not a list but ${JSON.stringify(failures)}`);
  }
  let lowest: string | undefined;
  const inBatch = new Set<string>();
  if (failures.length > 0) for (const record of records) inBatch.add(record.sequenceNumber);
  for (const failure of failures as readonly unknown[]) {
    const identifier: unknown =
      typeof failure === 'object' && failure !== null && 'itemIdentifier' in failure
        ? failure.itemIdentifier
        : undefined;
    if (typeof identifier !== 'string' || !inBatch.has(identifier)) {
      return failed(`${JSON.stringify(failure)} names no sequence number of the batch`);
    }
    if (lowest === undefined || compareSequences(identifier, lowest) < 0) lowest = identifier;
  }
  if (lowest === undefined) return { kind: 'succeeded' };
  return {
    kind: 'failedFrom',
    index: records.findIndex((record) => record.sequenceNumber === lowest),
  };
}

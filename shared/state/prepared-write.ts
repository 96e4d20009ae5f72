import { rowBytes, writeUnits, type Row } from './attribute-bytes.ts';
import { dueIndexUnits } from './due-buckets.ts';
import { MAX_ITEM_BYTES } from './dynamodb-limits.ts';
import { encodeItem, itemBytes } from './item-codec.ts';
import { checkRowKey, shownKey } from './row-key.ts';
import type { ItemWrite } from './state-store.ts';

/** A write in the form that is sent. */
export interface PreparedWrite {
  /** Where its result stands among the results. */
  readonly index: number;
  readonly pk: string;
  readonly row: Row;
  readonly bytes: number;
  readonly write: ItemWrite;
}

/**
 * Encodes and checks the writes of one commit, so that nothing is written where one of them could never be.
 * @throws RangeError for two writes of one key, a key that DynamoDB cannot take, or an item above its limit.
 */
export function prepareWrites(writes: readonly ItemWrite[]): PreparedWrite[] {
  const keys = new Set<string>();
  return writes.map((write, index) => {
    const pk = write.item.pk;
    checkRowKey(pk);
    if (keys.has(pk)) {
      throw new RangeError(
        `A commit writes ${shownKey(pk)} twice; fold all records of a key into one write.`,
      );
    }
    keys.add(pk);
    const row = encodeItem(write.item);
    const bytes = rowBytes(row);
    if (bytes > MAX_ITEM_BYTES) throw tooLarge(pk, `it has ${bytes} bytes`);
    return { index, pk, row, bytes, write };
  });
}

/**
 * Write units by DynamoDB's rules, for an engine that reports none. What was there before is what the writer says.
 * @param isCommitted whether it was written; a failed condition is billed too, but leaves the index alone.
 */
export function billedUnits({ pk, bytes, write }: PreparedWrite, isCommitted: boolean): number {
  const { item, loaded } = write;
  const units = writeUnits(loaded === undefined ? 0 : itemBytes(loaded), bytes);
  return isCommitted ? units + dueIndexUnits(pk, loaded ?? {}, item) : units;
}

export function tooLarge(pk: string, measure: string): RangeError {
  return new RangeError(
    `Item ${shownKey(pk)} is too large: ${measure}, and DynamoDB stores ${MAX_ITEM_BYTES}. ` +
      'Keep less in the state, use more keys, or let the outbox drain before folding on.',
  );
}

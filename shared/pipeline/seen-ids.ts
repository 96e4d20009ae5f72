import { createHash } from 'node:crypto';

/**
 * The ids that were seen under one key, packed, because they are written anew with every record of the key: entries in
 * the order in which they came, each the key's time in whole seconds since the epoch (4 bytes) and a hash of the id.
 *
 * The key's time is the highest arrival of what was kept so far: arrivals are not monotonic, and an id that came with an
 * early one must not be forgotten before it was remembered.
 */
export type SeenIds = Uint8Array;

/**
 * 80 bits of SHA-256. Two ids that share them would lose a record; of 10^12 records, each compared with a full list of
 * 10,000 ids, one is lost with a probability of 10^-8.
 */
export const ID_HASH_BYTES = 10;
const TIME_BYTES = 4;
/** What one id takes. */
export const SEEN_ID_BYTES = TIME_BYTES + ID_HASH_BYTES;

/**
 * Adds an id, and drops those that were seen too long ago or are too many.
 * @returns the ids as they are then, or `undefined` where the id was seen within the time.
 */
export function withNewId(
  seen: SeenIds,
  id: string,
  arrivalMs: number,
  withinSeconds: number,
  limit: number,
): SeenIds | undefined {
  const view = new DataView(seen.buffer, seen.byteOffset, seen.byteLength);
  const end = seen.length;
  const arrivalSeconds = Math.floor(arrivalMs / 1_000);
  const nowSeconds =
    end === 0 ? arrivalSeconds : Math.max(view.getUint32(end - SEEN_ID_BYTES), arrivalSeconds);
  const hash = hashOfId(id);
  const [first, second, third] = [hash.readUInt32BE(0), hash.readUInt32BE(4), hash.readUInt16BE(8)];

  let from = end;
  for (; from > 0; from -= SEEN_ID_BYTES) {
    const at = from - SEEN_ID_BYTES;
    if (nowSeconds - view.getUint32(at) >= withinSeconds) break;
    const isSame =
      view.getUint32(at + 4) === first &&
      view.getUint32(at + 8) === second &&
      view.getUint16(at + 12) === third;
    if (isSame) return undefined;
  }

  const kept = seen.subarray(Math.max(from, end - (limit - 1) * SEEN_ID_BYTES));
  const next = new Uint8Array(kept.length + SEEN_ID_BYTES);
  next.set(kept);
  new DataView(next.buffer).setUint32(kept.length, nowSeconds);
  next.set(hash, kept.length + TIME_BYTES);
  return next;
}

/** Of `ID_HASH_BYTES`. */
export function hashOfId(id: string): Buffer {
  return createHash('sha256').update(id).digest().subarray(0, ID_HASH_BYTES);
}

/** Whether a state can be a list of seen ids. */
export function isSeenIds(state: unknown): state is SeenIds {
  return state instanceof Uint8Array && state.length % SEEN_ID_BYTES === 0;
}

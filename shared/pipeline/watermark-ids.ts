import { hashOfId, ID_HASH_BYTES } from './seen-ids.ts';

/**
 * The ids that a key remembers until event time is over for their duplicates, packed: entries in the order of the event
 * times from which they count no more (8 bytes, milliseconds since the epoch), those of one time in the order in which they
 * came, each with 80 bits of SHA-256 of the id, as in `SeenIds`.
 */
export type WatermarkIds = Uint8Array;

const TIME_BYTES = 8;
/** What one id takes. */
export const WATERMARK_ID_BYTES = TIME_BYTES + ID_HASH_BYTES;

/** From when the first of the ids counts no more; there is one. */
export function firstUntilMs(ids: WatermarkIds): number {
  return untilMsAt(ids, 0);
}

/** The ids that still count behind an event time. */
export function idsBehind(ids: WatermarkIds, overMs: number): WatermarkIds {
  return ids.subarray(placeBehind(ids, overMs));
}

/**
 * Adds an id. Where there are too many then, those go first that would be forgotten first: what counts no more and is
 * not removed yet never takes the place of what does, so that it makes no difference when timers fired (I10).
 * @param eventMs of the value: where the id still counts then, it is a duplicate; where it does not, it is replaced.
 * @param untilMs from when the id counts no more.
 * @returns the ids as they are then, or `undefined` where it is a duplicate.
 */
export function withWatermarkId(
  ids: WatermarkIds,
  id: string,
  eventMs: number,
  untilMs: number,
  limit: number,
): WatermarkIds | undefined {
  const hash = hashOfId(id);
  const entries: Uint8Array[] = [];
  for (let at = 0; at < ids.length; at += WATERMARK_ID_BYTES) {
    const entry = ids.subarray(at, at + WATERMARK_ID_BYTES);
    if (hash.compare(entry, TIME_BYTES) !== 0) entries.push(entry);
    else if (untilMsAt(ids, at) > eventMs) return undefined;
  }
  const added = new Uint8Array(WATERMARK_ID_BYTES);
  new DataView(added.buffer).setFloat64(0, untilMs);
  added.set(hash, TIME_BYTES);
  const place = entries.findIndex((entry) => untilMsAt(entry, 0) > untilMs);
  entries.splice(place === -1 ? entries.length : place, 0, added);
  const kept = entries.slice(Math.max(0, entries.length - limit));
  const next = new Uint8Array(kept.length * WATERMARK_ID_BYTES);
  for (const [index, entry] of kept.entries()) next.set(entry, index * WATERMARK_ID_BYTES);
  return next;
}

/** Whether a state can be a list of such ids. */
export function isWatermarkIds(state: unknown): state is WatermarkIds {
  return state instanceof Uint8Array && state.length % WATERMARK_ID_BYTES === 0;
}

function placeBehind(ids: WatermarkIds, overMs: number): number {
  let at = 0;
  while (at < ids.length && untilMsAt(ids, at) <= overMs) at += WATERMARK_ID_BYTES;
  return at;
}

function untilMsAt(ids: WatermarkIds, at: number): number {
  return new DataView(ids.buffer, ids.byteOffset + at, TIME_BYTES).getFloat64(0);
}

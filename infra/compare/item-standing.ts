import { ARRIVAL_MARK, isLetterMark, isRedriveLane } from '../../shared/engine/redrive-lane.ts';
import { compareMarkPositions, comparePositions } from '../../shared/source/position.ts';
import type { StateItem } from '../../shared/state/state-item.ts';
import type { CommonSpan } from './common-span.ts';

/**
 * Whether an item and its twin in the fork hold the effects of the same records, so that their states can be compared.
 * That is so of a lane where both have the same mark, or where neither is beyond what both have processed: whatever was
 * there for the key is in it then, and a mark that one lacks is a record that this one had nothing of.
 * @param span read before the items were.
 */
export function haveSameRecords(
  old: StateItem | undefined,
  now: StateItem | undefined,
  span: CommonSpan,
): boolean {
  const lanes = new Set([...(old?.marks.keys() ?? []), ...(now?.marks.keys() ?? [])]);
  for (const lane of lanes) {
    // Of letters that were redriven: no record of a stream, and what came of them shows.
    if (isLetterMark(lane) || isRedriveLane(lane) || lane === ARRIVAL_MARK) continue;
    const marks = [old, now].map((item) => item?.marks.get(lane)?.position);
    const [a, b] = marks;
    if (a !== undefined && b !== undefined && compareMarkPositions(a, b) === 0) continue;
    // Of an upstream pipeline's lane, or of a partition key's, nothing tells how far both have come.
    const isKnown = !span.isByPartition && span.shards.has(lane);
    if (!isKnown || !marks.every((mark) => mark === undefined || span.covers(lane, mark))) return false;
  }
  return true;
}

/** Whether a timer waits in one of them that is due by the time to which the other has fired. */
export function isOneToFire(old: StateItem | undefined, now: StateItem | undefined): boolean {
  const items = [old, now];
  const firedMs = Math.max(...items.map((item) => item?.firedMs ?? -Infinity));
  const byClockMs = Math.max(...items.map((item) => item?.processingFiredMs ?? -Infinity));
  return items.some(
    (item) =>
      (item?.dueMs !== undefined && item.dueMs <= firedMs) ||
      (item?.processingDueMs !== undefined && item.processingDueMs <= byClockMs),
  );
}

/** Whether the item holds a record behind the fork: what it did not inherit. */
export function isTouched(item: StateItem | undefined, span: CommonSpan): boolean {
  for (const [lane, { position }] of item?.marks ?? []) {
    const from = span.shards.get(lane)?.from;
    if (span.shards.has(lane) && (from === undefined || comparePositions(position, from) > 0)) return true;
  }
  return false;
}

/** Whether all that the item holds of the shards' records lies in what both have processed, and so is published too. */
export function isCovered(item: StateItem | undefined, span: CommonSpan): boolean {
  for (const [lane, { position }] of item?.marks ?? []) {
    if (span.shards.has(lane) && !span.covers(lane, position)) return false;
  }
  return true;
}

import type { StateItem } from '../../shared/state/state-item.ts';
import type { CommonSpan } from './common-span.ts';
import { haveSameRecords } from './item-standing.ts';
import type { LoneTimerOutput } from './match-outputs.ts';
import type { Tally } from './tally.ts';

/** Timers fire in each pipeline when they do: what one alone has published, the other may still publish. */
export interface TimerJudgement {
  readonly old: StateItem | undefined;
  readonly new: StateItem | undefined;
  readonly span: CommonSpan;
  /** Up to where the key's timers had fired in the fork's checkpoint, milliseconds since the epoch. */
  readonly inheritedMs: number;
}

/**
 * Judges what a timer made in one pipeline alone, by the key's items. A difference it is where both hold the same records
 * and the other waits for nothing that is due so early.
 * @returns whether it could be judged.
 */
export function judgeTimer(
  { side, output: { key, value, place } }: LoneTimerOutput,
  { old, new: now, span, inheritedMs }: TimerJudgement,
  tally: Tally,
): boolean {
  const dueMs = place.timer?.dueMs ?? Infinity;
  if (side === 'old' && dueMs <= inheritedMs) return true;
  const other = side === 'old' ? now : old;
  if (!haveSameRecords(old, now, span)) return false;
  if (other?.dueMs !== undefined && other.dueMs <= dueMs) return false;
  tally.compare(key, side === 'old' ? value : undefined, side === 'new' ? value : undefined, place.tail);
  return true;
}

import type { StateItem } from '../../shared/state/state-item.ts';
import type { CommonSpan } from './common-span.ts';
import { haveSameRecords, isCovered } from './item-standing.ts';
import type { LoneTimerOutput } from './match-outputs.ts';

/** Timers fire in each pipeline when they do: what one alone has published, the other may still publish. */
export interface TimerCircumstances {
  readonly old: StateItem | undefined;
  readonly new: StateItem | undefined;
  readonly span: CommonSpan;
  /** Up to where the key's timers had fired in the fork's checkpoint, milliseconds since the epoch. */
  readonly inheritedMs: number;
}

/**
 * Judges what a timer made in one pipeline alone, by the key's items.
 * @returns `inherited`: it had fired before the fork. `open`: the other may still fire it. `over`: both hold the same
 * records, and the other waits for nothing that is due so early, so that all it makes of it stands in its sink by now.
 */
export function judgeTimer(
  { side, output: { place } }: LoneTimerOutput,
  { old, new: now, span, inheritedMs }: TimerCircumstances,
): 'inherited' | 'open' | 'over' {
  const dueMs = place.timer?.dueMs ?? Infinity;
  if (side === 'old' && dueMs <= inheritedMs) return 'inherited';
  const other = side === 'old' ? now : old;
  // A timer may have fired with a record, and is published with it.
  if (!haveSameRecords(old, now, span) || !isCovered(other, span)) return 'open';
  return other?.dueMs !== undefined && other.dueMs <= dueMs ? 'open' : 'over';
}

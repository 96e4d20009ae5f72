import type { StateItem } from '../../shared/state/state-item.ts';
import type { CommonSpan } from './common-span.ts';
import { haveSameRecords, isCovered } from './item-standing.ts';
import type { LoneTimerOutput } from './match-outputs.ts';

/** Up to where a key's timers have fired, by either time. */
export type FiredTimes = Pick<StateItem, 'firedMs' | 'processingFiredMs'>;

/** Timers fire in each pipeline when they do: what one alone has published, the other may still publish. */
export interface TimerCircumstances {
  readonly old: StateItem | undefined;
  readonly new: StateItem | undefined;
  readonly span: CommonSpan;
  /** The key in the fork's checkpoint: up to where its timers had fired. */
  readonly inherited: FiredTimes | undefined;
}

/**
 * Judges what a timer made in one pipeline alone, by the key's items.
 * @returns `inherited`: it had fired before the fork. `open`: the other may still fire it. `over`: both hold the same
 * records, and the other waits for nothing that is due so early, so that all it makes of it stands in its sink by now.
 */
export function judgeTimer(
  { side, output: { place } }: LoneTimerOutput,
  { old, new: now, span, inherited }: TimerCircumstances,
): 'inherited' | 'open' | 'over' {
  const { dueMs, domain } = place.timer ?? { dueMs: Infinity, domain: 'event' };
  const isByClock = domain === 'processing';
  const inheritedMs = isByClock ? inherited?.processingFiredMs : inherited?.firedMs;
  if (side === 'old' && dueMs <= (inheritedMs ?? -Infinity)) return 'inherited';
  const other = side === 'old' ? now : old;
  // A timer may have fired with a record, and is published with it.
  if (!haveSameRecords(old, now, span) || !isCovered(other, span)) return 'open';
  // What has fired by the clock and is not published stands in the index of event time.
  if (isByClock && other?.dueMs === 0) return 'open';
  const nextMs = isByClock ? other?.processingDueMs : other?.dueMs;
  return nextMs !== undefined && nextMs <= dueMs ? 'open' : 'over';
}

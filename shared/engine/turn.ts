import { encodePosition, type Position } from '../source/position.ts';
import { CLOCK_SLACK_MS, DEATHS_BEFORE_REJECTION } from './limits.ts';

/**
 * A record's turn, when records are taken one at a time because attempts at their batch died. It has two stages:
 * until the record is decoded its keys are unknown, and it can only be rejected whole; from then on it is rejected in
 * each key's own item, where the mark decides between the rejection and whoever applies the record at the same time.
 */
export type TurnStage = 'decode' | 'fold';

/** The turn as the progress row names it. */
export function turnOf(position: Position, stage: TurnStage): string {
  return `${encodePosition(position)}${stage === 'decode' ? '' : '!'}`;
}

/**
 * Whether the record has killed the process in this turn again and again. A turn that has not ended counts once its
 * process can no longer be alive: a duplicate or a zombie that is at the same record now must not be taken for a death.
 */
export function isKiller(deadlinesMs: readonly number[], nowMs: number): boolean {
  // A note that the SDK wrote twice is one process all the same.
  const deaths = new Set(deadlinesMs.filter((deadlineMs) => deadlineMs + CLOCK_SLACK_MS < nowMs));
  return deaths.size >= DEATHS_BEFORE_REJECTION;
}

import { hashOfKey } from '../output/output-id.ts';
import { ConfigurationError } from '../pipeline/configuration-error.ts';
import { isTimerLane, timerLane } from '../source/lane.ts';
import { rejectionOf } from '../source/record-error.ts';
import type { ItemDraft, NextTimer, ReachedTimes } from './item-draft.ts';
import type { Maker } from './outbox-draft.ts';
import type { StepRun } from './step-run.ts';

/** What timers make that fire with a record comes before all that its elements make, or behind it. */
export const BEFORE_ELEMENTS = -1;
export const BEHIND_ELEMENTS = 1_000_000_000;

/** A key that waited for long may have thousands due: a sweep writes and publishes them in parts. */
const TIMERS_AT_ONCE = 1_000;
const TOO_MANY = `more than ${TIMERS_AT_ONCE} are due at once`;

/** Fires one. @throws what user code throws. */
function fireTimer(draft: ItemDraft, run: StepRun, key: string, timer: NextTimer, maker: Maker): void {
  const { cell, dueMs, domain } = timer;
  const lane = timerLane(hashOfKey(key), domain);
  const position = { sequence: String(dueMs), sub: cell };
  // In a timers' lane no record carries it.
  const isOwn = isTimerLane(maker.lane);
  run.fire(timer, isOwn ? { ...maker, lane, position } : { ...maker, origin: { lane, position } });
  draft.hasFired(timer);
}

/**
 * Fires what a key waits for up to a moment of each time, in the order of the moments, those of one in the order of the
 * operators; by event time first. The draft is a guarded one.
 * @returns why it ends before; what had fired before that stands.
 */
export function fireTimers(
  draft: ItemDraft,
  run: StepRun,
  key: string,
  reached: ReachedTimes,
  maker: Maker,
): string | undefined {
  let count = 0;
  for (let next = draft.nextDue(reached); next !== undefined; next = draft.nextDue(reached)) {
    if (++count > TIMERS_AT_ONCE) return TOO_MANY;
    const saved = draft.save();
    const made = run.made;
    try {
      fireTimer(draft, run, key, next, maker);
    } catch (error) {
      if (error instanceof ConfigurationError) throw error;
      draft.putBack(saved);
      run.takeBack(made);
      const { summary, reason } = rejectionOf(error, 'fold');
      return summary ?? reason;
    }
  }
  return undefined;
}

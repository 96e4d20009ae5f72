import { hashOfKey } from '../output/output-id.ts';
import { ConfigurationError } from '../pipeline/configuration-error.ts';
import { timerLane } from '../source/lane.ts';
import { rejectionOf } from '../source/record-error.ts';
import type { ItemDraft } from './item-draft.ts';
import type { Maker } from './outbox-draft.ts';
import type { StepRun } from './step-run.ts';

/** What timers make that fire with a record comes before all that its elements make, or behind it. */
export const BEFORE_ELEMENTS = -1;
export const BEHIND_ELEMENTS = 1_000_000_000;

/** A key that waited for long may have thousands due: a sweep writes and publishes them in parts. */
const TIMERS_AT_ONCE = 1_000;
const TOO_MANY = `more than ${TIMERS_AT_ONCE} are due at once`;

/** Whose timers fire: of one time in the order of the operators. */
interface NextTimer {
  /** Among the steps. */
  readonly place: number;
  /** Among the operators: a part of the id of what it makes. */
  readonly cell: number;
  readonly dueMs: number;
}

/** The next timer of a key. */
export function nextTimer(draft: ItemDraft): NextTimer | undefined {
  let next: NextTimer | undefined;
  for (const { place, cell } of draft.timed) {
    const dueMs = draft.dueOf(cell);
    if (dueMs !== Infinity && (next === undefined || dueMs < next.dueMs)) next = { place, cell, dueMs };
  }
  return next;
}

/** Fires one. @throws what user code throws. */
export function fireTimer(draft: ItemDraft, run: StepRun, key: string, timer: NextTimer, maker: Maker): void {
  const { place, cell, dueMs } = timer;
  const origin = { lane: timerLane(hashOfKey(key)), position: { sequence: String(dueMs), sub: cell } };
  run.fire(
    place,
    dueMs,
    isOwn(maker, origin.lane) ? { ...maker, position: origin.position } : { ...maker, origin },
  );
  draft.firedMs = Math.max(draft.firedMs, dueMs);
}

/** Whether it is published in the timers' own lane, and no record carries it. */
function isOwn({ lane }: Maker, own: string): boolean {
  return lane === own;
}

/**
 * Fires what a key waits for up to an event time, in the order of the times, those of one time in the order of the
 * operators. The draft is a guarded one.
 * @returns why it ends before; what had fired before that stands.
 */
export function fireTimers(
  draft: ItemDraft,
  run: StepRun,
  key: string,
  upToMs: number,
  maker: Maker,
): string | undefined {
  let count = 0;
  for (let next = nextTimer(draft); next !== undefined && next.dueMs <= upToMs; next = nextTimer(draft)) {
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

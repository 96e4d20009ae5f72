import type { Rejection } from '../source/record-error.ts';
import { CLOSED_RANGES_LIMIT, closeLetter, type Letters } from '../state/letters.ts';
import type { Control } from '../state/state-store.ts';
import { INLINE_STATE_LIMIT_BYTES } from './limits.ts';

export interface LettersRequest {
  /** `redrive`: apply the record to its key with today's code. `drop`: give it up. */
  readonly action: 'redrive' | 'drop';
  /** Names of letters; those of one key are taken in the order in which they stand here. */
  readonly names: readonly string[];
  /** Redrive also behind earlier letters of the key that are open. What is parked keeps its order all the same. */
  readonly isForced: boolean;
  /** Tells this invocation from every other: a part of the lanes of outputs. */
  readonly session: string;
}

/**
 * - `redriven`, `dropped`: done now. `alreadyDone`: its item says that it was done before; what was left is cleared up.
 * - `missing`: there is no such letter (any more).
 * - `rejected`: today's code rejects the record too; nothing of it is committed, the letter stays.
 * - `waiting`: an earlier letter of its key comes first, or a checkpoint that is being taken.
 * - `stale`: it belongs to an earlier generation, or no item says that it is a dead letter.
 * - `unfinished`: begun, and not known to be through; doing it again is safe.
 * - `notBegun`: there was no time.
 */
export type LetterOutcome =
  | 'redriven'
  | 'dropped'
  | 'alreadyDone'
  | 'missing'
  | 'rejected'
  | 'waiting'
  | 'stale'
  | 'unfinished'
  | 'notBegun';

export interface LetterResult {
  readonly name: string;
  readonly outcome: LetterOutcome;
  /** In words, without anything of the record. */
  readonly reason?: string;
}

export type Ending = Omit<LetterResult, 'name'>;

export const UNKNOWN_LETTER: Ending = {
  outcome: 'stale',
  reason: 'no item of this generation says that its record is a dead letter; drop it',
};
export const NO_ELEMENT: Ending = {
  outcome: 'rejected',
  reason: "today's code makes nothing of its record for the key that rejected it; drop it",
};
export const NOT_PUBLISHED: Ending = {
  outcome: 'unfinished',
  reason: 'it is applied, and not all of its outputs are published; redrive it again',
};
export const BUSY: Ending = {
  outcome: 'unfinished',
  reason: 'its item could not be written: others write it too, or time ran out; redrive it again',
};
export const TOO_MANY_GAPS = {
  outcome: 'waiting',
  reason: `letters were passed over in ${CLOSED_RANGES_LIMIT} places, the limit; redrive or drop the earliest first`,
} as const satisfies Ending;

/** What must not be done to several items while a scan may be between them. */
export function waitsForCheckpoint({ checkpoint }: Control, nowMs: number): Ending | undefined {
  if (checkpoint === undefined || nowMs >= checkpoint.overMs) return undefined;
  return {
    outcome: 'waiting',
    reason:
      `checkpoint ${checkpoint.id} is being taken: try again once it is there. One that nobody goes on with holds this ` +
      `up until ${new Date(checkpoint.overMs).toISOString()}; 'checkpoint take' goes on with it`,
  };
}

export const TOO_LARGE: Ending = {
  outcome: 'rejected',
  reason:
    `what its record becomes for the repartition takes more than the ${INLINE_STATE_LIMIT_BYTES} bytes that an item can ` +
    'hold for it; let the producer send it again, and drop it',
};

export function hasTooManyGaps(letters: Letters, number: number): boolean {
  return closeLetter(letters, number).closed.length > CLOSED_RANGES_LIMIT;
}

export function rejectedAgain({ stage, reason, summary }: Rejection): Ending {
  return { outcome: 'rejected', reason: `${stage}: ${summary ?? reason}` };
}

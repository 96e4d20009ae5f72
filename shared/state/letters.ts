import type { NumberRange } from './number-ranges.ts';

/**
 * The dead letters of one item. Each gets the item's next number in the write that rejects its record, and is *open*
 * until the write that redrives or drops it *closes* the number: what is closed can never be applied again, however
 * late somebody comes with the letter. So the item alone says what became of a letter, in a few bytes.
 */
export interface Letters {
  /** The number that the next letter gets. */
  readonly next: number;
  /** Closed numbers: ascending ranges that do not touch. */
  readonly closed: readonly NumberRange[];
  /**
   * The key is parked: this letter is the first that its later records wait for. Each of them became a letter too, so
   * that the numbers from here to `next` are their order.
   */
  readonly parkedFrom?: number;
}

export const NO_LETTERS: Letters = { next: 0, closed: [] };

/**
 * Ranges that one item may gather: letters that are passed over leave gaps. A range takes some 12 bytes, so that they
 * fit into the item's reserve beside the marks.
 */
export const CLOSED_RANGES_LIMIT = 128;

/** `unknown`: no committed item says that there was such a letter (I6). */
export type LetterStatus = 'open' | 'closed' | 'unknown';

export function letterStatus({ next, closed }: Letters, number: number): LetterStatus {
  if (number >= next) return 'unknown';
  return closed.some(({ from, below }) => from <= number && number < below) ? 'closed' : 'open';
}

/** The first open letter at or above `from`; `next` where there is none. */
export function firstOpenLetter({ next, closed }: Letters, from = 0): number {
  let first = from;
  for (const range of closed) if (range.from <= first && first < range.below) first = range.below;
  return Math.min(first, next);
}

export function hasOpenLetters(letters: Letters | undefined): boolean {
  return letters !== undefined && firstOpenLetter(letters) < letters.next;
}

/** Closes a letter. A key whose last parked letter this is, is parked no more. */
export function closeLetter(letters: Letters, number: number): Letters {
  const { next, parkedFrom } = letters;
  const closed: NumberRange[] = [];
  let added: NumberRange = { from: number, below: number + 1 };
  for (const range of letters.closed) {
    if (range.below < added.from || added.below < range.from) closed.push(range);
    else added = { from: Math.min(range.from, added.from), below: Math.max(range.below, added.below) };
  }
  closed.push(added);
  closed.sort((a, b) => a.from - b.from);
  if (parkedFrom === undefined) return { next, closed };
  const head = firstOpenLetter({ next, closed }, parkedFrom);
  return head === next ? { next, closed } : { next, closed, parkedFrom: head };
}

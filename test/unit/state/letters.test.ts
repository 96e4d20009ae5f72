import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  closeLetter,
  firstOpenLetter,
  hasOpenLetters,
  letterStatus,
  NO_LETTERS,
} from '../../../shared/state/letters.ts';

describe('letters of an item', () => {
  it('are open from their number on, closed once, and unknown before', () => {
    const letters = { next: 2, closed: [] };
    expect([0, 1, 2].map((number) => letterStatus(letters, number))).toEqual(['open', 'open', 'unknown']);
    const closed = closeLetter(letters, 0);
    expect([0, 1, 2].map((number) => letterStatus(closed, number))).toEqual(['closed', 'open', 'unknown']);
    expect(hasOpenLetters(closed)).toBe(true);
    expect(hasOpenLetters(closeLetter(closed, 1))).toBe(false);
    expect(hasOpenLetters(NO_LETTERS)).toBe(false);
    expect(hasOpenLetters(undefined)).toBe(false);
  });

  it('are parked from the first open one on, and no more when the last is closed', () => {
    let letters = closeLetter({ next: 4, closed: [], parkedFrom: 1 }, 2);
    expect(letters.parkedFrom).toBe(1);
    letters = closeLetter(letters, 1);
    expect(letters.parkedFrom).toBe(3);
    letters = closeLetter(letters, 0);
    expect(letters.parkedFrom).toBe(3);
    expect(closeLetter(letters, 3)).toEqual({ next: 4, closed: [{ from: 0, below: 4 }] });
  });

  it('closed in any order are the set of closed numbers, in ascending ranges that do not touch', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { maxLength: 30 }), (numbers) => {
        const letters = numbers.reduce((before, number) => closeLetter(before, number), {
          ...NO_LETTERS,
          next: 21,
        });
        for (let number = 0; number < 21; number++) {
          expect(letterStatus(letters, number)).toBe(numbers.includes(number) ? 'closed' : 'open');
        }
        const open = Array.from({ length: 21 }, (_, number) => number).find(
          (number) => !numbers.includes(number),
        );
        expect(firstOpenLetter(letters)).toBe(open ?? 21);
        for (const [place, { from, below }] of letters.closed.entries()) {
          expect(from).toBeLessThan(below);
          expect(from).toBeGreaterThan(letters.closed[place - 1]?.below ?? -1);
        }
      }),
    );
  });
});

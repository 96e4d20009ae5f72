import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  emptySketch,
  estimateOf,
  isSketch,
  standardError,
  union,
  withHash,
  type HyperLogLog,
} from '../../../shared/aggregation/hyper-log-log.ts';
import { distinct } from '../../../shared/index.ts';
import { seededRandom } from '../../../shared/testing/seeded-random.ts';

const TRIALS = 300;

describe('HyperLogLog', () => {
  it.each([4, 6, 8])(
    'of precision %i estimates within the standard error, of few and of many',
    (precision) => {
      const size = 2 ** precision;
      // Below, at and above the two places where the original estimator changes its formula.
      const numbers = [size / 4, size, 2.5 * size, 5 * size, 20 * size].map(Math.round);
      const errors = numbers.map((): number[] => []);
      for (let trial = 0; trial < TRIALS; trial++) {
        const random = seededRandom(precision * TRIALS + trial);
        let sketch = emptySketch(precision);
        let seen = 0;
        for (const [place, number] of numbers.entries()) {
          for (; seen < number; seen++) sketch = withHash(sketch, word(random), word(random));
          errors[place]?.push(estimateOf(sketch) / number - 1);
        }
      }
      for (const [place, each] of errors.entries()) {
        const meanSquare = each.reduce((total, error) => total + error * error, 0) / TRIALS;
        const bias = each.reduce((total, error) => total + error, 0) / TRIALS;
        // Of so many trials, the measured error is itself off by 4 %, and the bias by a seventeenth of it.
        const bound = standardError(precision);
        expect(Math.sqrt(meanSquare), `${numbers[place]} values`).toBeLessThan(bound * 1.15);
        expect(Math.abs(bias), `${numbers[place]} values`).toBeLessThan(bound * 0.3);
      }
    },
  );

  it('has a standard error of 1.04 / sqrt(m)', () => {
    expect(standardError(12)).toBeCloseTo(0.01625, 10);
  });

  it('has one form for one set of registers, of at most 6 bits each', () => {
    const hash = fc.tuple(fc.nat(0xffffffff), fc.nat(0xffffffff));
    const bytes = 1 + (2 ** 5 * 6) / 8;
    fc.assert(
      fc.property(fc.array(hash, { maxLength: 60 }), fc.array(hash, { maxLength: 60 }), (one, other) => {
        const both = sketchOf(5, [...one, ...other]);
        expect(union(sketchOf(5, one), sketchOf(5, other))).toEqual(both);
        expect(union(sketchOf(5, other), sketchOf(5, one))).toEqual(both);
        expect(sketchOf(5, [...other, ...one, ...one])).toEqual(both);
        expect(both.length).toBeLessThanOrEqual(bytes);
        expect(isSketch(both, 5)).toBe(true);
        // Registers, kept plainly.
        const registers = new Map<number, number>();
        for (const [high, low] of [...one, ...other]) {
          const bits = high.toString(2).padStart(32, '0') + low.toString(2).padStart(32, '0');
          const register = Number.parseInt(bits.slice(0, 5), 2);
          const rank = ((bits.slice(5).indexOf('1') + 60) % 60) + 1;
          registers.set(register, Math.max(rank, registers.get(register) ?? 0));
        }
        for (const [register, rank] of registers) {
          const at = (register << 27) >>> 0;
          // A hash of a rank that is there already changes nothing, and one of the next does.
          expect(withHash(both, ...hashOf(at, rank))).toBe(both);
          if (rank < 60) expect(withHash(both, ...hashOf(at, rank + 1))).not.toEqual(both);
        }
      }),
    );
  });

  it('takes the highest rank that there is', () => {
    for (const precision of [4, 16]) {
      let sketch = emptySketch(precision);
      for (let register = 0; register < 2 ** precision; register += 2 ** (precision - 4)) {
        sketch = withHash(sketch, (register << (32 - precision)) >>> 0, 0);
      }
      expect(estimateOf(sketch)).toBeLessThanOrEqual(2 ** 64);
      expect(isSketch(sketch, precision)).toBe(true);
    }
  });
});

describe('distinct', () => {
  it('estimates texts, numbers and booleans apart, and few of them exactly', () => {
    const { initial, add, result } = distinct((value: string | number | boolean) => value);
    expect(result(initial())).toBe(0);
    const few = [1, '1', true, 'true', '', '__proto__', 1, -0, 0, '1'].reduce<HyperLogLog>(add, initial());
    expect(result(few)).toBe(7);
    expect(few.length).toBe(1 + 7 * 3);
    let many = initial();
    for (let value = 0; value < 20_000; value++) many = add(many, value);
    expect(Math.abs(result(many) / 20_000 - 1)).toBeLessThan(3 * standardError(12));
    expect(many.length).toBe(1 + 3_072);
  });
});

function word(random: () => number): number {
  return Math.floor(random() * 2 ** 32);
}

function sketchOf(precision: number, hashes: readonly (readonly [number, number])[]): HyperLogLog {
  return hashes.reduce((sketch, [high, low]) => withHash(sketch, high, low), emptySketch(precision));
}

/** A hash whose bits behind a register's five begin with `rank - 1` zeros. */
function hashOf(register: number, rank: number): [number, number] {
  const bit = 5 + rank - 1;
  if (bit >= 64) return [register, 0];
  return bit < 32 ? [(register | (1 << (31 - bit))) >>> 0, 0] : [register, (1 << (63 - bit)) >>> 0];
}

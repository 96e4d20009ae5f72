import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decimalBytes, numberBytesBound } from '../../../shared/state/number-bytes.ts';

/** The same numbers at every run; give another seed to look further. */
const RUNS = { seed: 20_260_801, numRuns: 1000 };

/** The size by definition: the decimal digits, aligned at the point, in pairs, zero pairs trimmed on both sides. */
function bytesByDefinition(integer: bigint, decimals: number): number {
  if (integer === 0n) return 1;
  const digits = String(integer < 0n ? -integer : integer) + (decimals % 2 === 0 ? '' : '0');
  const aligned = digits.length % 2 === 0 ? digits : `0${digits}`;
  const pairs = aligned
    .match(/../g)
    ?.join(' ')
    .replace(/^(00 )+/, '')
    .replace(/( 00)+$/, '');
  return 1 + ((pairs?.length ?? 0) + 1) / 3 + (integer < 0n ? 1 : 0);
}

describe('the bytes of a number', () => {
  it('are those of its pairs of digits', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), fc.nat(30), (integer, decimals) => {
        const expected = bytesByDefinition(integer, decimals);
        expect(decimalBytes(`${integer}e-${decimals}`)).toBe(expected);
        expect(decimalBytes(`${integer}E${-decimals}`)).toBe(expected);
      }),
      RUNS,
    );
  });

  it('do not depend on how the number is written', () => {
    for (const text of ['1200', '1200.0', '01200', '1.2e3', '1.200E+3', '12e2', '0.12e4']) {
      expect([text, decimalBytes(text)]).toEqual([text, 2]);
    }
    for (const text of ['0', '-0', '0.000', '0e10']) expect([text, decimalBytes(text)]).toEqual([text, 1]);
  });

  it('are counted of a double as of its text, where it is an integer or has few decimals', () => {
    const doubles = fc.oneof(
      fc.integer({ min: -1e9, max: 1e9 }).map((integer) => integer / 10_000),
      fc.maxSafeInteger(),
    );
    fc.assert(
      fc.property(doubles, (value) => {
        expect(numberBytesBound(value)).toBe(decimalBytes(String(value)));
      }),
      RUNS,
    );
  });

  it('are never counted too low, nor by more than 8 too high', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const excess = numberBytesBound(value) - decimalBytes(String(value));
        expect(excess).toBeGreaterThanOrEqual(0);
        expect(excess).toBeLessThanOrEqual(8);
      }),
      RUNS,
    );
  });
});

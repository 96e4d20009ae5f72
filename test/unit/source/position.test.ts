import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareMarkPositions,
  comparePositions,
  compareSequences,
  decodeMarkPosition,
  decodePosition,
  encodeMarkPosition,
  encodePosition,
  parseSequence,
  type Position,
} from '../../../shared/source/position.ts';

const sequence = fc.oneof(
  fc.bigInt({ min: 0n, max: 10n ** 129n - 1n }),
  fc.bigInt({ min: 10n ** 55n, max: 10n ** 57n }),
  fc.bigInt({ min: 0n, max: 300n }),
  // Around the powers of 64, where the encoded form grows.
  fc
    .tuple(fc.integer({ min: 1, max: 71 }), fc.bigInt({ min: -2n, max: 2n }))
    .map(([digits, off]) => 64n ** BigInt(digits) + off),
);
const sub = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 2 ** 31 }));
const position = fc.record({ sequence: sequence.map(String), sub });

function sign(value: number | bigint): number {
  return value < 0 ? -1 : value > 0 ? 1 : 0;
}

function asIntegers(a: Position, b: Position): number {
  return sign(BigInt(a.sequence) - BigInt(b.sequence)) || sign(a.sub - b.sub);
}

describe('a position', () => {
  it('has one order: as integers, compared, and encoded as text', () => {
    fc.assert(
      fc.property(position, position, (a, b) => {
        const [encodedA, encodedB] = [encodePosition(a), encodePosition(b)];
        expect(sign(comparePositions(a, b))).toBe(asIntegers(a, b));
        expect(encodedA < encodedB ? -1 : encodedA > encodedB ? 1 : 0).toBe(asIntegers(a, b));
        // As DynamoDB compares: by bytes of UTF-8.
        expect(sign(Buffer.compare(Buffer.from(encodedA), Buffer.from(encodedB)))).toBe(asIntegers(a, b));
      }),
      { numRuns: 2_000 },
    );
  });

  it('is what it was after it was stored', () => {
    fc.assert(
      fc.property(position, (each) => {
        expect(decodePosition(encodePosition(each))).toEqual(each);
      }),
      { numRuns: 1_000 },
    );
  });

  it('of Kinesis’ usual length takes 34 characters at most', () => {
    expect(encodePosition({ sequence: '9'.repeat(56), sub: 0 }).length).toBeLessThanOrEqual(34);
  });

  it('is not read from what is no encoded position', () => {
    expect(() => decodePosition('3!aa')).toThrow(RangeError);
  });
});

describe('a position of an output', () => {
  const small = fc.integer({ min: 0, max: 20 });
  const output = fc.record({
    sequence: fc.bigInt({ min: 95n, max: 105n }).map(String),
    sub: fc.integer({ min: 0, max: 2 }),
    element: small,
    index: small,
  });

  it('is what it was after it was stored', () => {
    fc.assert(
      fc.property(fc.oneof(output, position), (each) => {
        expect(decodeMarkPosition(encodeMarkPosition(each))).toEqual(each);
      }),
    );
  });

  it('is ordered by its record, then by element, then by index', () => {
    const numbers = (each: Position & { element: number; index: number }): number[] => [
      Number(each.sequence),
      each.sub,
      each.element,
      each.index,
    ];
    fc.assert(
      fc.property(output, output, (a, b) => {
        const differs = numbers(a).findIndex((number, place) => number !== numbers(b)[place]);
        const expected =
          differs < 0 ? 0 : sign((numbers(a)[differs] as number) - (numbers(b)[differs] as number));
        expect(sign(compareMarkPositions(a, b))).toBe(expected);
      }),
    );
  });
});

describe('a sequence number', () => {
  it('loses leading zeros, and stays a text of digits', () => {
    expect(parseSequence('000123')).toBe('123');
    expect(parseSequence('0')).toBe('0');
    expect(parseSequence('000')).toBe('0');
  });

  it.each(['', 'LATEST', '-1', '1.5', '1e5', ' 1', '٣', '1'.repeat(130)])('is not %j', (text) => {
    expect(() => parseSequence(text)).toThrow(/is not 1 to 129 decimal digits; is this event from Kinesis\?/);
  });

  it('is compared by its value where the lengths differ', () => {
    expect(compareSequences('9', '10')).toBeLessThan(0);
    expect(compareSequences('10', '9')).toBeGreaterThan(0);
    expect(compareSequences('10', '10')).toBe(0);
  });
});

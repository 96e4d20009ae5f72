import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  all,
  collect,
  count,
  countByValue,
  distinct,
  first,
  last,
  max,
  maxBy,
  mean,
  min,
  minBy,
  sum,
  topN,
  where,
  type Aggregation,
} from '../../../shared/index.ts';
import { canonicalDocument } from '../../../shared/state/canonical-document.ts';

interface Reading {
  readonly sensor: string;
  readonly degrees: number;
}

const term = fc.oneof(
  fc.integer({ min: -1_000, max: 1_000 }),
  fc.double({ min: -1e6, max: 1e6, noNaN: true }).filter((x) => x === 0 || Math.abs(x) > 1e-50),
  fc.constantFrom(1e50, -1e50, 1e-50, 0.1, -0),
);
const reading: fc.Arbitrary<Reading> = fc.record({
  sensor: fc.constantFrom('a', 'b', 'c', '', '__proto__', 'constructor', 'zürich', '\u0000'),
  degrees: term,
});
const readings = fc.array(reading, { maxLength: 30 });

const degrees = (value: Reading): number => value.degrees;
const sensor = (value: Reading): string => value.sensor;

/** Those of which every law holds without a rounding. */
const EXACT: Record<string, Aggregation<Reading, unknown, unknown>> = {
  count: count() as Aggregation<Reading, unknown, unknown>,
  sum: sum(degrees) as Aggregation<Reading, unknown, unknown>,
  mean: mean(degrees) as Aggregation<Reading, unknown, unknown>,
  min: min(degrees) as Aggregation<Reading, unknown, unknown>,
  'max of texts': max(sensor) as Aggregation<Reading, unknown, unknown>,
  countByValue: countByValue(sensor) as Aggregation<Reading, unknown, unknown>,
  distinct: distinct(degrees, { precision: 4 }) as Aggregation<Reading, unknown, unknown>,
  'topN of sensors': topN(3, { of: sensor, by: degrees }) as Aggregation<Reading, unknown, unknown>,
  all: all({
    readings: count(),
    cold: where((value: Reading) => value.degrees < 0, count()),
    delay: mean(degrees),
  }) as Aggregation<Reading, unknown, unknown>,
};
/** Those where, besides, it matters which value came first. */
const ORDERED: Record<string, Aggregation<Reading, unknown, unknown>> = {
  first: first<Reading>() as Aggregation<Reading, unknown, unknown>,
  last: last<Reading>() as Aggregation<Reading, unknown, unknown>,
  minBy: minBy(degrees) as Aggregation<Reading, unknown, unknown>,
  maxBy: maxBy(degrees) as Aggregation<Reading, unknown, unknown>,
  collect: collect<Reading>({ limit: 100 }) as Aggregation<Reading, unknown, unknown>,
  'collect of the last': collect<Reading>({ limit: 4, beyond: 'dropOldest' }) as Aggregation<
    Reading,
    unknown,
    unknown
  >,
  'topN of values': topN(3, { by: degrees }) as Aggregation<Reading, unknown, unknown>,
};

function added<T, A>({ initial, add }: Aggregation<T, A, unknown>, values: readonly T[]): A {
  // As between two records: what was stored comes back in one form.
  return values.reduce((held, value) => stored(add(held, value)), initial());
}

function stored<A>(accumulator: A): A {
  return canonicalDocument(accumulator).document as A;
}

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
    Object.values(value).forEach(frozen);
    Object.freeze(value);
  }
  return value;
}

describe.each(Object.entries({ ...EXACT, ...ORDERED }))('%s', (_, aggregation) => {
  it('of parts that are merged is that of the whole, in state and result', () => {
    fc.assert(
      fc.property(fc.array(readings, { maxLength: 4 }), (parts) => {
        const { merge, initial, result } = aggregation;
        const whole = added(aggregation, parts.flat());
        const leftToRight = parts.map((part) => added(aggregation, part)).reduce(merge, initial());
        const rightToLeft = parts
          .map((part) => added(aggregation, part))
          .reduceRight((later, earlier) => merge(earlier, later), initial());
        expect(stored(leftToRight)).toEqual(whole);
        expect(stored(rightToLeft)).toEqual(whole);
        expect(result(leftToRight)).toEqual(result(whole));
      }),
    );
  });

  it('accepts what it keeps, changes nothing that it is given, and is frozen', () => {
    fc.assert(
      fc.property(readings, readings, (one, other) => {
        const { accepts, add, merge, initial, result, remove } = aggregation;
        const held = [one, other].map((part) =>
          part.reduce((before, value) => frozen(add(before, frozen(value))), frozen(initial())),
        );
        for (const each of held) expect(accepts?.(stored(each))).toBe(true);
        merge(held[0], held[1]);
        result(held[0]);
        if (one.length > 0) remove?.(held[0], one[0] as Reading);
      }),
    );
    expect(Object.isFrozen(aggregation)).toBe(true);
    for (const state of [undefined, null, 1, 'a', [], {}, { a: 1 }, new Uint8Array(1)]) {
      expect(() => aggregation.accepts?.(state)).not.toThrow();
    }
    expect(aggregation.accepts?.({ of: 'another' })).toBe(false);
  });
});

describe.each(Object.entries(EXACT))('%s', (_, aggregation) => {
  it('is the same in any order', () => {
    fc.assert(
      fc.property(
        readings.chain((values) =>
          fc.tuple(fc.constant(values), fc.shuffledSubarray(values, { minLength: values.length })),
        ),
        ([values, shuffled]) => {
          expect(added(aggregation, shuffled)).toEqual(added(aggregation, values));
        },
      ),
    );
  });
});

const INVERTIBLE = ['count', 'sum', 'mean', 'countByValue', 'all'];

describe.each(INVERTIBLE)('%s', (name) => {
  it('has remove undo add, of any value that was added', () => {
    const aggregation = EXACT[name] as Aggregation<Reading, unknown, unknown>;
    fc.assert(
      fc.property(readings, reading, readings, (before, value, after) => {
        const withIt = added(aggregation, [...before, value, ...after]);
        expect(stored(aggregation.remove?.(withIt, value))).toEqual(
          added(aggregation, [...before, ...after]),
        );
      }),
    );
  });
});

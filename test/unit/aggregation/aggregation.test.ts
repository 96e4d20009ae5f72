import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  all,
  collect,
  count,
  countByValue,
  distinct,
  first,
  frequent,
  last,
  max,
  maxBy,
  mean,
  min,
  minBy,
  stats,
  sum,
  topN,
  variance,
  where,
  type Aggregation,
} from '../../../shared/index.ts';
import { canonicalDocument } from '../../../shared/state/canonical-document.ts';
import type { Document } from '../../../shared/state/document.ts';

const same = <T>(value: T): T => value;

function added<T, A>({ initial, add }: Aggregation<T, A, unknown>, values: readonly T[]): A {
  return values.reduce(add, initial());
}

function resultOf<T, A, R>(aggregation: Aggregation<T, A, R>, values: readonly T[]): R {
  return aggregation.result(added(aggregation, values));
}

describe('sum and mean', () => {
  it('are rounded once, however much is lost on the way', () => {
    const tenths = Array.from({ length: 10 }, () => 0.1);
    expect(resultOf(sum(same<number>), tenths)).toBe(1);
    expect(resultOf(mean(same<number>), tenths)).toBe(0.1);
    expect(resultOf(sum(same<number>), [1e50, 1, -1e50])).toBe(1);
    expect(resultOf(sum(same<number>), [])).toBe(0);
    expect(resultOf(mean(same<number>), [])).toBeNull();
  });

  it('round as the exact rational sum does', () => {
    /** Every number of these is a whole number of 2^-1074. */
    const units = (x: number): bigint => {
      const view = new DataView(new ArrayBuffer(8));
      view.setFloat64(0, x);
      const bits = view.getBigUint64(0);
      const exponent = (bits >> 52n) & 0x7ffn;
      const fraction = bits & 0xfffffffffffffn;
      const magnitude = exponent === 0n ? fraction : (fraction | (1n << 52n)) << (exponent - 1n);
      return x < 0 ? -magnitude : magnitude;
    };
    const term = fc.oneof(
      fc.double({ min: -1e50, max: 1e50, noNaN: true }).filter((x) => x === 0 || Math.abs(x) >= 1e-50),
      fc.constantFrom(1, 2 ** -53, -(2 ** -53), 2 ** -106, -(2 ** -106), 1 + 2 ** -52, 1e16, 1e-16),
    );
    fc.assert(
      fc.property(fc.array(term, { maxLength: 20 }), (terms) => {
        const exact = terms.reduce((total, each) => total + units(each), 0n);
        const state = added(sum(same<number>), terms);
        expect(state.reduce((total, each) => total + units(each), 0n)).toBe(exact);
        expect(state.length).toBeLessThanOrEqual(8);
        const rounded = units(sum(same<number>).result(state));
        const distance = (other: bigint): bigint => (other > exact ? other - exact : exact - other);
        // The sum's neighbours among the numbers are no closer to it.
        const ulp = 1n << BigInt(Math.max(0, rounded.toString(2).replace('-', '').length - 53));
        expect(distance(rounded)).toBeLessThanOrEqual(distance(rounded + ulp));
        expect(distance(rounded)).toBeLessThanOrEqual(distance(rounded - ulp));
      }),
      { numRuns: 1_000 },
    );
  });

  it('give the mean of equal values as that value', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-50, max: 1e50, noNaN: true }),
        fc.integer({ min: 1, max: 200 }),
        (value, times) => {
          const values = Array.from({ length: times }, () => value);
          expect(resultOf(mean(same<number>), values)).toBe(value);
          expect(resultOf(variance(same<number>), values)).toBe(0);
        },
      ),
    );
  });
});

describe('stats and variance', () => {
  /** Two passes over the values, which are shifted to their first: the textbook's stable way. */
  function plainVariance(values: readonly number[]): number {
    const shifted = values.map((value) => value - (values[0] as number));
    const center = shifted.reduce((a, b) => a + b, 0) / values.length;
    return shifted.reduce((total, value) => total + (value - center) ** 2, 0) / values.length;
  }

  it('give what is known of a small population', () => {
    const values = [2, 4, 4, 4, 5, 5, 7, 9];
    expect(resultOf(stats(same<number>), values)).toEqual({
      count: 8,
      sum: 40,
      mean: 5,
      variance: 4,
      standardDeviation: 2,
    });
    expect(resultOf(variance(same<number>, { of: 'sample' }), values)).toBeCloseTo(32 / 7, 12);
    expect(resultOf(variance(same<number>, { of: 'sample' }), [1])).toBeNull();
    expect(resultOf(stats(same<number>), [])).toEqual({
      count: 0,
      sum: 0,
      mean: null,
      variance: null,
      standardDeviation: null,
    });
  });

  it('are stable where squares would lose every digit', () => {
    const values = [4, 7, 13, 16].map((value) => value + 1e9);
    expect(resultOf(variance(same<number>), values)).toBe(22.5);
    expect(
      resultOf(
        variance(same<number>),
        [4, 7, 13, 16].map((value) => value + 1e15),
      ),
    ).toBe(22.5);
  });

  it('of parts that are merged are those of the whole, but for rounding', () => {
    const values = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }).map(Math.fround), {
      minLength: 1,
    });
    fc.assert(
      fc.property(values, values, (one, other) => {
        const aggregation = stats(same<number>);
        const { variance: merged, ...exact } = aggregation.result(
          aggregation.merge(added(aggregation, one), added(aggregation, other)),
        );
        const { variance: whole, ...rest } = resultOf(aggregation, [...one, ...other]);
        expect([exact.count, exact.sum, exact.mean]).toEqual([rest.count, rest.sum, rest.mean]);
        const plain = plainVariance([...one, ...other]);
        const tolerance = 1e-12 * plain + 1e-12;
        expect(Math.abs((merged as number) - plain)).toBeLessThanOrEqual(tolerance);
        expect(Math.abs((whole as number) - plain)).toBeLessThanOrEqual(tolerance);
      }),
    );
  });

  it('can be stored at the ends of what they take', () => {
    for (const values of [
      [1e50, -1e50, 1e50],
      [1e-50, -1e-50, 3e-50, 1e-50],
      [1, 1 + Number.EPSILON],
    ]) {
      expect(() =>
        canonicalDocument(added(stats(same<number>), values) as unknown as Document),
      ).not.toThrow();
    }
  });

  it('refuse to be of anything but a population or a sample', () => {
    expect(() => variance(same<number>, { of: 'all' as 'sample' })).toThrow(/it is 'population' or 'sample'/);
  });
});

describe('min, max, minBy, maxBy, first, last', () => {
  it('choose by number or text, and the first of equals', () => {
    const rows = [
      { name: 'b', size: 2 },
      { name: 'a', size: 3 },
      { name: 'c', size: 3 },
      { name: 'd', size: 2 },
    ];
    const size = (row: { size: number }): number => row.size;
    const name = (row: { name: string }): string => row.name;
    expect(resultOf(min(size), rows)).toBe(2);
    expect(resultOf(max(name), rows)).toBe('d');
    expect(resultOf(maxBy(size), rows)).toBe(rows[1]);
    expect(resultOf(minBy(size), rows)).toBe(rows[0]);
    expect(resultOf(minBy(name), rows)).toBe(rows[1]);
    expect(resultOf(first(), rows)).toBe(rows[0]);
    expect(resultOf(last(), rows)).toBe(rows[3]);
  });

  it('are null of nothing, and told from a null that was kept', () => {
    for (const aggregation of [min(same<number>), maxBy(same<number>), first(), last()]) {
      expect(resultOf(aggregation as Aggregation<number, unknown, unknown>, [])).toBeNull();
    }
    expect(resultOf(first<number | null>(), [null, 1])).toBeNull();
  });

  it('order what should not be mixed: numbers before texts', () => {
    expect(resultOf(max(same<number | string>), [5, 'a', 7])).toBe('a');
    expect(resultOf(min(same<number | string>), ['a', 5])).toBe(5);
  });
});

describe('countByValue', () => {
  it('counts any value, the most frequent first', () => {
    const values = ['__proto__', '', 'constructor', '__proto__', '1', '', '__proto__'];
    expect(resultOf(countByValue(same<string>), values)).toEqual([
      { value: '__proto__', count: 3 },
      { value: '', count: 2 },
      { value: '1', count: 1 },
      { value: 'constructor', count: 1 },
    ]);
    expect(resultOf(countByValue(same<string | number | boolean>), [1, '1', true, -0, 0])).toEqual([
      { value: 0, count: 2 },
      { value: true, count: 1 },
      { value: 1, count: 1 },
      { value: '1', count: 1 },
    ]);
  });

  it('rejects a value beyond the limit, counts those it knows, and loses none when merged', () => {
    const aggregation = countByValue(same<string>, { limit: 2 });
    const full = added(aggregation, ['a', 'b', 'a']);
    expect(() => aggregation.add(full, 'c')).toThrow(
      'countByValue counts 2 different values, and this is another; its limit is 2',
    );
    expect(aggregation.add(full, 'b')).toEqual([
      ['a', 2],
      ['b', 2],
    ]);
    expect(aggregation.merge(full, added(aggregation, ['c', 'a']))).toEqual([
      ['a', 3],
      ['b', 1],
      ['c', 1],
    ]);
  });
});

describe('topN', () => {
  it('ranks each candidate once, with its highest', () => {
    const values = [
      ['ATL', 5],
      ['SEA', 9],
      ['ATL', 12],
      ['ORD', 9],
      ['DEN', 1],
      ['SEA', 2],
    ] as const;
    const aggregation = topN(3, {
      of: ([airport]: readonly [string, number]) => airport,
      by: ([, delay]) => delay,
    });
    expect(resultOf(aggregation, values)).toEqual([
      { value: 'ATL', measure: 12 },
      { value: 'ORD', measure: 9 },
      { value: 'SEA', measure: 9 },
    ]);
  });

  it('is what sorting the whole gives', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.integer({ min: 0, max: 9 }))),
        (rows) => {
          const best = new Map<string, number>();
          for (const [name, size] of rows) best.set(name, Math.max(size, best.get(name) ?? 0));
          const sorted = [...best].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).slice(0, 3);
          const ranked = resultOf(
            topN(3, { of: ([name]: [string, number]) => name, by: ([, size]) => size }),
            rows,
          );
          expect(ranked.map(({ value, measure }) => [value, measure])).toEqual(sorted);
          const whole = resultOf(topN(3, { by: ([, size]: [string, number]) => size }), rows);
          expect(whole.map(({ value }) => value)).toEqual(rows.toSorted(([, x], [, y]) => y - x).slice(0, 3));
        },
      ),
    );
  });
});

describe('frequent', () => {
  it('keeps its bounds for any values, merged in any way', () => {
    const value = fc.oneof(fc.constantFrom('x', 'y'), fc.integer({ min: 0, max: 30 }).map(String));
    const part = fc.array(value, { maxLength: 60 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(part, { minLength: 1, maxLength: 4 }),
        part,
        (n, parts, rest) => {
          const aggregation = frequent(n, { of: same<string> });
          const merged = parts.map((each) => added(aggregation, each)).reduce(aggregation.merge);
          const listed = aggregation.result(rest.reduce(aggregation.add, merged));
          const values = [...parts.flat(), ...rest];
          const counts = new Map<string, number>();
          for (const each of values) counts.set(each, (counts.get(each) ?? 0) + 1);
          expect(listed.length).toBe(Math.min(n, listed.length));
          for (const { value: each, count: estimate, error } of listed) {
            const truth = counts.get(each) ?? 0;
            expect(truth).toBeLessThanOrEqual(estimate);
            expect(truth).toBeGreaterThanOrEqual(estimate - error);
            expect(error).toBeLessThanOrEqual(values.length / n);
          }
          for (const [each, truth] of counts) {
            if (truth > values.length / n) expect(listed.map((entry) => entry.value)).toContain(each);
          }
          if (counts.size <= n) {
            expect(new Map(listed.map((entry) => [entry.value, entry.count]))).toEqual(counts);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('collect', () => {
  it('rejects a value beyond the limit, or lets the oldest go', () => {
    const all = collect<number>({ limit: 2 });
    expect(() => added(all, [1, 2, 3])).toThrow('collect has 2 values; its limit is 2');
    expect(all.merge([1, 2], [3, 4])).toEqual([1, 2, 3, 4]);
    expect(resultOf(collect<number>({ limit: 2, beyond: 'dropOldest' }), [1, 2, 3])).toEqual([2, 3]);
  });
});

describe('all and where', () => {
  it('give an object of their parts, and undo only where each can', () => {
    const parts = {
      flights: count(),
      late: where((delay: number) => delay > 15, count()),
      worst: max(same<number>),
    };
    expect(resultOf(all(parts), [20, 0, 30])).toEqual({ flights: 3, late: 2, worst: 30 });
    expect(all(parts).remove).toBeUndefined();
    const { flights, late } = parts;
    expect(all({ flights, late }).remove?.({ flights: 3, late: 2 }, 20)).toEqual({ flights: 2, late: 1 });
  });

  it('accept only states with all of their parts and no other', () => {
    const { accepts } = all({ flights: count(), worst: max(same<number>) });
    expect(accepts?.({ flights: 1, worst: 2 })).toBe(true);
    for (const state of [{ flights: 1 }, { flights: 1, worst: 2, more: 3 }, { flights: 'a', worst: 2 }, []]) {
      expect(accepts?.(state)).toBe(false);
    }
  });

  it('take a part under any name but an empty one', () => {
    const parts = Object.fromEntries([['__proto__', count()]]);
    const { result, ...rest } = all(parts);
    const state = added({ result, ...rest }, [1, 2]);
    expect(Object.entries(result(state))).toEqual([['__proto__', 2]]);
    expect(() => all({ '': count() })).toThrow(/each under a name that is not empty/);
    expect(() => all({})).toThrow(/one or more aggregations/);
  });
});

describe('hostile values', () => {
  const ofAny: Record<string, Aggregation<unknown, unknown, unknown>> = {
    sum: sum(same as (value: unknown) => number) as Aggregation<unknown, unknown, unknown>,
    mean: mean(same as (value: unknown) => number) as Aggregation<unknown, unknown, unknown>,
    stats: stats(same as (value: unknown) => number) as Aggregation<unknown, unknown, unknown>,
    variance: variance(same as (value: unknown) => number) as Aggregation<unknown, unknown, unknown>,
    min: min(same as (value: unknown) => number) as Aggregation<unknown, unknown, unknown>,
    maxBy: maxBy(same as (value: unknown) => string) as Aggregation<unknown, unknown, unknown>,
    countByValue: countByValue(same as (value: unknown) => string) as Aggregation<unknown, unknown, unknown>,
    topN: topN(3, {
      of: same as (value: unknown) => string,
      by: () => 1,
    }) as Aggregation<unknown, unknown, unknown>,
    frequent: frequent(3, { of: same as (value: unknown) => string }) as Aggregation<
      unknown,
      unknown,
      unknown
    >,
    distinct: distinct(same as (value: unknown) => string) as Aggregation<unknown, unknown, unknown>,
  };

  describe.each(Object.entries(ofAny))('given to %s', (name, { initial, add }) => {
    it.each([
      ['NaN', Number.NaN],
      ['Infinity', Number.POSITIVE_INFINITY],
      ['a number too large for a table', 1e126],
      ['a number too small for a table', 1e-131],
      ['a lone surrogate', 'a\ud800'],
      ['a text too long to keep', 'é'.repeat(513)],
      ['null', null],
      ['undefined', undefined],
      ['a bigint', 1n],
      ['an object', {}],
      ['an object that is like a number', { valueOf: () => 1 }],
      ['a symbol', Symbol('s')],
      ['a Promise', Promise.resolve(1)],
    ])('are refused in words: %s', (_, value) => {
      const held = add(initial(), 1);
      const before = structuredClone(held);
      expect(() => add(held, value)).toThrow(new RegExp(`${name}.*(takes|well-formed|synchronous)`));
      expect(held).toEqual(before);
    });
  });

  it.each(['sum', 'mean', 'stats'])('beyond what can be added up are refused by %s', (name) => {
    const { initial, add } = ofAny[name] as Aggregation<unknown, unknown, unknown>;
    for (const value of [1.1e50, -1e51, 9e-51, '1', true]) {
      expect(() => add(initial(), value)).toThrow(
        /it takes 0 and numbers of a magnitude from 1e-50 to 1e\+50/,
      );
    }
  });
});

describe('options', () => {
  it.each([0, -1, 1.5, Number.NaN, 1e9, '5' as unknown as number])('are refused out of range: %j', (n) => {
    expect(() => countByValue(same<string>, { limit: n })).toThrow(/'limit' of countByValue is/);
    expect(() => collect({ limit: n })).toThrow(
      /'limit' of collect is .*; it is a whole number from 1 to 10000\./,
    );
    expect(() => topN(n, { by: same<number> })).toThrow(/'n' of topN is/);
    expect(() => frequent(n, { of: same<string> })).toThrow(/'n' of frequent is/);
    expect(() => distinct(same<string>, { precision: n })).toThrow(/'precision' of distinct is/);
  });
});

describe('remove', () => {
  it('refuses a value of which nothing was added', () => {
    expect(() => count().remove(0, 1)).toThrow(/never added/);
    expect(() => mean(same<number>).remove({ count: 0, sum: [] }, 1)).toThrow(/never added/);
    expect(() => countByValue(same<string>).remove([['a', 1]], 'b')).toThrow(/never added/);
  });
});

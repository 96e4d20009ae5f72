import { MIN_NUMBER_MAGNITUDE } from '../state/dynamodb-limits.ts';
import type { Aggregation } from './aggregation.ts';
import { isExactSum, meanOf, NO_SUM, plus, plusSum, rounded, type ExactSum } from './exact-sum.ts';
import { hasNames, isCount, requireTerm } from './requirements.ts';

export interface StatsState {
  readonly count: number;
  readonly sum: ExactSum;
  /** The sum of the squared differences from the mean. */
  readonly m2: number;
}

/** All of one population; `null` where there is none. */
export interface Stats {
  readonly count: number;
  readonly sum: number;
  readonly mean: number | null;
  readonly variance: number | null;
  readonly standardDeviation: number | null;
}

export interface VarianceOptions {
  /**
   * `population` unless given: the mean of the squared differences. `sample`: their sum by one less than there are
   * values, which estimates the variance of what they were drawn from; `null` below two.
   */
  of?: 'population' | 'sample';
}

/**
 * Count, sum, mean, variance and standard deviation of what `of` gives, of the population. Numerically stable: squared
 * differences from the mean are summed, never squares.
 *
 * `add` is B. P. Welford's update ("Note on a Method for Calculating Corrected Sums of Squares and Products", 1962),
 * with means from an exact sum; `merge` is that of T. F. Chan, G. H. Golub and R. J. LeVeque ("Updating Formulae and a
 * Pairwise Algorithm for Computing Sample Variances", 1979). Count, sum and mean are the same in any order; variance
 * differs by rounding where values come, or parts are merged, in another.
 */
export function stats<T>(of: (value: T) => number): Aggregation<T, StatsState, Stats> {
  return Object.freeze({
    ...moments(of, 'stats'),
    result: ({ count, sum, m2 }: StatsState) => {
      const variance = count === 0 ? null : m2 / count;
      return {
        count,
        sum: rounded(sum),
        mean: count === 0 ? null : meanOf(sum, count),
        variance,
        standardDeviation: variance === null ? null : Math.sqrt(variance),
      };
    },
  });
}

/** The variance of what `of` gives, `null` of nothing; as `stats` has it. */
export function variance<T>(
  of: (value: T) => number,
  { of: what = 'population' }: VarianceOptions = {},
): Aggregation<T, StatsState, number | null> {
  if (what !== 'population' && what !== 'sample') {
    throw new TypeError(`'of' of variance is ${JSON.stringify(what)}; it is 'population' or 'sample'.`);
  }
  const fewer = what === 'sample' ? 1 : 0;
  return Object.freeze({
    ...moments(of, 'variance'),
    result: ({ count, m2 }: StatsState) => (count - fewer < 1 ? null : m2 / (count - fewer)),
  });
}

function moments<T>(of: (value: T) => number, what: string) {
  return {
    initial: (): StatsState => ({ count: 0, sum: NO_SUM, m2: 0 }),
    add: (state: StatsState, value: T): StatsState => {
      const term = requireTerm(of(value), what);
      const count = state.count + 1;
      const sum = plus(state.sum, term);
      if (state.count === 0) return { count, sum, m2: 0 };
      const square = (term - meanOf(state.sum, state.count)) * (term - meanOf(sum, count));
      return { count, sum, m2: storable(state.m2 + Math.max(0, square)) };
    },
    merge: (earlier: StatsState, later: StatsState): StatsState => {
      if (earlier.count === 0) return later;
      if (later.count === 0) return earlier;
      const count = earlier.count + later.count;
      const difference = meanOf(later.sum, later.count) - meanOf(earlier.sum, earlier.count);
      const between = difference * difference * ((earlier.count / count) * later.count);
      return {
        count,
        sum: plusSum(earlier.sum, later.sum),
        m2: storable(earlier.m2 + later.m2 + between),
      };
    },
    accepts: (state: unknown) =>
      hasNames(state, ['count', 'sum', 'm2']) &&
      isCount(state.count) &&
      isExactSum(state.sum) &&
      typeof state.m2 === 'number',
  };
}

/** A table stores no smaller number but 0. */
function storable(number: number): number {
  return number < MIN_NUMBER_MAGNITUDE ? 0 : number;
}

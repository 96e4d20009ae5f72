import { neverAdded, type InvertibleAggregation } from './aggregation.ts';
import { isExactSum, meanOf, NO_SUM, plus, plusSum, type ExactSum } from './exact-sum.ts';
import { hasNames, isCount, requireTerm } from './requirements.ts';

export interface MeanState {
  readonly count: number;
  readonly sum: ExactSum;
}

/**
 * The mean of what `of` gives, `null` of nothing. From an exact sum, as in `sum`: order and merging make no difference,
 * and the mean of equal values is that value.
 */
export function mean<T>(of: (value: T) => number): InvertibleAggregation<T, MeanState, number | null> {
  return Object.freeze({
    initial: () => ({ count: 0, sum: NO_SUM }),
    add: (state: MeanState, value: T) => ({
      count: state.count + 1,
      sum: plus(state.sum, requireTerm(of(value), 'mean')),
    }),
    merge: (earlier: MeanState, later: MeanState) => ({
      count: earlier.count + later.count,
      sum: plusSum(earlier.sum, later.sum),
    }),
    remove: (state: MeanState, value: T) => ({
      count: state.count > 0 ? state.count - 1 : neverAdded('mean'),
      sum: plus(state.sum, -requireTerm(of(value), 'mean')),
    }),
    result: (state: MeanState) => (state.count === 0 ? null : meanOf(state.sum, state.count)),
    accepts: (state: unknown) =>
      hasNames(state, ['count', 'sum']) && isCount(state.count) && isExactSum(state.sum),
  });
}

import type { InvertibleAggregation } from './aggregation.ts';
import { isExactSum, NO_SUM, plus, plusSum, rounded, type ExactSum } from './exact-sum.ts';
import { requireTerm } from './requirements.ts';

/**
 * The sum of what `of` gives. It is kept exactly and rounded once, in the result: neither the order of the values nor
 * how partial sums are merged makes a difference, and a value can be taken out again without a trace.
 * `of` gives 0 or a magnitude from 1e-50 to 1e50; anything else rejects its record.
 */
export function sum<T>(of: (value: T) => number): InvertibleAggregation<T, ExactSum, number> {
  return Object.freeze({
    initial: () => NO_SUM,
    add: (terms: ExactSum, value: T) => plus(terms, requireTerm(of(value), 'sum')),
    merge: plusSum,
    remove: (terms: ExactSum, value: T) => plus(terms, -requireTerm(of(value), 'sum')),
    result: rounded,
    accepts: isExactSum,
  });
}

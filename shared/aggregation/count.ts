import { itself, neverAdded, type InvertibleAggregation } from './aggregation.ts';
import { isCount } from './requirements.ts';

/** How many values there are. */
export function count(): InvertibleAggregation<unknown, number, number> {
  return Object.freeze({
    initial: () => 0,
    add: (values: number) => values + 1,
    merge: (earlier: number, later: number) => earlier + later,
    remove: (values: number) => (values > 0 ? values - 1 : neverAdded('count')),
    result: itself<number>,
    accepts: isCount,
  });
}

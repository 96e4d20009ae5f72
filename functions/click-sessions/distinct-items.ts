import type { Aggregation } from '../../shared/index.ts';

/** Who looks at more in one visit is no shopper. */
const ITEMS_LIMIT = 50;

/** The different items of a visit, in the order of their names: the same whichever came first. */
export const distinctItems: Aggregation<{ readonly item: string }, readonly string[], readonly string[]> = {
  initial: () => [],
  add: (items, { item }) => union(items, [item]),
  merge: union,
  result: (items) => items,
};

function union(a: readonly string[], b: readonly string[]): readonly string[] {
  return [...new Set([...a, ...b])].sort().slice(0, ITEMS_LIMIT);
}

import { itself, type Aggregation } from './aggregation.ts';
import { requireWhole } from './requirements.ts';

/** The most values that can be collected; what they take together is limited as any state is. */
export const COLLECT_MAXIMUM_LIMIT = 10_000;

export interface CollectOptions {
  /** The most values that are kept, 1 to 10,000. Each is written anew with every record of the key. */
  limit: number;
  /** What comes of a value beyond the limit: its record is rejected (`reject`, the default), or the oldest goes. */
  beyond?: 'reject' | 'dropOldest';
}

/**
 * The values, whole, in the order in which they came. `merge` goes beyond the limit rather than lose a value, unless
 * the oldest may go.
 * @throws TypeError where an option cannot be used.
 */
export function collect<T>({
  limit,
  beyond = 'reject',
}: CollectOptions): Aggregation<T, readonly T[], readonly T[]> {
  requireWhole("'limit' of collect", limit, 1, COLLECT_MAXIMUM_LIMIT);
  if (beyond !== 'reject' && beyond !== 'dropOldest') {
    throw new TypeError(`'beyond' of collect is ${JSON.stringify(beyond)}; it is 'reject' or 'dropOldest'.`);
  }
  const joined = (earlier: readonly T[], later: readonly T[]): readonly T[] => {
    const values = [...earlier, ...later];
    return beyond === 'dropOldest' ? values.slice(-limit) : values;
  };
  return Object.freeze({
    initial: () => [],
    add: (values: readonly T[], value: T) => {
      if (beyond === 'dropOldest' || values.length < limit) return joined(values, [value]);
      throw new RangeError(`collect has ${values.length} values; its limit is ${limit}`);
    },
    merge: joined,
    result: itself<readonly T[]>,
    accepts: Array.isArray,
  });
}

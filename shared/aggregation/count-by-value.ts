import { neverAdded, type InvertibleAggregation } from './aggregation.ts';
import { requireCountable, requireWhole, type Countable } from './requirements.ts';
import { byCount, isEntries, joined, placeOf, type SortedEntries } from './sorted-entries.ts';

/** The most different values that can be counted. */
export const COUNT_BY_VALUE_MAXIMUM_LIMIT = 5_000;

export type CountEntry<V extends Countable> = readonly [value: V, count: number];

export interface ValueCount<V extends Countable> {
  readonly value: V;
  readonly count: number;
}

export interface CountByValueOptions {
  /**
   * Different values that are counted, 1 to 5,000; 100 unless given. They are written anew with every record of the
   * key. A record with one more is rejected: counts are exact, or there are none. See `frequent` for as many as come.
   */
  limit?: number;
}

/**
 * How often each of what `of` gives occurs, exactly; the most frequent first, equally frequent ones by value. Types are
 * told apart: `1` and `'1'` are two values. `merge` goes beyond the limit rather than lose a count.
 * @throws TypeError where the limit cannot be used.
 */
export function countByValue<T, V extends Countable>(
  of: (value: T) => V,
  { limit = 100 }: CountByValueOptions = {},
): InvertibleAggregation<T, SortedEntries<CountEntry<V>>, readonly ValueCount<V>[]> {
  requireWhole("'limit' of countByValue", limit, 1, COUNT_BY_VALUE_MAXIMUM_LIMIT);
  type Entries = SortedEntries<CountEntry<V>>;
  return Object.freeze({
    initial: () => [],
    add: (entries: Entries, value: T) => {
      const counted = requireCountable(of(value), 'countByValue');
      const { at, entry } = placeOf(entries, counted);
      if (entry !== undefined) return entries.with(at, [counted, entry[1] + 1]);
      if (entries.length < limit) return entries.toSpliced(at, 0, [counted, 1]);
      throw new RangeError(
        `countByValue counts ${entries.length} different values, and this is another; its limit is ${limit}`,
      );
    },
    merge: (earlier: Entries, later: Entries) =>
      joined(earlier, later, (one, other) => [
        ((one ?? other) as CountEntry<V>)[0],
        (one?.[1] ?? 0) + (other?.[1] ?? 0),
      ]),
    remove: (entries: Entries, value: T) => {
      const counted = requireCountable(of(value), 'countByValue');
      const { at, entry } = placeOf(entries, counted);
      if (entry === undefined) neverAdded('countByValue');
      return entry[1] === 1 ? entries.toSpliced(at, 1) : entries.with(at, [counted, entry[1] - 1]);
    },
    result: (entries: Entries) => entries.toSorted(byCount).map(([value, count]) => ({ value, count })),
    accepts: (state: unknown) => isEntries(state, 2),
  });
}

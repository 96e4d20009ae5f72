import type { Aggregation } from './aggregation.ts';
import { requireCountable, requireWhole, type Countable } from './requirements.ts';
import { byCount, isEntries, joined, placeOf, type SortedEntries } from './sorted-entries.ts';

/** The most counters that can be kept. */
export const FREQUENT_MAXIMUM = 1_000;

export type FrequentEntry<V extends Countable> = readonly [value: V, count: number, error: number];

/** The true count is at most `count` and at least `count - error`. */
export interface FrequentValue<V extends Countable> {
  readonly value: V;
  readonly count: number;
  readonly error: number;
}

/**
 * The most frequent of what `of` gives, of as many different values as come, with `n` counters: space-saving.
 *
 * Of N values in all: a count is never too low, and too high by at most its `error`, which is at most N / n; and every
 * value that occurs more often than N / n times is among them. While there are no more than `n` different values, all
 * counts are exact. The bounds hold however values come and parts are merged; which of the rare values are listed, and
 * how far they are off, depends on it.
 *
 * A. Metwally, D. Agrawal, A. El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams" (2005);
 * `merge` as P. K. Agarwal et al. have it in "Mergeable Summaries" (2013).
 * @param n 1 to 1,000; the counters are written anew with every record of the key.
 * @throws TypeError where `n` cannot be used.
 */
export function frequent<T, V extends Countable>(
  n: number,
  { of }: { readonly of: (value: T) => V },
): Aggregation<T, SortedEntries<FrequentEntry<V>>, readonly FrequentValue<V>[]> {
  requireWhole("'n' of frequent", n, 1, FREQUENT_MAXIMUM);
  type Entries = SortedEntries<FrequentEntry<V>>;

  /** The most that a value can have occurred which has no counter. */
  const unseen = (entries: Entries): number =>
    entries.length < n ? 0 : Math.min(...entries.map(([, count]) => count));

  return Object.freeze({
    initial: () => [],
    add: (entries: Entries, value: T): Entries => {
      const counted = requireCountable(of(value), 'frequent');
      const { at, entry } = placeOf(entries, counted);
      if (entry !== undefined) return entries.with(at, [counted, entry[1] + 1, entry[2]]);
      if (entries.length < n) return entries.toSpliced(at, 0, [counted, 1, 0]);
      const rarest = entries.toSorted(byCount)[n - 1] as FrequentEntry<V>;
      const others = entries.filter((other) => other !== rarest);
      return others.toSpliced(placeOf(others, counted).at, 0, [counted, rarest[1] + 1, rarest[1]]);
    },
    merge: (earlier: Entries, later: Entries): Entries => {
      const [least, other] = [unseen(earlier), unseen(later)];
      const all = joined(earlier, later, (one, two) => [
        ((one ?? two) as FrequentEntry<V>)[0],
        (one?.[1] ?? least) + (two?.[1] ?? other),
        (one?.[2] ?? least) + (two?.[2] ?? other),
      ]);
      if (all.length <= n) return all;
      const kept = new Set(all.toSorted(byCount).slice(0, n));
      return all.filter((entry) => kept.has(entry));
    },
    result: (entries: Entries) =>
      entries.toSorted(byCount).map(([value, count, error]) => ({ value, count, error })),
    accepts: (state: unknown) => isEntries(state, 3) && (state as Entries).length <= n,
  });
}

import { itself, type Aggregation } from './aggregation.ts';
import {
  compareValues,
  hasNames,
  requireCountable,
  requireOrdered,
  requireWhole,
  type Countable,
  type Ordered,
} from './requirements.ts';
import type { Measured } from './extreme.ts';

/** The most places that a ranking can have. */
export const TOP_N_MAXIMUM = 1_000;

/** Highest first. */
export type Ranking<V, M extends Ordered> = readonly Measured<V, M>[];

export type TopN<T, V, M extends Ordered> = Aggregation<T, Ranking<V, M>, Ranking<V, M>>;

/**
 * The `n` highest by what `by` gives, exactly, the highest first.
 *
 * With `of`, who is ranked: each once, with the highest that it ever had; equally high ones by what `of` gives, so that
 * order and merging make no difference. Without it every value stands for itself and is kept whole; of equally high
 * ones the first is ahead.
 * @param n 1 to 1,000; the ranking is written anew with every record of the key.
 * @throws TypeError where `n` cannot be used.
 */
export function topN<T, V extends Countable, M extends Ordered>(
  n: number,
  options: { readonly of: (value: T) => V; readonly by: (value: T) => M },
): TopN<T, V, M>;
export function topN<T, M extends Ordered>(
  n: number,
  options: { readonly by: (value: T) => M; readonly of?: undefined },
): TopN<T, T, M>;
export function topN<T, M extends Ordered>(
  n: number,
  { of, by }: { readonly of?: ((value: T) => Countable) | undefined; readonly by: (value: T) => M },
): TopN<T, unknown, M> {
  requireWhole("'n' of topN", n, 1, TOP_N_MAXIMUM);

  const isAhead = (one: Measured<unknown, M>, other: Measured<unknown, M>): boolean => {
    const order = compareValues(one.measure, other.measure);
    if (order !== 0 || of === undefined) return order > 0;
    return compareValues(one.value as Countable, other.value as Countable) < 0;
  };
  const ranked = (ranking: Ranking<unknown, M>, newcomer: Measured<unknown, M>): Ranking<unknown, M> => {
    const held = of === undefined ? -1 : ranking.findIndex(({ value }) => value === newcomer.value);
    const before = ranking[held];
    if (before !== undefined && !isAhead(newcomer, before)) return ranking;
    const others = before === undefined ? ranking : ranking.toSpliced(held, 1);
    const behind = others.findIndex((other) => isAhead(newcomer, other));
    return others.toSpliced(behind === -1 ? others.length : behind, 0, newcomer).slice(0, n);
  };

  return Object.freeze({
    initial: () => [],
    add: (ranking: Ranking<unknown, M>, value: T) =>
      ranked(ranking, {
        measure: requireOrdered(by(value), 'topN'),
        value: of === undefined ? value : requireCountable(of(value), 'topN'),
      }),
    merge: (earlier: Ranking<unknown, M>, later: Ranking<unknown, M>) => later.reduce(ranked, earlier),
    result: itself<Ranking<unknown, M>>,
    accepts: (state: unknown) =>
      Array.isArray(state) &&
      state.length <= n &&
      state.every((entry) => hasNames(entry, ['measure', 'value'])),
  });
}

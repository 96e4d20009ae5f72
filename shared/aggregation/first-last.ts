import type { Aggregation } from './aggregation.ts';
import { hasNames } from './requirements.ts';

/** A value that is kept whole: it must be what a state may be. */
export interface Kept<T> {
  readonly value: T;
}

/** The value that came first, whole; `null` of nothing. */
export function first<T>(): Aggregation<T, Kept<T> | null, T | null> {
  return kept((earlier, later) => earlier ?? later);
}

/** The value that came last, whole; `null` of nothing. */
export function last<T>(): Aggregation<T, Kept<T> | null, T | null> {
  return kept((earlier, later) => later ?? earlier);
}

function kept<T>(
  merge: (earlier: Kept<T> | null, later: Kept<T> | null) => Kept<T> | null,
): Aggregation<T, Kept<T> | null, T | null> {
  return Object.freeze({
    initial: () => null,
    add: (held: Kept<T> | null, value: T) => merge(held, { value }),
    merge,
    result: (held: Kept<T> | null) => held?.value ?? null,
    accepts: (state: unknown) => state === null || hasNames(state, ['value']),
  });
}

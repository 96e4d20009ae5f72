/**
 * How values of type `T` become one result, in steps that can be stored, combined and, some of them, undone.
 * Frozen data and pure functions: no clock, no chance, and no change to what they are given.
 *
 * What every aggregation keeps:
 * - An accumulator is a document of bounded size that can be a state as it is.
 * - `add` throws where it cannot take a value, which rejects the record; the accumulator is then what it was.
 * - `merge` takes whatever `add` and `merge` have given and never throws: where partial results are combined there is
 *   no record that could be rejected.
 * - `merge` of what was added to two parts gives what adding the parts one behind the other would, but for rounding
 *   where an aggregation says so.
 */
export interface Aggregation<T, A, R> {
  /** The accumulator of no values. */
  readonly initial: () => A;
  readonly add: (accumulator: A, value: T) => A;
  /** Combines two accumulators. Where order matters, what is in `earlier` came before what is in `later`. */
  readonly merge: (earlier: A, later: A) => A;
  /** Undoes `add` of a value, exactly; only where that is possible, and only for a value that was added. */
  readonly remove?: (accumulator: A, value: T) => A;
  readonly result: (accumulator: A) => R;
  /** Whether a stored state can be an accumulator of this aggregation: another may have been stored under its name. */
  readonly accepts?: (state: unknown) => boolean;
}

/** An aggregation from which values can be taken out again. */
export interface InvertibleAggregation<T, A, R> extends Aggregation<T, A, R> {
  readonly remove: (accumulator: A, value: T) => A;
}

/** The `result` of an aggregation whose accumulator is the result: what is published can then refer to the state. */
export function itself<A>(accumulator: A): A {
  return accumulator;
}

/** @throws Error, to be used by `remove` where nothing like the value is in the accumulator. */
export function neverAdded(what: string): never {
  throw new Error(`${what}: a value is to be removed that was never added.`);
}

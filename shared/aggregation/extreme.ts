import { itself, type Aggregation } from './aggregation.ts';
import { compareValues, hasNames, requireOrdered, type Ordered } from './requirements.ts';

/** A value with what it was chosen for. */
export interface Measured<T, M extends Ordered> {
  readonly measure: M;
  readonly value: T;
}

/** The least of what `of` gives, `null` of nothing: numbers, or texts by their UTF-16 code units. */
export function min<T, M extends Ordered>(of: (value: T) => M): Aggregation<T, M | null, M | null> {
  return extreme(of, -1, 'min');
}

/** The greatest of what `of` gives, `null` of nothing: numbers, or texts by their UTF-16 code units. */
export function max<T, M extends Ordered>(of: (value: T) => M): Aggregation<T, M | null, M | null> {
  return extreme(of, 1, 'max');
}

/** The value, whole, for which `by` gives the least; of several the first. `null` of nothing. */
export function minBy<T, M extends Ordered>(
  by: (value: T) => M,
): Aggregation<T, Measured<T, M> | null, T | null> {
  return extremeBy(by, -1, 'minBy');
}

/** The value, whole, for which `by` gives the greatest; of several the first. `null` of nothing. */
export function maxBy<T, M extends Ordered>(
  by: (value: T) => M,
): Aggregation<T, Measured<T, M> | null, T | null> {
  return extremeBy(by, 1, 'maxBy');
}

function extreme<T, M extends Ordered>(
  of: (value: T) => M,
  sign: 1 | -1,
  what: string,
): Aggregation<T, M | null, M | null> {
  const further = (held: M | null, other: M | null): M | null => {
    if (held === null || other === null) return held ?? other;
    return compareValues(other, held) * sign > 0 ? other : held;
  };
  return Object.freeze({
    initial: () => null,
    add: (held: M | null, value: T) => further(held, requireOrdered(of(value), what)),
    merge: further,
    result: itself<M | null>,
    accepts: (state: unknown) => state === null || isOrdered(state),
  });
}

function extremeBy<T, M extends Ordered>(
  by: (value: T) => M,
  sign: 1 | -1,
  what: string,
): Aggregation<T, Measured<T, M> | null, T | null> {
  type Held = Measured<T, M> | null;
  const further = (held: Held, other: Held): Held => {
    if (held === null || other === null) return held ?? other;
    return compareValues(other.measure, held.measure) * sign > 0 ? other : held;
  };
  return Object.freeze({
    initial: () => null,
    add: (held: Held, value: T) => further(held, { measure: requireOrdered(by(value), what), value }),
    merge: further,
    result: (held: Held) => held?.value ?? null,
    accepts: (state: unknown) =>
      state === null || (hasNames(state, ['measure', 'value']) && isOrdered(state.measure)),
  });
}

function isOrdered(state: unknown): state is Ordered {
  return typeof state === 'number' || typeof state === 'string';
}

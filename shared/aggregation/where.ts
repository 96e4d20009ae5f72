import type { Aggregation } from './aggregation.ts';
import { requireSynchronous } from '../pipeline/synchronous.ts';

/**
 * An aggregation of those values alone that meet a condition: SQL's FILTER, as a part of `all`:
 * `all({ flights: count(), late: where((flight) => flight.delay > 15, count()) })`.
 */
export function where<T, A, R>(
  condition: (value: T) => boolean,
  aggregation: Aggregation<NoInfer<T>, A, R>,
): Aggregation<T, A, R> {
  const meets = (value: T): boolean => requireSynchronous(condition(value), 'the condition of where');
  const { add, remove } = aggregation;
  return Object.freeze({
    ...aggregation,
    add: (accumulator: A, value: T) => (meets(value) ? add(accumulator, value) : accumulator),
    ...(remove && {
      remove: (accumulator: A, value: T) => (meets(value) ? remove(accumulator, value) : accumulator),
    }),
  });
}

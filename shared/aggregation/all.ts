import { setOwn } from '../state/own-property.ts';
import { itself, type Aggregation } from './aggregation.ts';
import { hasNames } from './requirements.ts';

// What a part keeps and gives is its own affair, and `any` is what lets each have its own.
/* eslint-disable @typescript-eslint/no-explicit-any */

/** What each part keeps, by its name. */
export type StatesOf<P> = {
  readonly [N in keyof P]: P[N] extends Aggregation<any, infer A, any> ? A : never;
};

/** What each part gives, by its name. */
export type ResultsOf<P> = {
  readonly [N in keyof P]: P[N] extends Aggregation<any, any, infer R> ? R : never;
};

/** What all of the parts can be given. */
export type ValueOf<P> = {
  [N in keyof P]: P[N] extends Aggregation<infer T, any, any> ? (value: T) => void : never;
}[keyof P] extends (value: infer T) => void
  ? T
  : never;

type Parts<T> = Readonly<Record<string, Aggregation<T, any, any>>>;

/**
 * Several aggregations of the same values as one: `all({ flights: count(), delay: mean((flight) => flight.delay) })`
 * gives `{ flights, delay }`. A value is added to all of them or, where one cannot take it, to none.
 * @throws TypeError where there are no parts, or one has an empty name.
 */
export function all<T, P extends Parts<T>>(parts: P): Aggregation<T, StatesOf<P>, ResultsOf<P>>;
/** Where no stream says what the values are, the functions of the parts do. */
export function all<P extends Parts<any>>(parts: P): Aggregation<ValueOf<P>, StatesOf<P>, ResultsOf<P>>;
export function all<T, P extends Parts<T>>(parts: P): Aggregation<T, StatesOf<P>, ResultsOf<P>> {
  const named = Object.entries(parts) as [string, Aggregation<T, unknown, unknown>][];
  const names = named.map(([name]) => name);
  if (names.length === 0 || names.includes('')) {
    throw new TypeError('all takes one or more aggregations, each under a name that is not empty.');
  }
  type States = StatesOf<P>;

  const each = <R>(apply: (part: Aggregation<T, unknown, unknown>, name: string) => unknown): R => {
    const made: Record<string, unknown> = {};
    for (const [name, part] of named) setOwn(made, name, apply(part, name));
    return made as R;
  };
  const isInvertible = named.every(([, { remove }]) => remove !== undefined);
  const isItself = named.every(([, { result }]) => result === itself);
  return Object.freeze({
    initial: () => each<States>(({ initial }) => initial()),
    add: (states: States, value: T) => each<States>(({ add }, name) => add(states[name], value)),
    merge: (earlier: States, later: States) =>
      each<States>(({ merge }, name) => merge(earlier[name], later[name])),
    ...(isInvertible && {
      remove: (states: States, value: T) => each<States>(({ remove }, name) => remove?.(states[name], value)),
    }),
    result: isItself
      ? (itself as (states: States) => ResultsOf<P>)
      : (states: States) => each<ResultsOf<P>>(({ result }, name) => result(states[name])),
    accepts: (state: unknown) =>
      hasNames(state, names) && named.every(([name, { accepts }]) => accepts?.(state[name]) ?? true),
  });
}

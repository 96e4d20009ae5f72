import { MIN_NUMBER_MAGNITUDE, NUMBER_MAGNITUDE_BOUND } from '../state/dynamodb-limits.ts';
import { utf8Bytes } from '../state/utf8-bytes.ts';
import { requireSynchronous } from '../pipeline/synchronous.ts';

/** What can be compared: numbers by size, texts by their UTF-16 code units, in no language's order. */
export type Ordered = number | string;

/** What can be counted: it is equal to another where type and value are. */
export type Countable = string | number | boolean;

/** The longest text that is counted or compared, UTF-8 bytes: an accumulator keeps many of them. */
export const TEXT_LIMIT_BYTES = 1_024;

/**
 * What is added up or squared is 0 or has a magnitude from 1e-50 to 1e50. Then neither the digits of a sum nor the
 * square of a difference of as many values as there will ever be leave what a table stores, 1e-130 to 1e126.
 */
export const LEAST_TERM = 1e-50;
export const GREATEST_TERM = 1e50;

/** @throws TypeError for what cannot be added up. */
export function requireTerm(term: unknown, what: string): number {
  const number = requireSynchronous(term, `the function of ${what}`);
  if (typeof number === 'number') {
    const magnitude = Math.abs(number);
    if (number === 0 || (magnitude >= LEAST_TERM && magnitude <= GREATEST_TERM)) return number;
  }
  throw new TypeError(
    `${what} was given ${shown(number)}; it takes 0 and numbers of a magnitude from ${LEAST_TERM} to ${GREATEST_TERM}`,
  );
}

/** @throws TypeError for what cannot be compared. */
export function requireOrdered<V extends Ordered>(measure: V, what: string): V {
  const value = requireSynchronous(measure, `the function of ${what}`);
  if (typeof value !== 'boolean') return requireKept(value, what, 'finite numbers and texts');
  throw new TypeError(`${what} was given a boolean; it takes finite numbers and texts`);
}

/** @throws TypeError for what cannot be counted. */
export function requireCountable<V extends Countable>(value: V, what: string): V {
  const countable = requireSynchronous(value, `the function of ${what}`);
  return typeof countable === 'boolean'
    ? countable
    : requireKept(countable, what, 'booleans, finite numbers and texts');
}

function requireKept<V>(value: V, what: string, taken: string): V {
  if (typeof value === 'number') {
    // -0 is stored as 0.
    if (value === 0) return 0 as V;
    const magnitude = Math.abs(value);
    if (magnitude >= MIN_NUMBER_MAGNITUDE && magnitude < NUMBER_MAGNITUDE_BOUND) return value;
  } else if (typeof value === 'string') {
    const bytes = utf8Bytes(value);
    if (bytes >= 0 && bytes <= TEXT_LIMIT_BYTES) return value;
    const problem = bytes < 0 ? 'with a lone surrogate' : `of ${bytes} bytes`;
    throw new TypeError(
      `${what} was given a text ${problem}; texts are well-formed and have at most ${TEXT_LIMIT_BYTES} bytes of UTF-8`,
    );
  }
  throw new TypeError(`${what} was given ${shown(value)}; it takes ${taken}`);
}

function shown(value: unknown): string {
  if (typeof value === 'number') return String(value);
  return value === null ? 'null' : `a value of type ${typeof value}`;
}

/** A total order: by value within a type; booleans before numbers before texts. */
export function compareValues(a: Countable, b: Countable): number {
  if (typeof a !== typeof b) return typeof a < typeof b ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** @throws TypeError where an option is not a whole number in its range. */
export function requireWhole(what: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new TypeError(`${what} is ${String(value)}; it is a whole number from ${least} to ${most}.`);
}

/** Whether a state is a number of values. */
export function isCount(state: unknown): state is number {
  return Number.isSafeInteger(state) && (state as number) >= 0;
}

/** Whether a state is a map with exactly these names. */
export function hasNames<N extends string>(state: unknown, names: readonly N[]): state is Record<N, unknown> {
  return (
    typeof state === 'object' &&
    state !== null &&
    !Array.isArray(state) &&
    Object.keys(state).length === names.length &&
    names.every((name) => Object.hasOwn(state, name))
  );
}

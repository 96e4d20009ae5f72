import { compareValues, type Countable } from './requirements.ts';

/** Rows that begin with a value, each value once, in the order of `compareValues`. */
export type SortedEntries<E extends readonly [Countable, ...unknown[]]> = readonly E[];

/** Where the value's row is, or would be. */
export function placeOf<E extends readonly [Countable, ...unknown[]]>(
  entries: SortedEntries<E>,
  value: Countable,
): { readonly at: number; readonly entry: E | undefined } {
  let at = 0;
  let end = entries.length;
  while (at < end) {
    const middle = (at + end) >>> 1;
    const order = compareValues((entries[middle] as E)[0], value);
    if (order === 0) return { at: middle, entry: entries[middle] };
    if (order < 0) at = middle + 1;
    else end = middle;
  }
  return { at, entry: undefined };
}

/** The rows of two lists; a value that both have gets one row, from its two. */
export function joined<E extends readonly [Countable, ...unknown[]]>(
  earlier: SortedEntries<E>,
  later: SortedEntries<E>,
  join: (one: E | undefined, other: E | undefined) => E,
): E[] {
  const all: E[] = [];
  let [left, right] = [0, 0];
  while (left < earlier.length || right < later.length) {
    const [one, other] = [earlier[left], later[right]];
    const order = one === undefined ? 1 : other === undefined ? -1 : compareValues(one[0], other[0]);
    all.push(join(order <= 0 ? one : undefined, order >= 0 ? other : undefined));
    if (order <= 0) left += 1;
    if (order >= 0) right += 1;
  }
  return all;
}

/** Highest counts first; equal counts in the order of their values. */
export function byCount<E extends readonly [Countable, number, ...unknown[]]>(a: E, b: E): number {
  return b[1] - a[1] || compareValues(a[0], b[0]);
}

/** Whether a state can be rows of so many columns. */
export function isEntries(state: unknown, columns: number): boolean {
  return Array.isArray(state) && state.every((row) => Array.isArray(row) && row.length === columns);
}

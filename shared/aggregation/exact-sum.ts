/**
 * The exact sum of numbers, as the shortest list of numbers that add up to it: the first is the sum rounded to a
 * number, the second what is missing then, rounded, and so on; none for 0. So a sum has one form whatever the order in
 * which it came about, and a term can be taken out again. For whole numbers that is a list of one; it never gets longer
 * than the digits between the greatest and the least term need, eight.
 *
 * Terms are added without error as in J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic and Fast Robust
 * Geometric Predicates" (1997), grow-expansion; rounded as by Python's `math.fsum`, half to even.
 */
export type ExactSum = readonly number[];

export const NO_SUM: ExactSum = Object.freeze([]);

export function plus(sum: ExactSum, term: number): ExactSum {
  if (term === 0) return sum;
  const first = sum[0];
  if (sum.length <= 1) {
    const whole = (first ?? 0) + term;
    // Whole numbers, by far the most: nothing is lost.
    if (Number.isSafeInteger(whole) && Number.isSafeInteger(first ?? 0) && Number.isSafeInteger(term)) {
      return whole === 0 ? NO_SUM : [whole];
    }
  }
  return inOneForm(grown(sum.toReversed(), term));
}

/** Adds all of another sum. */
export function plusSum(sum: ExactSum, other: ExactSum): ExactSum {
  return other.reduce(plus, sum);
}

/** The sum as a number, rounded once. */
export function rounded(sum: ExactSum): number {
  return sum[0] ?? 0;
}

/** The sum divided by how many there are: equal terms give that term. */
export function meanOf(sum: ExactSum, count: number): number {
  const quotient = rounded(sum) / count;
  const [product, error] = timesExactly(quotient, count);
  const rest = plus(plus(sum, -product), -error);
  return quotient + rounded(rest) / count;
}

/** @param partials do not overlap and rise in magnitude; so do those that are given back, without zeros. */
function grown(partials: readonly number[], term: number): number[] {
  const next: number[] = [];
  let carried = term;
  for (const partial of partials) {
    const [large, small] = Math.abs(carried) < Math.abs(partial) ? [partial, carried] : [carried, partial];
    const high = large + small;
    const low = small - (high - large);
    if (low !== 0) next.push(low);
    carried = high;
  }
  if (carried !== 0) next.push(carried);
  return next;
}

function inOneForm(partials: number[]): ExactSum {
  const sum: number[] = [];
  for (let rest = partials; rest.length > 0;) {
    const high = roundedOnce(rest);
    sum.push(high);
    rest = grown(rest, -high);
  }
  return sum;
}

function roundedOnce(partials: readonly number[]): number {
  let at = partials.length - 1;
  let high = partials[at] as number;
  let low = 0;
  while (at > 0 && low === 0) {
    at -= 1;
    const large = high;
    const small = partials[at] as number;
    high = large + small;
    low = small - (high - large);
  }
  // Where `low` is half of the last place, what lies below it decides.
  const below = at > 0 ? (partials[at - 1] as number) : 0;
  if (low !== 0 && Math.sign(low) === Math.sign(below)) {
    const twice = low * 2;
    const other = high + twice;
    if (other - high === twice) return other;
  }
  return high;
}

/** 2^27 + 1: splits a number of 53 binary digits into two halves (Dekker, 1971; Veltkamp). */
const SPLITTER = 134_217_729;

/** A product and what its rounding lost. */
function timesExactly(a: number, b: number): [product: number, error: number] {
  const product = a * b;
  const [aHigh, aLow] = split(a);
  const [bHigh, bLow] = split(b);
  return [product, aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow)];
}

function split(number: number): [high: number, low: number] {
  const scaled = SPLITTER * number;
  const high = scaled - (scaled - number);
  return [high, number - high];
}

/** Whether a state can be an exact sum. */
export function isExactSum(state: unknown): state is ExactSum {
  return Array.isArray(state) && state.every((part) => typeof part === 'number');
}

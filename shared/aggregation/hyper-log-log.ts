/**
 * A HyperLogLog sketch: estimates how many different values were seen, from 2^precision registers. Each value's hash
 * chooses a register, which keeps the highest rank that was seen: the number of leading zeros of the rest of the hash,
 * and one. P. Flajolet et al., "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm" (2007);
 * with hashes of 64 bits no correction for large numbers is needed (S. Heule et al., "HyperLogLog in Practice", 2013).
 *
 * As bytes: the precision, and then either, in order, each register that is not 0 as its number (2 bytes) and rank (1),
 * or all registers, 6 bits each; whichever is shorter. So equal registers are equal bytes, and a key with few values
 * has a small item.
 */
export type HyperLogLog = Uint8Array;

export const LEAST_PRECISION = 4;
/** 48 KB. */
export const GREATEST_PRECISION = 16;

const HASH_BITS = 64;
const ENTRY_BYTES = 3;
const HEAD_BYTES = 1;

export function emptySketch(precision: number): HyperLogLog {
  return Uint8Array.of(precision);
}

/** What the estimate's error is expected to be (one standard deviation), as a share of the true number. */
export function standardError(precision: number): number {
  return 1.04 / Math.sqrt(2 ** precision);
}

/**
 * Adds a hash of 64 bits.
 * @returns the sketch itself where it says nothing new.
 */
export function withHash(sketch: HyperLogLog, high: number, low: number): HyperLogLog {
  const precision = sketch[0] as number;
  const register = high >>> (32 - precision);
  const restOfHigh = (high << precision) >>> 0;
  const zeros = restOfHigh === 0 ? 32 - precision + Math.clz32(low) : Math.clz32(restOfHigh);
  const rank = Math.min(zeros, HASH_BITS - precision) + 1;
  if (rankOf(sketch, register) >= rank) return sketch;
  if (sketch.length === denseBytes(precision)) {
    const next = sketch.slice();
    setDenseRank(next, register, rank);
    return next;
  }
  const registers = unpacked(sketch);
  registers[register] = rank;
  return packed(precision, registers);
}

/** The sketch of everything that either has seen: the same in any order, and however often a value is in both. */
export function union(one: HyperLogLog, other: HyperLogLog): HyperLogLog {
  const registers = unpacked(one);
  for (const [register, rank] of unpacked(other).entries()) {
    if (rank > (registers[register] as number)) registers[register] = rank;
  }
  return packed(one[0] as number, registers);
}

/**
 * The estimate, by O. Ertl's improved estimator ("New cardinality estimation algorithms for HyperLogLog sketches", 2017,
 * algorithm 6): without the bias of the original between its two ranges, and without a table against it.
 */
export function estimateOf(sketch: HyperLogLog): number {
  const precision = sketch[0] as number;
  const size = 2 ** precision;
  const highest = HASH_BITS - precision;
  const counts = new Array<number>(highest + 2).fill(0);
  for (const rank of unpacked(sketch)) (counts[rank] as number) += 1;
  if (counts[0] === size) return 0;
  let z = size * tau(1 - (counts[highest + 1] as number) / size);
  for (let rank = highest; rank >= 1; rank--) z = 0.5 * (z + (counts[rank] as number));
  z += size * sigma((counts[0] as number) / size);
  // Where every register is at its highest, all hashes have been seen.
  return Math.min(((1 / (2 * Math.LN2)) * size * size) / z, 2 ** HASH_BITS);
}

/** x and the sum of x^(2^k) 2^(k-1) over k from 1. */
function sigma(share: number): number {
  let [x, y, z] = [share, 1, share];
  for (let before = -1; z !== before;) {
    before = z;
    x *= x;
    z += x * y;
    y += y;
  }
  return z;
}

/** A third of 1 - x less the sum of (1 - x^(2^-k))^2 2^-k over k from 1. */
function tau(share: number): number {
  if (share === 0 || share === 1) return 0;
  let [x, y, z] = [share, 1, 1 - share];
  for (let before = -1; z !== before;) {
    before = z;
    x = Math.sqrt(x);
    y *= 0.5;
    z -= (1 - x) ** 2 * y;
  }
  return z / 3;
}

function denseBytes(precision: number): number {
  return HEAD_BYTES + (2 ** precision * 3) / 4;
}

function rankOf(sketch: HyperLogLog, register: number): number {
  if (sketch.length === denseBytes(sketch[0] as number)) return denseRank(sketch, register);
  let from = 0;
  let end = (sketch.length - HEAD_BYTES) / ENTRY_BYTES;
  while (from < end) {
    const middle = (from + end) >>> 1;
    const found = entryRegister(sketch, middle);
    if (found === register) return sketch[HEAD_BYTES + middle * ENTRY_BYTES + 2] as number;
    if (found < register) from = middle + 1;
    else end = middle;
  }
  return 0;
}

function entryRegister(sketch: HyperLogLog, entry: number): number {
  const at = HEAD_BYTES + entry * ENTRY_BYTES;
  return ((sketch[at] as number) << 8) | (sketch[at + 1] as number);
}

/** Six bits never lie in more than two bytes. */
function denseRank(sketch: HyperLogLog, register: number): number {
  const bit = register * 6;
  const at = HEAD_BYTES + (bit >>> 3);
  const pair = ((sketch[at] as number) << 8) | (sketch[at + 1] ?? 0);
  return (pair >>> (10 - (bit & 7))) & 63;
}

function setDenseRank(sketch: HyperLogLog, register: number, rank: number): void {
  const bit = register * 6;
  const at = HEAD_BYTES + (bit >>> 3);
  const shift = 10 - (bit & 7);
  const pair = ((sketch[at] as number) << 8) | (sketch[at + 1] ?? 0);
  const next = (pair & ~(63 << shift)) | (rank << shift);
  sketch[at] = next >>> 8;
  // Beyond the end there is nothing to set, and nothing is.
  sketch[at + 1] = next & 0xff;
}

function unpacked(sketch: HyperLogLog): Uint8Array {
  const precision = sketch[0] as number;
  const registers = new Uint8Array(2 ** precision);
  if (sketch.length === denseBytes(precision)) {
    for (let register = 0; register < registers.length; register++) {
      registers[register] = denseRank(sketch, register);
    }
    return registers;
  }
  const entries = (sketch.length - HEAD_BYTES) / ENTRY_BYTES;
  for (let entry = 0; entry < entries; entry++) {
    registers[entryRegister(sketch, entry)] = sketch[HEAD_BYTES + entry * ENTRY_BYTES + 2] as number;
  }
  return registers;
}

function packed(precision: number, registers: Uint8Array): HyperLogLog {
  let used = 0;
  for (const rank of registers) if (rank > 0) used += 1;
  const sparseBytes = HEAD_BYTES + used * ENTRY_BYTES;
  if (sparseBytes < denseBytes(precision)) return packedSparse(precision, registers, sparseBytes);
  const sketch = new Uint8Array(denseBytes(precision));
  sketch[0] = precision;
  for (const [register, rank] of registers.entries()) setDenseRank(sketch, register, rank);
  return sketch;
}

function packedSparse(precision: number, registers: Uint8Array, bytes: number): HyperLogLog {
  const sketch = new Uint8Array(bytes);
  sketch[0] = precision;
  let at = HEAD_BYTES;
  for (const [register, rank] of registers.entries()) {
    if (rank === 0) continue;
    sketch[at] = register >>> 8;
    sketch[at + 1] = register & 0xff;
    sketch[at + 2] = rank;
    at += ENTRY_BYTES;
  }
  return sketch;
}

/** Whether a state can be a sketch of this precision. */
export function isSketch(state: unknown, precision: number): state is HyperLogLog {
  if (!(state instanceof Uint8Array) || state[0] !== precision) return false;
  const dense = denseBytes(precision);
  return state.length === dense || (state.length < dense && state.length % ENTRY_BYTES === HEAD_BYTES);
}

import { createHash } from 'node:crypto';

const DIGITS = 64;
const BITS = 256;

/** SHA-256. @param line without its end. */
export function hashOfLine(line: string): Buffer {
  return createHash('sha256').update(line).digest();
}

/**
 * The sum of the SHA-256 of lines, modulo 2^256: the same in whatever order they come, so that parts can be digested
 * side by side and a restored table, which keeps no order, compared with its checkpoint. A line that stands twice counts
 * twice. It tells accidents, not malice.
 */
export class LineDigest {
  #sum: bigint;

  /** @param hex where a digest went on from; nothing yet unless given. */
  constructor(hex = '0') {
    this.#sum = BigInt(`0x${hex}`);
  }

  /**
   * @param line without its end.
   * @param hash that of the line, where it is known.
   */
  add(line: string, hash: Buffer = hashOfLine(line)): void {
    this.#include(hash.toString('hex'));
  }

  /** Takes in what another digest has seen. */
  merge(other: LineDigest): void {
    this.#include(String(other));
  }

  /** 64 hexadecimal digits. */
  toString(): string {
    return this.#sum.toString(16).padStart(DIGITS, '0');
  }

  #include(hex: string): void {
    this.#sum = BigInt.asUintN(BITS, this.#sum + BigInt(`0x${hex}`));
  }
}

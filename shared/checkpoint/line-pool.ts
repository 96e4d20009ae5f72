/**
 * Of a line's SHA-256, so many bytes tell it from all others: 96 bits. Among ten million lines, against ten million
 * changed ones, two are alike once in 10^15 times; the digest of the checkpoint would then tell.
 */
export const LINE_HASH_BYTES = 12;

const WORDS = LINE_HASH_BYTES / 4;
/** Slots for a line: a third stay empty, so that few are looked at. */
const SLOTS_PER_LINE = 1.5;
const WORD_VALUES = 2 ** 32;

/** What memory a line takes: its hash, its slots, and a bit for each of some segments that may keep it. */
export const POOL_LINE_BYTES = LINE_HASH_BYTES + 4 * SLOTS_PER_LINE + 1;

/** Of the function's memory, for the lines that a delta is compared with: a scan and the engine need the rest. */
const POOL_SHARE = 0.25;

/** How many lines a delta may be compared with. @param memoryMb of the function that takes it. */
export function poolLinesOf(memoryMb: number): number {
  return Math.floor((memoryMb * 1024 * 1024 * POOL_SHARE) / POOL_LINE_BYTES);
}

/**
 * The lines of parts that lie there already: whoever makes one of them again need not store it. A line is known by its
 * content alone, key, revision, states, marks and all, so that whatever has changed is another line.
 */
export class LinePool {
  readonly #hashes: Uint32Array;
  /** The number of a line and one; 0 where there is none. */
  readonly #slots: Uint32Array;
  /** @param lines at most. */
  constructor(lines: number) {
    this.#hashes = new Uint32Array(lines * WORDS);
    this.#slots = new Uint32Array(Math.ceil(lines * SLOTS_PER_LINE) + 1);
  }

  /**
   * Takes in the lines of a part.
   * @param first the number of its first line.
   * @param hashes of its lines, `LINE_HASH_BYTES` each, one behind the other.
   */
  addPart(first: number, hashes: Uint8Array): void {
    const lines = hashes.length / LINE_HASH_BYTES;
    const view = new DataView(hashes.buffer, hashes.byteOffset, hashes.byteLength);
    for (let line = 0; line < lines; line++) {
      for (let word = 0; word < WORDS; word++) {
        this.#hashes[(first + line) * WORDS + word] = view.getUint32(line * LINE_HASH_BYTES + word * 4, true);
      }
      this.#slots[this.#slotOf(first + line)] = first + line + 1;
    }
  }

  /** @returns the number of the line of this SHA-256; `undefined` where there is none. */
  find(hash: Buffer): number | undefined {
    const words = [hash.readUInt32LE(0), hash.readUInt32LE(4), hash.readUInt32LE(8)] as const;
    for (let slot = this.#firstSlot(words[0]); ; slot = this.#next(slot)) {
      const line = (this.#slots[slot] ?? 0) - 1;
      if (line < 0) return undefined;
      if (words.every((word, place) => this.#hashes[line * WORDS + place] === word)) return line;
    }
  }

  /** A free one for a line. */
  #slotOf(line: number): number {
    let slot = this.#firstSlot(this.#hashes[line * WORDS] ?? 0);
    while (this.#slots[slot] !== 0) slot = this.#next(slot);
    return slot;
  }

  #firstSlot(word: number): number {
    return Math.floor((word / WORD_VALUES) * this.#slots.length);
  }

  #next(slot: number): number {
    return slot + 1 === this.#slots.length ? 0 : slot + 1;
  }
}

import { gunzipSync, gzipSync } from 'node:zlib';
import { CheckpointError } from './checkpoint-error.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import type { ManifestObject } from './manifest.ts';
import { sha256 } from './part-form.ts';

/** Which lines of other checkpoints' parts count: one bit for each of their lines. */
export class KeptLines {
  readonly #bits: Uint8Array;
  #count = 0;

  /** @param lines that there are, kept or not. */
  constructor(lines: number) {
    this.#bits = new Uint8Array(Math.ceil(lines / 8));
  }

  get count(): number {
    return this.#count;
  }

  has(line: number): boolean {
    return ((this.#bits[line >> 3] ?? 0) & (1 << (line & 7))) !== 0;
  }

  add(line: number): void {
    if (this.has(line)) return;
    this.#bits[line >> 3] = (this.#bits[line >> 3] ?? 0) | (1 << (line & 7));
    this.#count += 1;
  }

  /** Of the lines from `first` on. */
  countOf(first: number, lines: number): number {
    let count = 0;
    for (let line = first; line < first + lines; line++) if (this.has(line)) count += 1;
    return count;
  }

  /** Takes in what another one keeps. */
  merge(other: KeptLines): void {
    for (let line = 0; line < other.#bits.length * 8; line++) if (other.has(line)) this.add(line);
  }

  pack(): { readonly packed: Uint8Array; readonly sha256: string } {
    const packed = gzipSync(this.#bits);
    return { packed, sha256: sha256(packed) };
  }

  /** Takes in what was packed. @throws CheckpointError where it is not of so many lines. */
  mergePacked(packed: Uint8Array): void {
    const bits = gunzipSync(packed, { maxOutputLength: this.#bits.length + 1 });
    if (bits.length !== this.#bits.length) {
      throw new CheckpointError(`It tells of ${bits.length * 8} lines, and not of ${this.#bits.length * 8}`);
    }
    for (const [place, byte] of bits.entries()) {
      if (byte === 0) continue;
      for (let line = place * 8; line < place * 8 + 8; line++) if (byte & (1 << (line & 7))) this.add(line);
    }
  }
}

/**
 * Reads which lines are kept.
 * @param id of the checkpoint that keeps them.
 * @param lines of all parts of which some are kept.
 * @throws CheckpointError that says what is wrong.
 */
export async function readKeptLines(
  store: Pick<CheckpointStore, 'getPart'>,
  id: string,
  objects: readonly ManifestObject[],
  lines: number,
): Promise<KeptLines> {
  const kept = new KeptLines(lines);
  for (const { name, sha256: expected } of objects) {
    const packed = await store.getPart(id, name);
    const wrong = (what: string): CheckpointError =>
      new CheckpointError(
        `${name} of checkpoint ${id} ${what}: nobody knows which lines of earlier checkpoints count. Nothing can be ` +
          'restored from it; the bucket keeps what was overwritten or deleted for a day.',
      );
    if (packed === undefined) throw wrong('is missing');
    if (sha256(packed) !== expected) throw wrong(`has another SHA-256 than ${expected}`);
    try {
      kept.mergePacked(packed);
    } catch (error) {
      throw wrong(`cannot be read (${error instanceof Error ? error.message : String(error)})`);
    }
  }
  return kept;
}

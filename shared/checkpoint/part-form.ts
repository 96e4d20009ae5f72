import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { CheckpointError } from './checkpoint-error.ts';
import { hashOfLine, LineDigest } from './line-digest.ts';
import { LINE_HASH_BYTES } from './line-pool.ts';
import type { ManifestPart } from './manifest.ts';

/**
 * Lines of a part, bytes before packing: no line is begun beyond it. A part is packed and unpacked in memory as a whole,
 * so that nothing of one whose hash is wrong is ever given out, and is put by a single request: it is there or not.
 */
export const PART_BYTES = 16 * 1024 * 1024;

/** Lines that are packed at a time: members of gzip, one behind the other, are one gzip file. */
const MEMBER_BYTES = 1024 * 1024;

/** Between the fastest and the smallest: a checkpoint is kept for days. */
const GZIP_LEVEL = 3;

/** No part of ours unpacks to more: one line goes beyond `PART_BYTES`, and its states alone may have 8 MiB. */
const UNPACKED_LIMIT_BYTES = 4 * PART_BYTES;

const LINE_END = 0x0a;

/** What has been packed, with what a manifest says of it. */
export interface PackedPart {
  readonly packed: Uint8Array;
  readonly lines: number;
  readonly sha256: string;
  readonly digest: LineDigest;
  /** Of each line, in order, the first `LINE_HASH_BYTES` of its SHA-256. */
  readonly hashes: Uint8Array;
}

/** Packs lines into a part. Synchronous: the same lines give the same steps, and packing is what there is to do. */
export class PartPacker {
  readonly #members: Buffer[] = [];
  readonly #hashes: Buffer[] = [];
  readonly #digest = new LineDigest();
  readonly #limitBytes: number;
  #pending: string[] = [];
  #pendingBytes = 0;
  #bytes = 0;
  #lines = 0;

  /** @param limitBytes where it is full, before packing. */
  constructor(limitBytes = PART_BYTES) {
    this.#limitBytes = limitBytes;
  }

  get lines(): number {
    return this.#lines;
  }

  get isFull(): boolean {
    return this.#bytes >= this.#limitBytes;
  }

  /** @param line without its end. */
  add(line: string, hash: Buffer = hashOfLine(line)): void {
    const bytes = Buffer.byteLength(line) + 1;
    this.#digest.add(line, hash);
    this.#hashes.push(hash.subarray(0, LINE_HASH_BYTES));
    this.#pending.push(line);
    this.#pendingBytes += bytes;
    this.#bytes += bytes;
    this.#lines += 1;
    if (this.#pendingBytes >= MEMBER_BYTES) this.#pack();
  }

  finish(): PackedPart {
    if (this.#pending.length > 0 || this.#members.length === 0) this.#pack();
    const packed = Buffer.concat(this.#members);
    const hashes = Buffer.concat(this.#hashes);
    return { packed, lines: this.#lines, sha256: sha256(packed), digest: this.#digest, hashes };
  }

  #pack(): void {
    const text = this.#pending.length === 0 ? '' : `${this.#pending.join('\n')}\n`;
    this.#members.push(gzipSync(text, { level: GZIP_LEVEL }));
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}

/**
 * The lines of a part that was read.
 * @param packed as it was read; `undefined` where it is missing.
 * @throws CheckpointError before the first line, where it is not what the manifest says.
 */
export function partLines(id: string, part: ManifestPart, packed: Uint8Array | undefined): Iterable<string> {
  const wrong = (what: string): CheckpointError =>
    new CheckpointError(
      `Part ${part.name} of checkpoint ${id} ${what}. Nothing can be restored from it; the bucket keeps what was ` +
        'overwritten or deleted for a day.',
    );
  if (packed === undefined) throw wrong('is missing');
  if (packed.length !== part.bytes) {
    throw wrong(`has ${packed.length} bytes, and the manifest says ${part.bytes}`);
  }
  const found = sha256(packed);
  if (found !== part.sha256) throw wrong(`has the SHA-256 ${found}, and the manifest says ${part.sha256}`);
  let text: Buffer;
  try {
    text = gunzipSync(packed, { maxOutputLength: UNPACKED_LIMIT_BYTES });
  } catch (error) {
    throw wrong(`cannot be unpacked: ${error instanceof Error ? error.message : String(error)}`);
  }
  const lines = countLines(text);
  if (lines !== part.lines) throw wrong(`has ${lines} lines, and the manifest says ${part.lines}`);
  return linesOf(text);
}

function* linesOf(text: Buffer): Generator<string> {
  for (let from = 0; from < text.length;) {
    const end = text.indexOf(LINE_END, from);
    yield text.toString('utf8', from, end);
    from = end + 1;
  }
}

/** Of lines that all have an end; -1 where the last has none. */
function countLines(text: Buffer): number {
  if (text.length > 0 && text.at(-1) !== LINE_END) return -1;
  let lines = 0;
  for (let at = text.indexOf(LINE_END); at !== -1; at = text.indexOf(LINE_END, at + 1)) lines += 1;
  return lines;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

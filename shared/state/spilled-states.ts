import { createHash } from 'node:crypto';
import { constants, gunzipSync, gzipSync } from 'node:zlib';
import { documentText, parseDocument } from './document-json.ts';
import type { Document } from './document.ts';
import { shownKey } from './row-key.ts';
import type { SpilledStates } from './state-item.ts';

/** Where the spilled states of a pipeline lie in the bucket. */
export function spilledPrefix(pipeline: string): string {
  return `spilled/${pipeline}/`;
}

/** An item's states in the form in which they are spilled, before they are packed. */
export interface StatesText {
  readonly text: string;
  readonly bytes: number;
  /** SHA-256 of the text: the same states have the same, for names stand in order in them. */
  readonly hash: string;
}

/** The text alone. */
export function statesJson(states: ReadonlyMap<string, Document>): string {
  return documentText(Object.fromEntries([...states].sort(([a], [b]) => (a < b ? -1 : 1))));
}

export function statesText(states: ReadonlyMap<string, Document>): StatesText {
  const text = statesJson(states);
  return { text, bytes: Buffer.byteLength(text), hash: hashOf(text) };
}

/** What an object says of itself in its first line. */
export interface BlobHeader {
  readonly pk: string;
  readonly revision: number;
}

/** Fast rather than small: 2 MB of state are packed in some 20 ms, and to a fifth where they repeat names. */
const GZIP_LEVEL = 1;

/** Bytes of a header's line: a key of 2,048 bytes has six times as many where all of them are control characters. */
const HEADER_LIMIT_BYTES = 13_000;

/** So many bytes of an object hold its header, packed or, where that does not help, as it is. */
export const HEADER_PACKED_BYTES = 16_384;

/** An object: two lines of JSON, gzipped. The first says whose states the second has. */
export function packBlob(header: BlobHeader, { text }: StatesText): Uint8Array {
  // Synchronous: in an invocation nothing else is to be done meanwhile, and the same steps come in the same order.
  return gzipSync(`${JSON.stringify(header)}\n${text}`, { level: GZIP_LEVEL });
}

/**
 * The states of an object.
 * @throws Error where it is not the object that the item at `pk` points to.
 */
export function unpackBlob(blob: Uint8Array, pk: string, spilled: SpilledStates): Map<string, Document> {
  const lines = gunzipSync(blob, { maxOutputLength: HEADER_LIMIT_BYTES + spilled.bytes });
  const end = lines.indexOf('\n');
  const header = JSON.parse(lines.toString('utf8', 0, end)) as BlobHeader;
  const text = lines.toString('utf8', end + 1);
  if (header.pk !== pk || hashOf(text) !== spilled.hash) {
    throw new Error(
      `The spilled states of item ${shownKey(pk)}, revision ${spilled.revision}, are not what the item points to: the ` +
        `object ${blobName(pk, spilled)} was changed by another hand. Bring back its earlier version.`,
    );
  }
  return new Map(Object.entries(parseDocument(text) as Record<string, Document>));
}

/** @returns the header of an object of which the first bytes are given; `undefined` where it has none. */
export function readHeader(firstBytes: Uint8Array): BlobHeader | undefined {
  try {
    const begin = gunzipSync(firstBytes, { finishFlush: constants.Z_SYNC_FLUSH });
    return JSON.parse(begin.toString('utf8', 0, begin.indexOf('\n'))) as BlobHeader;
  } catch {
    return undefined;
  }
}

/** 128 bits: keys of up to 2,048 bytes do not fit into names of 1,024. */
const KEY_HASH_CHARACTERS = 22;

/**
 * The object that an item points to: `<generation>/<hash of the item's key>/<revision>-<hash of the states>`.
 *
 * Only the write that makes this revision can begin to point to it, and only for as long as no later write points
 * elsewhere does it go on. So whoever has read a revision at or above it that points elsewhere knows for ever that the
 * object is not needed.
 */
export function blobName(pk: string, { revision, hash }: SpilledStates): string {
  const generation = pk.slice(0, pk.indexOf('/'));
  const key = createHash('sha256').update(pk).digest('base64url').slice(0, KEY_HASH_CHARACTERS);
  return `${generation}/${key}/${revision}-${hash}`;
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

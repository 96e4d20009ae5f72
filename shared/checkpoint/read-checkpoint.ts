import { CheckpointError } from './checkpoint-error.ts';
import { isCheckpointId, LATEST } from './checkpoint-id.ts';
import { isLineOfKey, statesOfLine } from './checkpoint-line.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { readKeptLines, type KeptLines } from './kept-lines.ts';
import { LineDigest } from './line-digest.ts';
import type { Manifest, ManifestPart } from './manifest.ts';
import { inParallel } from '../state/in-parallel.ts';
import { partLines } from './part-form.ts';

/** Asked at a time whether they are checkpoints. */
const FOLDERS_IN_FLIGHT = 16;

/** The ids of the checkpoints that exist, the oldest first. */
export async function checkpointIds(store: CheckpointStore): Promise<string[]> {
  const folders = await store.folders();
  const exist = await inParallel(folders, FOLDERS_IN_FLIGHT, (id) => store.hasManifest(id));
  return folders.filter((_, place) => exist[place]);
}

/** The id of the newest checkpoint that exists. */
export async function newestCheckpoint(store: CheckpointStore): Promise<string | undefined> {
  for (const id of (await store.folders()).reverse()) if (await store.hasManifest(id)) return id;
  return undefined;
}

/**
 * Finds a checkpoint.
 * @param which its id, the name of a savepoint (of several of one name the newest), or `latest`.
 * @throws CheckpointError where there is none, or its manifest cannot be read.
 */
export async function openCheckpoint(store: CheckpointStore, which: string): Promise<Manifest> {
  const found = await findCheckpoint(store, which);
  if (found !== undefined) return found;
  throw new CheckpointError(
    which === LATEST
      ? 'There is no checkpoint yet.'
      : `There is no checkpoint ${JSON.stringify(which)}: give an id, the name of a savepoint, or "${LATEST}".`,
  );
}

/** As `openCheckpoint`; `undefined` where there is none. */
export async function findCheckpoint(store: CheckpointStore, which: string): Promise<Manifest | undefined> {
  if (isCheckpointId(which)) return store.getManifest(which);
  for (const id of (await store.folders()).reverse()) {
    const manifest = await store.getManifest(id);
    if (manifest === undefined) continue;
    if (which === LATEST || manifest.savepoint === which) return manifest;
  }
  return undefined;
}

/**
 * Reads the parts of one checkpoint, wherever they lie: of those of others the lines that count. In memory is a part, and
 * of a delta a bit for each line of the others.
 */
export class PartReader {
  readonly #store: Pick<CheckpointStore, 'getPart'>;
  readonly #manifest: Manifest;
  #reading: Promise<KeptLines> | undefined;

  constructor(store: Pick<CheckpointStore, 'getPart'>, manifest: Manifest) {
    this.#store = store;
    this.#manifest = manifest;
  }

  /**
   * The lines of one part that count, checked as a whole before the first is given.
   * @throws CheckpointError that says what is wrong with it.
   */
  async lines(part: ManifestPart): Promise<Iterable<string>> {
    const { id, delta } = this.#manifest;
    const { name, from = id, kept } = part;
    const lines = partLines(from, part, await this.#store.getPart(from, name));
    if (kept === undefined) return lines;
    const { kept: objects, lines: of } = delta ?? { kept: [], lines: 0 };
    this.#reading ??= readKeptLines(this.#store, id, objects, of);
    const counting = await this.#reading;
    if (counting.countOf(kept.first, part.lines) !== kept.lines) {
      throw new CheckpointError(
        `Of part ${name} other lines count than the ${kept.lines} of which the manifest of checkpoint ${id} says so.`,
      );
    }
    return countedOf(lines, counting, kept.first);
  }
}

function* countedOf(lines: Iterable<string>, counting: KeptLines, first: number): Generator<string> {
  let number = first;
  for (const line of lines) if (counting.has(number++)) yield line;
}

/** All lines of a checkpoint, part by part. @throws CheckpointError at a part that is not as the manifest says. */
export async function* checkpointLines(store: CheckpointStore, manifest: Manifest): AsyncGenerator<string> {
  const reader = new PartReader(store, manifest);
  for (const part of manifest.parts) yield* await reader.lines(part);
}

export interface VerifyReport {
  readonly parts: number;
  readonly items: number;
  /** Packed. */
  readonly bytes: number;
  /** What is wrong, in sentences; none where the checkpoint is good. */
  readonly problems: readonly string[];
}

/**
 * Reads every part, those of earlier checkpoints that a delta keeps lines of too, and compares it with the manifest: bytes, hashes, counts, and the digest of all lines.
 * @param onPart told behind each part.
 */
export async function verifyCheckpoint(
  store: CheckpointStore,
  manifest: Manifest,
  onPart: (part: ManifestPart) => void = () => undefined,
): Promise<VerifyReport> {
  const problems: string[] = [];
  const digest = new LineDigest();
  const reader = new PartReader(store, manifest);
  let items = 0;
  let bytes = 0;
  for (const part of manifest.parts) {
    try {
      for (const line of await reader.lines(part)) {
        digest.add(line);
        items += 1;
      }
      bytes += part.bytes;
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      problems.push(error.message);
    }
    onPart(part);
  }
  if (problems.length === 0) {
    if (items !== manifest.items) {
      problems.push(`The parts hold ${items} items, and the manifest says ${manifest.items}.`);
    }
    if (String(digest) !== manifest.digest) {
      problems.push(
        `The digest of all lines is ${String(digest)}, and the manifest says ${manifest.digest}.`,
      );
    }
  }
  return { parts: manifest.parts.length, items, bytes, problems };
}

/** The line of one key; `undefined` where the checkpoint has none. Reads part by part until it is found. */
export async function findLine(
  store: CheckpointStore,
  manifest: Manifest,
  key: string,
): Promise<string | undefined> {
  const reader = new PartReader(store, manifest);
  for (const part of manifest.parts) {
    for (const line of await reader.lines(part)) if (isLineOfKey(line, key)) return line;
  }
  return undefined;
}

export interface KeyDifference {
  readonly key: string;
  readonly kind: 'added' | 'removed' | 'changed';
}

/** Keys that are compared in one pass: they take some 100 MB then. */
const KEYS_PER_PASS = 400_000;

/**
 * The keys whose states differ. A key without a state is as good as none; how far its records are, and what is not
 * published yet, is no difference.
 *
 * Memory stays bounded by passes: each reads both checkpoints and compares the keys of one share of all hashes. Neither
 * is sorted, and sorting would take a disk, which Lambda has little of.
 * @param keysPerPass how many keys one pass compares, about.
 */
export async function* diffCheckpoints(
  store: CheckpointStore,
  before: Manifest,
  after: Manifest,
  keysPerPass = KEYS_PER_PASS,
): AsyncGenerator<KeyDifference> {
  const passes = Math.max(1, Math.ceil(Math.max(before.items, after.items) / keysPerPass));
  for (let pass = 0; pass < passes; pass++) {
    const known = new Map<string, string>();
    for await (const { key, hash } of keyedHashes(store, before, pass, passes)) known.set(key, hash);
    for await (const { key, hash } of keyedHashes(store, after, pass, passes)) {
      const earlier = known.get(key);
      known.delete(key);
      if (earlier === undefined) yield { key, kind: 'added' };
      else if (earlier !== hash) yield { key, kind: 'changed' };
    }
    for (const key of known.keys()) yield { key, kind: 'removed' };
  }
}

async function* keyedHashes(
  store: CheckpointStore,
  manifest: Manifest,
  pass: number,
  passes: number,
): AsyncGenerator<{ readonly key: string; readonly hash: string }> {
  const reader = new PartReader(store, manifest);
  for (const part of manifest.parts) {
    for (const line of await reader.lines(part)) {
      const found = statesOfLine(line, (key) => shareOf(key, passes) === pass);
      if (found !== undefined) yield found;
    }
  }
}

/** Which share of all keys it is in, from 0: by FNV-1a, for which no key is worse than another. */
function shareOf(key: string, shares: number): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return (hash >>> 0) % shares;
}

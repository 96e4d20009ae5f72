import { inParallel } from '../state/in-parallel.ts';
import { CheckpointError } from './checkpoint-error.ts';
import { hashesName, type CheckpointStore } from './checkpoint-store.ts';
import { LINE_HASH_BYTES, LinePool } from './line-pool.ts';
import { linesThatCount, type Manifest, type ManifestPart } from './manifest.ts';
import { sha256 } from './part-form.ts';
import { newestCheckpoint } from './read-checkpoint.ts';

/** How deltas are taken. */
export interface DeltaOptions {
  /** Every so many checkpoints one is full; from 2. */
  readonly fullEvery: number;
  /** A checkpoint that would be compared with more lines is full: `POOL_LINE_BYTES` of memory each. */
  readonly poolLines: number;
}

/** What a delta goes by, fixed before anything is scanned. */
export interface DeltaBase {
  readonly id: string;
  /** Of the delta: see `ManifestDelta`. */
  readonly depth: number;
  /** Those whose lines it may keep, numbered through: each with the folder that it lies in. */
  readonly parts: readonly (ManifestPart & { readonly from: string })[];
}

/** Hashes of parts that are read side by side. */
const HASHES_IN_FLIGHT = 8;

/**
 * The newest checkpoint, where a delta can go by it: one of the same generation that was taken here, readable, with
 * hashes of its lines, not at the end of its chain, and small enough. A part of which more than half no longer counts
 * is left out: what is found of it is stored anew, and its folder need not be kept for longer.
 * @returns `undefined` where a full one is to be taken.
 */
export async function findBase(
  store: CheckpointStore,
  generation: number,
  { fullEvery, poolLines }: DeltaOptions,
): Promise<DeltaBase | undefined> {
  const newest = await newestCheckpoint(store);
  if (newest === undefined) return undefined;
  const manifest = await readable(store, newest);
  if (manifest === undefined) return undefined;
  const { id, forkedFrom, delta } = manifest;
  const depth = (delta?.depth ?? 0) + 1;
  if (manifest.generation !== generation || forkedFrom !== undefined || depth >= fullEvery) return undefined;
  const parts = manifest.parts
    .filter((part) => part.hashes !== undefined && 2 * linesThatCount(part) >= part.lines)
    .map(({ name, lines, bytes, sha256: packed, hashes, from = id }) => ({
      name,
      lines,
      bytes,
      sha256: packed,
      ...(hashes !== undefined && { hashes }),
      from,
    }));
  const lines = linesOf({ parts });
  return lines === 0 || lines > poolLines ? undefined : { id, depth, parts };
}

async function readable(store: CheckpointStore, id: string): Promise<Manifest | undefined> {
  try {
    return await store.getManifest(id);
  } catch (error) {
    if (error instanceof CheckpointError) return undefined;
    throw error;
  }
}

/** Of all parts, kept or not. */
export function linesOf({ parts }: { readonly parts: readonly Pick<ManifestPart, 'lines'>[] }): number {
  return parts.reduce((sum, { lines }) => sum + lines, 0);
}

/** Reads the lines that a delta may keep. Hashes that are missing or damaged cost their part: none of it is found. */
export async function readPool(store: Pick<CheckpointStore, 'getPart'>, base: DeltaBase): Promise<LinePool> {
  const pool = new LinePool(linesOf(base));
  let next = 0;
  const numbered = base.parts.map((part) => {
    const first = next;
    next += part.lines;
    return { ...part, first };
  });
  await inParallel(numbered, HASHES_IN_FLIGHT, async ({ from, name, lines, hashes, first }) => {
    const found = await store.getPart(from, hashesName(name));
    const isGood = found?.length === lines * LINE_HASH_BYTES && sha256(found) === hashes;
    if (isGood) pool.addPart(first, found);
  });
  return pool;
}

/** The folders that lie under a checkpoint, or under one that is being taken. */
export function foldersUnder(parts: readonly Pick<ManifestPart, 'from'>[]): Set<string> {
  return new Set(parts.map(({ from }) => from).filter((from) => from !== undefined));
}

import type { DeltaBase } from './delta-base.ts';
import { LineDigest } from './line-digest.ts';
import type { Manifest, ManifestObject, ManifestPart, ManifestShard } from './manifest.ts';

/** How far the taking of a checkpoint is: what the next invocation goes on from. */
export interface CheckpointWork {
  readonly id: string;
  readonly savepoint?: string;
  readonly generation: number;
  readonly epoch?: number;
  readonly startedMs: number;
  readonly isByPartition: boolean;
  /** Read before anything was scanned. */
  readonly shards: readonly ManifestShard[];
  readonly segments: readonly SegmentWork[];
  /** What the items are compared with; absent of a full checkpoint. */
  readonly base?: DeltaBase;
  /** Whether the base was still a checkpoint when it was named here: only then nothing of it can go. */
  readonly isBaseSure?: boolean;
  /**
   * Whether what had been found again could not be read: it goes on as a full one. The base stays named, and so stays
   * there: who held it before may have found everything, and wake to write the manifest.
   */
  readonly isBaseGivenUp?: boolean;
  /** Who has written this: no two invocations are called the same. */
  readonly holder: string;
}

export interface SegmentWork {
  /** The scan goes on behind it; absent before the first page. */
  readonly after?: string;
  readonly isDone: boolean;
  /** What is stored of the items up to there. */
  readonly parts: readonly ManifestPart[];
  /** Which lines of the base's parts were found again up to there. */
  readonly kept?: ManifestObject;
  /** Lines that are stored, and those that are kept. */
  readonly items: number;
  /** Of the same. */
  readonly digest: string;
}

/** @returns `undefined` where the text is no work: it was damaged. */
export function readWork(text: string): CheckpointWork | undefined {
  try {
    const work = JSON.parse(text) as CheckpointWork | null;
    return Array.isArray(work?.segments) ? work : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export const NO_WORK: SegmentWork = { isDone: false, parts: [], items: 0, digest: String(new LineDigest()) };

/** Of all segments: parts that are its own. */
export function totalsOf({ segments }: CheckpointWork): Pick<Manifest, 'parts' | 'items' | 'digest'> {
  const parts = segments.flatMap((segment) => segment.parts);
  const digest = new LineDigest();
  for (const segment of segments) digest.merge(new LineDigest(segment.digest));
  return {
    parts,
    items: segments.reduce((sum, { items }) => sum + items, 0),
    digest: String(digest),
  };
}

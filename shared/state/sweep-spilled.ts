import type { BlobStore, ListedBlob } from './blob-store.ts';
import { inParallel } from './in-parallel.ts';
import { blobName, HEADER_PACKED_BYTES, readHeader, type BlobHeader } from './spilled-states.ts';
import type { StateItem } from './state-item.ts';
import type { StateStore } from './state-store.ts';

/** Objects younger than this are left alone: nearly all of them are pointed to, or will be removed by who wrote them. */
const YOUNGEST_SWEPT_MS = 24 * 3_600_000;

/** Objects that are looked at side by side; their items are read with one request. */
const GROUP_SIZE = 50;
const BLOBS_IN_FLIGHT = 16;

/** Holds how far the last sweep came. Names of spilled states begin with a generation's number. */
export const CURSOR_NAME = 'sweep-cursor';
const SPILLED_NAME = /^\d+\/[\w-]+\/(\d+)-[\w-]+$/;

export interface SweepOptions {
  /** Gives items as they are stored, without following what they point to. */
  readonly store: Pick<StateStore, 'load'>;
  readonly blobs: BlobStore;
  readonly nowMs: number;
  /** The time within which a record can come again, seconds. */
  readonly horizonSeconds: number;
  /** Whether there is time to go on; asked between groups of objects. */
  readonly keepGoing: () => boolean;
}

export interface SweepReport {
  /** Objects that were old enough to be looked at. */
  readonly examined: number;
  readonly removed: number;
  /** Objects whose first bytes cannot be read: left where they are. */
  readonly unreadable: number;
  /** Whether the end was reached; otherwise the next sweep goes on from here. */
  readonly isComplete: boolean;
}

/**
 * Removes objects with spilled states that no item points to, and that none can ever point to again: what crashes, lost
 * conflicts and writes in doubt have left. Two sweeps at once do no harm, and a sweep may end anywhere.
 *
 * An item begins to point to an object only in the write of the revision in the object's name, and goes on only until a
 * write points elsewhere. So an object is dead where its item, read consistently, has that revision or a later one and
 * points elsewhere. Where the item is missing, or is not as far, a retry of the same records may put the same name
 * again and commit it: then only the horizon tells, beyond which those records are in no stream any more. An object
 * that is pointed to never goes, however long its key is idle.
 */
export async function sweepSpilled(options: SweepOptions): Promise<SweepReport> {
  const { blobs, nowMs, keepGoing } = options;
  const report = { examined: 0, removed: 0, unreadable: 0 };
  let after = await readCursor(blobs);
  const isResumed = after !== '';
  for (;;) {
    const page = await blobs.list(after);
    const old = page.blobs.filter(
      ({ name, modifiedMs }) => nowMs - modifiedMs >= YOUNGEST_SWEPT_MS && SPILLED_NAME.test(name),
    );
    for (let from = 0; from < old.length; from += GROUP_SIZE) {
      if (!keepGoing()) {
        await blobs.put(CURSOR_NAME, Buffer.from(after));
        return { ...report, isComplete: false };
      }
      const group = old.slice(from, from + GROUP_SIZE);
      await sweepGroup(options, group, report);
      after = (group.at(-1) as ListedBlob).name;
    }
    if (page.isLast) break;
    after = page.blobs.at(-1)?.name ?? after;
  }
  if (isResumed) await blobs.remove(CURSOR_NAME);
  return { ...report, isComplete: true };
}

async function sweepGroup(
  { store, blobs, nowMs, horizonSeconds }: SweepOptions,
  group: readonly ListedBlob[],
  report: { examined: number; removed: number; unreadable: number },
): Promise<void> {
  report.examined += group.length;
  const headers = await inParallel(group, BLOBS_IN_FLIGHT, async (blob) => {
    const firstBytes = await blobs.get(blob.name, HEADER_PACKED_BYTES);
    // Removed in between: by whoever replaced it, or by another sweep.
    if (firstBytes === undefined) return undefined;
    const header = readHeader(firstBytes);
    if (header === undefined) report.unreadable += 1;
    return header && { blob, header };
  });
  const read = headers.filter((each) => each !== undefined);
  const items = await store.load([...new Set(read.map(({ header }) => header.pk))]);
  const dead = read.filter(({ blob, header }) => {
    const ageMs = nowMs - blob.modifiedMs;
    return isDead(blob, header, items.get(header.pk), ageMs >= horizonSeconds * 1_000 + YOUNGEST_SWEPT_MS);
  });
  await inParallel(dead, BLOBS_IN_FLIGHT, async ({ blob }) => {
    await blobs.remove(blob.name);
    report.removed += 1;
  });
}

function isDead(
  { name }: ListedBlob,
  { pk }: BlobHeader,
  item: StateItem | undefined,
  isBeyondHorizon: boolean,
): boolean {
  if (item?.spilled !== undefined && blobName(pk, item.spilled) === name) return false;
  const revision = Number(SPILLED_NAME.exec(name)?.[1]);
  return isBeyondHorizon || (item !== undefined && item.revision >= revision);
}

async function readCursor(blobs: BlobStore): Promise<string> {
  const bytes = await blobs.get(CURSOR_NAME);
  return bytes === undefined ? '' : Buffer.from(bytes).toString();
}

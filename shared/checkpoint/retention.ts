import type { Retention } from './checkpoint-defaults.ts';
import { begunMs } from './checkpoint-id.ts';
import { CheckpointError } from './checkpoint-error.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { checkpointIds } from './read-checkpoint.ts';
import { removeUnneeded } from './remove-unneeded.ts';

/** How long what never became a checkpoint is left alone behind the time in which it could still go on. */
const LEFT_OVER_SLACK_MS = 24 * 3_600_000;

export interface RetentionOptions {
  readonly checkpoints: CheckpointStore;
  readonly retention: Retention;
  readonly nowMs: number;
  /** For how long the taking of a checkpoint can go on after it began. */
  readonly resumableMs: number;
  /** Ids that somebody works with. */
  readonly inUse: ReadonlySet<string>;
}

/**
 * Removes checkpoints that need not be kept, and what is left of those that were never finished. The newest is never
 * removed, nor one whose manifest cannot be read: it may be a savepoint of a later version; nor one that is held. What
 * another one counts on stays until that one goes.
 * @returns the ids that were removed, of which some are only hidden yet.
 */
export async function applyRetention(options: RetentionOptions): Promise<string[]> {
  const { checkpoints, retention, nowMs, resumableMs, inUse } = options;
  const ids = await checkpointIds(checkpoints);
  const kept = keptIds(ids, retention);
  const removed = new Set<string>();
  for (const id of ids) {
    if (kept.has(id) || inUse.has(id) || (await mayBeSavepoint(checkpoints, id))) continue;
    if (((await checkpoints.getHold(id)) ?? 0) > nowMs) continue;
    await checkpoints.hide(id);
    removed.add(id);
  }
  // Not so for what is no id: nobody knows whose it is.
  const isLeftOver = (id: string): boolean =>
    !inUse.has(id) && nowMs - begunMs(id) > resumableMs + LEFT_OVER_SLACK_MS;
  for (const id of await removeUnneeded(checkpoints, isLeftOver)) removed.add(id);
  return [...removed].sort();
}

/** @param ids the oldest first. */
export function keptIds(ids: readonly string[], { keepLast, keepDaily }: Retention): Set<string> {
  const kept = new Set(ids.slice(-Math.max(1, keepLast)));
  const days = new Set<string>();
  for (const id of ids.toReversed()) {
    const day = id.slice(0, 'YYYY-MM-DD'.length);
    if (days.has(day)) continue;
    if (days.size >= keepDaily) break;
    days.add(day);
    kept.add(id);
  }
  return kept;
}

async function mayBeSavepoint(checkpoints: CheckpointStore, id: string): Promise<boolean> {
  try {
    const manifest = await checkpoints.getManifest(id);
    return manifest?.savepoint !== undefined;
  } catch (error) {
    if (error instanceof CheckpointError) return true;
    throw error;
  }
}

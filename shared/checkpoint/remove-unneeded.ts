import { inParallel } from '../state/in-parallel.ts';
import { CheckpointError } from './checkpoint-error.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { readWork } from './checkpoint-work.ts';
import { foldersUnder } from './delta-base.ts';
import type { Manifest } from './manifest.ts';

/** Folders that are looked at side by side. */
const FOLDERS_IN_FLIGHT = 16;

/** What a folder is: a checkpoint, one that is being taken, what is left of one, or nobody can say. */
type Folder =
  | { readonly kind: 'exists' | 'begun'; readonly under: ReadonlySet<string> }
  | { readonly kind: 'left' | 'unreadable' };

/**
 * Removes the folders of checkpoints that were hidden, and those that are left over, unless a checkpoint counts on lines
 * of them, or one that is being taken names them. Where that cannot be read of one, nothing that is older goes.
 *
 * What is to be removed was hidden before anybody is asked what he counts on, and who takes a delta names its base first
 * and looks then whether it is still a checkpoint: one of the two sees what the other has done. What somebody else hides
 * in between is for him to remove, or for the next; and where one has come to its end in between, nothing is removed: a
 * newer one may have taken over what it counted on, and not be among those that were asked.
 * @param isLeftOver whether a folder without a manifest was given up.
 * @returns the ids that were removed.
 */
export async function removeUnneeded(
  checkpoints: CheckpointStore,
  isLeftOver: (id: string) => boolean = () => false,
): Promise<string[]> {
  const hidden = await hiddenFolders(checkpoints);
  const ids = await checkpoints.folders();
  const folders = await inParallel(ids, FOLDERS_IN_FLIGHT, (id) => lookAt(checkpoints, id, isLeftOver));
  const needed = new Set<string>();
  for (const folder of folders) if ('under' in folder) for (const id of folder.under) needed.add(id);
  const lastUnreadable = ids.findLast((_, place) => folders[place]?.kind === 'unreadable') ?? '';
  const hasEnded = (id: string, place: number): boolean =>
    folders[place]?.kind === 'left' && !hidden.has(id) && !isLeftOver(id);
  if (ids.some(hasEnded)) return [];
  const removed: string[] = [];
  for (const [place, id] of ids.entries()) {
    const { kind } = folders[place] as Folder;
    if (kind === 'exists' || kind === 'unreadable' || needed.has(id) || id < lastUnreadable) continue;
    if (!isLeftOver(id) && !hidden.has(id)) continue;
    await checkpoints.remove(id);
    removed.push(id);
  }
  return removed;
}

/** Those that are no checkpoints any more; one that is noted as removed may still be one for a moment. */
async function hiddenFolders(checkpoints: CheckpointStore): Promise<Set<string>> {
  const ids = await checkpoints.folders();
  const areHidden = await inParallel(
    ids,
    FOLDERS_IN_FLIGHT,
    async (id) => (await checkpoints.isHidden(id)) && !(await checkpoints.hasManifest(id)),
  );
  return new Set(ids.filter((_, place) => areHidden[place]));
}

async function lookAt(
  checkpoints: CheckpointStore,
  id: string,
  isLeftOver: (id: string) => boolean,
): Promise<Folder> {
  try {
    const manifest = await checkpoints.getManifest(id);
    if (manifest !== undefined) return existing(manifest);
    const work = await checkpoints.getWork(id);
    if (work !== undefined) {
      const begun = readWork(work.text);
      // Nobody goes on with it, whatever it was.
      if (begun === undefined) return { kind: isLeftOver(id) ? 'left' : 'unreadable' };
      const { base } = begun;
      return { kind: 'begun', under: new Set(base === undefined ? [] : foldersUnder(base.parts)) };
    }
    // The work goes when the manifest is there: it may have come in between.
    const since = await checkpoints.getManifest(id);
    return since === undefined ? { kind: 'left' } : existing(since);
  } catch (error) {
    if (error instanceof CheckpointError) return { kind: 'unreadable' };
    throw error;
  }
}

function existing({ parts }: Manifest): Folder {
  return { kind: 'exists', under: foldersUnder(parts) };
}

/**
 * Removes a checkpoint; where others count on its lines it is hidden, and goes with the last of them.
 * @returns whether it is gone.
 */
export async function deleteCheckpoint(checkpoints: CheckpointStore, id: string): Promise<boolean> {
  await checkpoints.hide(id);
  return (await removeUnneeded(checkpoints)).includes(id);
}

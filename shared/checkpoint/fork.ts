import { deadLetterNamesOf } from '../output/dead-letter-name.ts';
import type { DeadLetterStore } from '../output/dead-letter-store.ts';
import type { Program } from '../engine/program.ts';
import { inParallel } from '../state/in-parallel.ts';
import { without } from '../state/without.ts';
import { CheckpointError } from './checkpoint-error.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import type { Manifest, ManifestPart } from './manifest.ts';
import type { SourceShard } from './replay-source.ts';

/** Longer than a copy takes: nobody takes the hold back. */
const HOLD_MS = 7 * 24 * 3_600_000;
/** Letters that are copied side by side. */
const LETTERS_IN_FLIGHT = 16;

/** A pipeline's checkpoints and letters, to whoever may read them. */
export interface ForkSource {
  readonly checkpoints: Pick<CheckpointStore, 'getPart' | 'hasManifest' | 'putHold'>;
  readonly deadLetters: Pick<DeadLetterStore, 'list' | 'get'>;
  readonly closedLetters: DeadLetterStore;
}

export interface ForkTarget {
  /** Its name. */
  readonly pipeline: string;
  readonly checkpoints: Pick<CheckpointStore, 'putPart' | 'putManifest'>;
  readonly closedLetters: DeadLetterStore;
}

export interface ForkNews {
  readonly parts: number;
  readonly letters: number;
}

/**
 * Makes a checkpoint of one pipeline one of another, which then rewinds to it: that is a fork. Letters come first and the
 * manifest last, so that it does not exist before it is whole; done again, the same is written again.
 *
 * It is done under the operator's own permissions. The other pipeline's function reads its own folders and no others.
 *
 * The checkpoint is held meanwhile, so that its own pipeline does not take it for one that need not be kept. Where it
 * is removed all the same, by hand or in the moment before, nothing of the copy counts: letters that a checkpoint needs
 * are kept for as long as its manifest is there, so that this is asked last.
 * @param nowMs milliseconds since the epoch.
 * @throws CheckpointError where the checkpoint, or a part of it, is gone.
 */
export async function copyCheckpoint(
  from: ForkSource,
  to: ForkTarget,
  manifest: Manifest,
  nowMs: number,
  onNews: (news: ForkNews) => void = () => undefined,
): Promise<Manifest> {
  const { id, parts, pipeline, generation, delta } = manifest;
  const copied = { parts: 0, letters: 0 };
  await from.checkpoints.putHold(id, nowMs + HOLD_MS);
  const kept = lettersOfFork(to.closedLetters, id);
  // One that is closed meanwhile is put to the closed ones before it leaves the open ones. Those of a checkpoint that is a
  // copy itself lie where that copy put them: the generation is not one of this pipeline.
  const stores =
    manifest.forkedFrom === undefined
      ? [from.deadLetters, from.closedLetters]
      : [lettersOfFork(from.closedLetters, id)];
  for (const store of stores) {
    for await (const page of store.list(deadLetterNamesOf(generation))) {
      await inParallel(page, LETTERS_IN_FLIGHT, async ({ name }) => {
        const letter = await store.get(name);
        if (letter !== undefined) await kept.put(name, { ...letter, pipeline: to.pipeline });
      });
      copied.letters += page.length;
      onNews({ ...copied });
    }
  }
  const copy = async (folder: string, name: string, newName: string): Promise<void> => {
    const packed = await from.checkpoints.getPart(folder, name);
    if (packed === undefined) {
      throw new CheckpointError(`Part ${name} of checkpoint ${folder} of pipeline '${pipeline}' is gone.`);
    }
    await to.checkpoints.putPart(id, newName, packed);
  };
  for (const { name } of delta?.kept ?? []) await copy(id, name, name);
  const own: Manifest = {
    ...manifest,
    parts: parts.map(partOfFork),
    pipeline: to.pipeline,
    savepoint: savepointOfFork(pipeline),
    forkedFrom: pipeline,
  };
  for (const [place, { from: folder = id, name }] of parts.entries()) {
    await copy(folder, name, (own.parts[place] as ManifestPart).name);
    copied.parts += 1;
    onNews({ ...copied });
  }
  if (!(await from.checkpoints.hasManifest(id))) {
    throw new CheckpointError(
      `Checkpoint ${id} of pipeline '${pipeline}' was removed while it was copied: fork from another one.`,
    );
  }
  await to.checkpoints.putManifest(own);
  return own;
}

/** As it lies in the copy's own folder: with what it counts on, and without the hashes, by which no delta goes there. */
function partOfFork(part: ManifestPart): ManifestPart {
  const { from, name } = part;
  const own = without(without(part, 'from'), 'hashes');
  return { ...own, name: from === undefined ? name : `${from}-${name}` };
}

/** What a person calls it: until it is deleted, retention keeps it. */
function savepointOfFork(pipeline: string): string {
  return `fork-of-${pipeline}`.slice(0, SAVEPOINT_CHARACTERS);
}

const SAVEPOINT_CHARACTERS = 64;

/**
 * Where the letters of a forked checkpoint lie, under the names that they had: among the closed ones, which expire, and
 * in a folder of their own, for generations of two pipelines have the same numbers.
 */
export function lettersOfFork(closed: DeadLetterStore, id: string): DeadLetterStore {
  const folder = `forked-${id}/`;
  return {
    put: (name, letter) => closed.put(folder + name, letter),
    get: (name) => closed.get(folder + name),
    remove: (name) => closed.remove(folder + name),
    list: async function* (prefix) {
      for await (const page of closed.list(folder + prefix)) {
        yield page.map(({ name, storedMs }) => ({ name: name.slice(folder.length), storedMs }));
      }
    },
  };
}

/** Why a pipeline cannot go on from another's checkpoint, beside what speaks against going back to one of its own. */
export function forkProblems(
  { shards, forkedFrom }: Manifest,
  { definition }: Program,
  listed: readonly SourceShard[],
): string[] {
  if (forkedFrom === undefined) return [];
  const problems: string[] = [];
  if (definition.repartition !== undefined) {
    problems.push(
      `what the repartition of '${forkedFrom}' has put into its internal stream, and not processed, is not in the ` +
        'checkpoint, and this pipeline has an internal stream of its own: a pipeline with a repartition cannot be forked',
    );
  }
  const streams = new Set(listed.map(({ stream }) => stream));
  const others = new Set(shards.map(({ stream }) => stream).filter((stream) => !streams.has(stream)));
  if (definition.repartition === undefined && others.size > 0) {
    problems.push(
      `'${forkedFrom}' reads ${[...others].join(', ')}, and this pipeline ${[...streams].join(', ')}: positions of one ` +
        'stream mean nothing in another',
    );
  }
  return problems;
}

import { stamped } from '../engine/commit.ts';
import { isLetterMark, isRedriveLane, letterOfMark } from '../engine/redrive-lane.ts';
import type { Runtime } from '../engine/runtime.ts';
import {
  deadLetterNamesOf,
  deadLetterWithoutKey,
  readDeadLetterName,
  type NamedLetter,
} from '../output/dead-letter-name.ts';
import { hashOfKey } from '../output/output-id.ts';
import { shardOfLane } from '../source/lane.ts';
import { comparePositions } from '../source/position.ts';
import { documentsBytes } from '../state/canonical-document.ts';
import type { GenerationStore } from '../state/generation-store.ts';
import { inParallel } from '../state/in-parallel.ts';
import { hasOpenLetters, letterStatus, NO_LETTERS } from '../state/letters.ts';
import { generationOf, keyOfItem, sourceOf } from '../state/row-key.ts';
import type { StateItem } from '../state/state-item.ts';
import type { StateStore } from '../state/state-store.ts';
import { without } from '../state/without.ts';
import { itemOfLine, lineBefore } from './checkpoint-line.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { lettersOfFork } from './fork.ts';
import { LineDigest } from './line-digest.ts';
import { linesThatCount, type Manifest, type ManifestPart } from './manifest.ts';
import { PartReader } from './read-checkpoint.ts';

/** What a restore works with. */
export interface Restorer {
  readonly runtime: Pick<Runtime, 'program' | 'store' | 'clock' | 'wait' | 'deadLetters' | 'closedLetters'>;
  readonly checkpoints: Pick<CheckpointStore, 'getPart'>;
}

/** Items that are written, or whose spilled states are read, together: they are in memory with all their states. */
const ITEMS_IN_FLIGHT = 100;
/** Writes of one item, those that were throttled counted. */
export const WRITE_TRIES = 8;
export const FIRST_PAUSE_MS = 50;
/** Items whose letters are copied side by side, and letters of one item. */
export const LETTERS_IN_FLIGHT = 8;

export interface RestoredPart {
  /** Lines that count and are done, from the part's beginning. */
  readonly lines: number;
  readonly isDone: boolean;
}

/**
 * Writes the items of a part into a generation, outboxes and all, each only where there is none: what is there already
 * is done, so that two at once do no harm, nor one that comes late, when the generation has long been at work. Letters
 * that are open are copied with the item that says so.
 * @param skipped lines that are known to be done.
 * @param keepGoing asked between groups of items.
 * @throws CheckpointError where the part is not as the manifest says, before anything of it is written.
 */
export async function restorePart(
  { runtime, checkpoints }: Restorer,
  manifest: Manifest,
  part: ManifestPart,
  generation: number,
  skipped: number,
  keepGoing: () => boolean,
): Promise<RestoredPart> {
  const { program, store } = runtime;
  let lines = 0;
  let group: StateItem[] = [];
  const write = async (items: readonly StateItem[]): Promise<void> => {
    let left = items.map((item) => stamped(runtime, item));
    for (let tries = 1; left.length > 0; tries++) {
      const results = await store.commit(
        left.map((item) => ({
          item,
          expectedRevision: undefined,
          spills: documentsBytes(item.states.values()) > program.limits.inlineStateBytes,
        })),
      );
      const failed = left.filter((_, place) => results[place] === 'failed');
      if (failed.length > 0 && tries === WRITE_TRIES) {
        throw new Error(
          `${failed.length} items of ${part.name} could not be written in ${tries} tries: the table is throttled.`,
        );
      }
      if (failed.length > 0) await runtime.wait(FIRST_PAUSE_MS * 2 ** tries);
      left = failed;
    }
  };
  const endGroup = async (): Promise<void> => {
    const items = group;
    group = [];
    await write(items);
    const open = items.filter(hasLetters);
    await inParallel(open, LETTERS_IN_FLIGHT, (item) => copyLetters(runtime, item, manifest));
  };
  for (const line of await new PartReader(checkpoints, manifest).lines(part)) {
    lines += 1;
    if (lines <= skipped) continue;
    group.push(itemOfLine(line, manifest.generation, generation));
    if (group.length < ITEMS_IN_FLIGHT) continue;
    await endGroup();
    if (!keepGoing()) return { lines, isDone: lines === linesThatCount(part) };
  }
  await endGroup();
  return { lines, isDone: true };
}

/** Whether letters are to be copied with the item: those of a shard also where they are closed. */
function hasLetters(item: StateItem): boolean {
  const isOfShard = keyOfItem(item.pk) === undefined && item.letters !== undefined;
  return isOfShard || hasOpenLetters(item.letters) || isBeingRedriven(item);
}

/** Whether something of a redrive is left in the item, which only another redrive of the same letter brings to its end. */
function isBeingRedriven({ outbox, marks }: StateItem): boolean {
  return outbox.some(({ lane }) => isRedriveLane(lane)) || [...marks.keys()].some(isLetterMark);
}

/**
 * Copies the letters that a restored item says are open to its generation, and those of which it says that a redrive has
 * closed them and is not through: from where they lie, or from where they were put when they were closed after the
 * checkpoint. One that lies in neither place was not stored yet: its record is behind the checkpoint's position, and
 * comes again.
 * @param isWanted told a letter's name in the new generation, and whether it is for the closed ones there.
 */
export async function copyLetters(
  { deadLetters, closedLetters }: Pick<Restorer['runtime'], 'deadLetters' | 'closedLetters'>,
  item: StateItem,
  {
    generation: from,
    forkedFrom,
    id = '',
  }: Pick<Manifest, 'generation' | 'forkedFrom'> & { readonly id?: string },
  isWanted: (named: NamedLetter, newName: string, isClosed: boolean) => boolean = () => true,
): Promise<void> {
  const { pk, letters = NO_LETTERS } = item;
  const key = keyOfItem(pk);
  const generation = generationOf(pk);
  const prefix = deadLetterNamesOf(from, key === undefined ? 'no-key' : hashOfKey(key));
  const copied = new Set<number>();
  const stores = forkedFrom === undefined ? [deadLetters, closedLetters] : [lettersOfFork(closedLetters, id)];
  for (const store of stores) {
    const copy = async (name: string, owner: string, isClosed = false): Promise<boolean> => {
      const letter = await store.get(name);
      // Two keys may have one hash, and letters without a key lie beside those of other shards.
      if (letter === undefined || letter.item !== `${from}/${owner}`) return false;
      const newName = nameIn(generation, name);
      const own = { ...letter, generation, item: `${generation}/${owner}` };
      if (isClosed) await closedLetters.put(newName, own);
      else await deadLetters.put(newName, without(own, 'closed'));
      return true;
    };
    for await (const page of store.list(prefix)) {
      await inParallel(page, LETTERS_IN_FLIGHT, async ({ name }) => {
        const named = readDeadLetterName(name);
        if (named === undefined) return;
        const newName = nameIn(generation, name);
        const status = letterStatus(letters, named.number);
        // Of a record without a key the replay is to know that it was a letter: its keys' items do not.
        if (key === undefined && status === 'closed' && isWanted(named, newName, true)) {
          await copy(name, sourceOf(pk), true);
        }
        if (status !== 'open' && !isPending(item, named)) return;
        if ((key !== undefined && copied.has(named.number)) || !isWanted(named, newName, false)) return;
        if (await copy(name, sourceOf(pk))) copied.add(named.number);
      });
    }
    for (const mark of item.marks.keys()) {
      const marked = letterOfMark(mark);
      if (marked === undefined) continue;
      const { shard, number } = marked;
      for await (const page of store.list(deadLetterWithoutKey(from, shard, number))) {
        for (const { name } of page) await copy(name, `d/${shard}`);
      }
    }
  }
}

function nameIn(generation: number, name: string): string {
  return `${generation}${name.slice(name.indexOf('/'))}`;
}

/** Whether outputs of the letter's redrive are in the outbox. */
export function isPending({ outbox }: StateItem, { shard, position }: NamedLetter): boolean {
  return outbox.some(
    ({ lane, origin }) =>
      isRedriveLane(lane) &&
      origin !== undefined &&
      shardOfLane(origin.lane) === shard &&
      comparePositions(origin.position, position) === 0,
  );
}

export interface VerifiedSegment {
  /** Of the items from where it was to begin up to where it ended. */
  readonly items: number;
  readonly digest: string;
  /** Where to go on; absent at the end of the segment. */
  readonly after?: string;
}

/**
 * Counts and digests what a generation holds of one segment of the table, as the lines that its items had in the
 * checkpoint.
 * @param from the generation of the checkpoint.
 */
export async function verifySegment(
  { generations, store }: { readonly generations: GenerationStore; readonly store: Pick<StateStore, 'load'> },
  { generation, from }: { readonly generation: number; readonly from: number },
  {
    segment,
    segments,
    after,
  }: { readonly segment: number; readonly segments: number; readonly after?: string },
  keepGoing: () => boolean,
): Promise<VerifiedSegment> {
  const digest = new LineDigest();
  let items = 0;
  let next = after;
  do {
    const page = await generations.scan({
      generation,
      segment,
      segments,
      ...(next !== undefined && { after: next }),
    });
    const spilled = page.items.filter((item) => item.spilled !== undefined).map(({ pk }) => pk);
    const whole = spilled.length === 0 ? new Map<string, StateItem>() : await store.load(spilled);
    for (const item of page.items) {
      digest.add(lineBefore(whole.get(item.pk) ?? item, from));
      items += 1;
    }
    next = page.next;
  } while (next !== undefined && keepGoing());
  return { items, digest: String(digest), ...(next !== undefined && { after: next }) };
}

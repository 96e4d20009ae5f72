import type { DeadLetterStore } from '../output/dead-letter-store.ts';
import { deadLetterNamesOf } from '../output/dead-letter-name.ts';
import type { BlobStore } from '../state/blob-store.ts';
import type { GenerationStore } from '../state/generation-store.ts';
import { inParallel } from '../state/in-parallel.ts';
import type { Control, LeftGeneration, StateStore } from '../state/state-store.ts';
import { without } from '../state/without.ts';
import type { Clock } from '../time/clock.ts';
import { CheckpointError } from './checkpoint-error.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { checkpointIds } from './read-checkpoint.ts';

/**
 * How long a generation that was left stays as it was, for people to look at. Whoever worked in it when it was left has
 * been ended by Lambda long before: a quarter of an hour is the longest that a function runs.
 */
export const LEFT_GENERATION_AGE_MS = 7 * 24 * 3_600_000;

/** Write units of the table that one call uses, about, and in a second: half of what one partition gives. */
export const REMOVAL_WRITE_UNITS = 300_000;
const WRITE_UNITS_PER_SECOND = 500;
/** Read units a second: a sixth of what one partition gives. A scan for keys goes through one partition after another. */
const READ_UNITS_PER_SECOND = 500;

/** Objects and letters that are removed side by side. */
const REMOVALS_IN_FLIGHT = 16;
/** Rows that are removed between two looks at the clock. */
const KEYS_AT_ONCE = 100;
const LONGEST_PAUSE_MS = 1_000;
const CONTROL_TRIES = 10;

/** Holds how far the last call came; no name of spilled states is like it. */
export const REMOVAL_CURSOR = 'removal-cursor';

export interface GenerationRemover {
  readonly store: Pick<StateStore, 'readControl'>;
  readonly generations: Pick<GenerationStore, 'keysOf' | 'removeRows' | 'replaceControl' | 'costs'>;
  readonly checkpoints: CheckpointStore;
  /** Of spilled states. */
  readonly blobs: BlobStore;
  readonly deadLetters: DeadLetterStore;
  readonly clock: Clock;
  readonly wait: (ms: number) => Promise<void>;
  /** Whether there is time to go on. */
  readonly keepGoing: () => boolean;
}

export interface RemovalReport {
  /** Of the table; of the spilled states; of the open dead letters. */
  readonly rows: number;
  readonly objects: number;
  readonly letters: number;
  /** Generations of which nothing is left now but what expires by itself. */
  readonly generations: readonly number[];
  /** Whether all is removed that may be; otherwise the next call goes on. */
  readonly isComplete: boolean;
}

interface Cursor {
  /** Their rows up to `after` are removed, in the order in which the table is read. */
  readonly generations: readonly number[];
  readonly after: string;
}

/** Generations that may be removed now. */
export function removable(control: Control, nowMs: number): readonly LeftGeneration[] {
  const { generation: current, rewind, left = [] } = control;
  // What a rewind reads is its own to leave; and the control row is its own to write.
  if (rewind !== undefined) return [];
  return left.filter(
    ({ generation, atMs }) => generation !== current && nowMs - atMs >= LEFT_GENERATION_AGE_MS,
  );
}

/**
 * Removes what is left of generations that nobody works in any more: rows, spilled states and, once no checkpoint of the
 * generation exists, its open dead letters, which a rewind to such a checkpoint would bring back. Numbers of generations
 * are never used again, so that a row of one that was left can be removed unseen, and whatever is removed twice, by two
 * calls at once or behind a crash, was to be removed.
 *
 * The control row forgets a generation last. Until then each call goes on where the one before came to, or begins anew
 * where it does not know.
 */
export async function removeGenerations(remover: GenerationRemover): Promise<RemovalReport> {
  const { store, clock } = remover;
  const old = removable(await store.readControl(), clock.nowMs());
  const report = { rows: 0, objects: 0, letters: 0, generations: [] as number[], isComplete: true };
  const withRows = old.filter(({ hasNoRows }) => hasNoRows !== true).map(({ generation }) => generation);
  if (withRows.length > 0) {
    // The rows come last: one reading of the whole table is enough, however often the rest is interrupted.
    const hasTime = await removeObjects(remover, withRows, report);
    const done = hasTime ? await removeRows(remover, withRows, report) : undefined;
    if (done === undefined) return { ...report, isComplete: false };
    await change(remover, (left) =>
      left.map((each) => (done.includes(each.generation) ? { ...each, hasNoRows: true } : each)),
    );
    await remover.blobs.remove(REMOVAL_CURSOR);
    // The rest of them is another reading of the whole table.
    if (done.length < withRows.length) report.isComplete = false;
  }
  const { left = [] } = await store.readControl();
  const emptied = new Set(
    left.filter(({ hasNoRows }) => hasNoRows === true).map(({ generation }) => generation),
  );
  const wanted = old.map(({ generation }) => generation).filter((generation) => emptied.has(generation));
  const kept = wanted.length === 0 ? new Set<number>() : await checkpointedGenerations(remover.checkpoints);
  for (const generation of wanted) {
    if (kept === 'unknown' || kept.has(generation)) continue;
    if (!(await removeLetters(remover, generation, report))) return { ...report, isComplete: false };
    await change(remover, (each) => each.filter((other) => other.generation !== generation));
    report.generations.push(generation);
  }
  return report;
}

/** @returns the generations of which no row is left; `undefined` where time or units did not suffice. */
async function removeRows(
  remover: GenerationRemover,
  old: readonly number[],
  report: { rows: number },
): Promise<readonly number[] | undefined> {
  const { generations: table, blobs } = remover;
  const begun = await readCursor(blobs);
  const isKnown = begun?.generations.every((generation) => old.includes(generation)) === true;
  const generations = isKnown ? begun.generations : old;
  let after = isKnown ? begun.after : undefined;
  const mayGoOn = paced(remover);
  try {
    do {
      const page = await table.keysOf(new Set(generations), after);
      for (let at = 0; at < page.keys.length; at += KEYS_AT_ONCE) {
        const keys = page.keys.slice(at, at + KEYS_AT_ONCE);
        await table.removeRows(keys);
        report.rows += keys.length;
        // Where it ends inside of a page, the next call reads what is left of that page.
        if (!(await mayGoOn())) return undefined;
      }
      after = page.next;
    } while (after !== undefined && (await mayGoOn()));
  } finally {
    if (after !== undefined) {
      await blobs.put(REMOVAL_CURSOR, Buffer.from(JSON.stringify({ generations, after })));
    }
  }
  return after === undefined ? generations : undefined;
}

/** Waits until what was used is paid for. @returns whether there are time and units for more. */
function paced({ generations, clock, wait, keepGoing }: GenerationRemover): () => Promise<boolean> {
  const startMs = clock.nowMs();
  const before = generations.costs();
  return async () => {
    const rcu = generations.costs().rcu - before.rcu;
    const wcu = generations.costs().wcu - before.wcu;
    const dueMs = startMs + (rcu / READ_UNITS_PER_SECOND + wcu / WRITE_UNITS_PER_SECOND) * 1_000;
    if (wcu >= REMOVAL_WRITE_UNITS) return false;
    while (keepGoing() && clock.nowMs() < dueMs) {
      await wait(Math.min(LONGEST_PAUSE_MS, dueMs - clock.nowMs()));
    }
    return keepGoing();
  };
}

async function removeObjects(
  { blobs, keepGoing }: GenerationRemover,
  generations: readonly number[],
  report: { objects: number },
): Promise<boolean> {
  for (const generation of generations) {
    const prefix = `${generation}/`;
    for (let isLast = false; !isLast;) {
      if (!keepGoing()) return false;
      const page = await blobs.list(prefix);
      const names = page.blobs.map(({ name }) => name).filter((name) => name.startsWith(prefix));
      await inParallel(names, REMOVALS_IN_FLIGHT, (name) => blobs.remove(name));
      report.objects += names.length;
      isLast = page.isLast || names.length < page.blobs.length;
    }
  }
  return true;
}

async function removeLetters(
  { deadLetters, keepGoing }: GenerationRemover,
  generation: number,
  report: { letters: number },
): Promise<boolean> {
  for await (const page of deadLetters.list(deadLetterNamesOf(generation))) {
    if (!keepGoing()) return false;
    await inParallel(page, REMOVALS_IN_FLIGHT, ({ name }) => deadLetters.remove(name));
    report.letters += page.length;
  }
  return true;
}

/** Those of which a checkpoint exists; `unknown` where one cannot be read, which may be a savepoint of a later version. */
async function checkpointedGenerations(
  checkpoints: CheckpointStore,
): Promise<ReadonlySet<number> | 'unknown'> {
  const found = new Set<number>();
  for (const id of await checkpointIds(checkpoints)) {
    try {
      const manifest = await checkpoints.getManifest(id);
      // Those of another pipeline's generation lie elsewhere.
      if (manifest !== undefined && manifest.forkedFrom === undefined) found.add(manifest.generation);
    } catch (error) {
      if (error instanceof CheckpointError) return 'unknown';
      throw error;
    }
  }
  return found;
}

/** Changes what the control row says is left; not while a rewind is under way, and not against others: they go first. */
async function change(
  { store, generations }: GenerationRemover,
  changed: (left: readonly LeftGeneration[]) => readonly LeftGeneration[],
): Promise<void> {
  for (let tries = 0; tries < CONTROL_TRIES; tries++) {
    const control = await store.readControl();
    if (control.rewind !== undefined) return;
    const left = changed(control.left ?? []);
    const rest = without(control, 'left');
    const after = left.length === 0 ? rest : { ...rest, left };
    if ((await generations.replaceControl(control, after)) !== undefined) return;
  }
}

async function readCursor(blobs: BlobStore): Promise<Cursor | undefined> {
  const bytes = await blobs.get(REMOVAL_CURSOR);
  return bytes === undefined ? undefined : (JSON.parse(Buffer.from(bytes).toString()) as Cursor);
}

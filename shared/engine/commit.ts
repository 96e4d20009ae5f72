import type { Position } from '../source/position.ts';
import type { SourceRecord } from '../source/record.ts';
import { shardOfLane } from '../source/lane.ts';
import type { StateItem } from '../state/state-item.ts';
import { bringForward } from './bring-forward.ts';
import { FATE, firstOpenRecord, recordAt, type BatchRun, type ItemWork } from './batch-run.ts';
import type { Element } from './elements.ts';
import { foldItem, type Fold, type Stop } from './fold.ts';
import { hasOpenLetters } from '../state/letters.ts';
import { hasGivenNotice, itemsOfRejected, leaveOutRejected } from './leave-out-rejected.ts';
import { COMMIT_TRIES } from './limits.ts';
import { doneInShardLane } from './open.ts';
import { entryBytes } from './outbox-draft.ts';
import { isOffStream } from './redrive-lane.ts';
import type { Runtime } from './runtime.ts';

/**
 * Step 4: the items that are not in the container's cache, read consistently.
 * @param also further items to read with them.
 * @returns what there is of those.
 */
export async function load(
  run: BatchRun,
  works: readonly ItemWork[],
  also: readonly string[] = [],
): Promise<ReadonlyMap<string, StateItem>> {
  const { cache, log, program, store } = run.runtime;
  const missing: ItemWork[] = [];
  for (const work of works) {
    if (work.isLoaded) continue;
    // What other code has listed there meanwhile, which rejected what this code does not, must be seen.
    if (work.key !== undefined) work.item = cache.get(run.batch.shard, work.pk);
    if (work.item === undefined) missing.push(work);
    else work.isLoaded = true;
  }
  const names = new Set([...missing.map(({ pk }) => pk), ...also]);
  if (names.size === 0) return NO_ITEMS;
  const atLeast = missing.filter(({ elements, next }) => elements[next]?.record === 0).length;
  const { loadedStateBytes: bytes } = program.limits;
  const items = await store.load([...names], { bytes, atLeast });
  let held = 0;
  for (const [place, work] of missing.entries()) {
    const item = items.get(work.pk);
    // Its first record is the first to come again, or comes among the first, and so does not wait for ever.
    if (item?.spilled !== undefined && place >= atLeast) held += Number((work.isHeld = true));
    else take(run, work, item);
  }
  if (held > 0) {
    log.warn(
      'Spilled states of some keys have no room in memory beside the others; their records come again',
      {
        keys: held,
      },
    );
  }
  return items;
}

const NO_ITEMS: ReadonlyMap<string, StateItem> = new Map();

/** Reads items anew whose states were in memory before. */
async function reload(run: BatchRun, works: readonly ItemWork[]): Promise<void> {
  const items = await run.runtime.store.load(works.map(({ pk }) => pk));
  for (const work of works) take(run, work, items.get(work.pk));
}

function take({ runtime }: BatchRun, work: ItemWork, item: StateItem | undefined): void {
  work.item = item && bringForward(runtime.program, item);
  work.isLoaded = true;
}

/**
 * Steps 5 and 6. Letters of records without a key come first, and keys go on up to the first record that waits for its
 * letter: newer code may give that record a key, whose mark must not stand above it while it has no fate.
 */
export async function foldAndCommit(run: BatchRun, works: readonly ItemWork[]): Promise<void> {
  const ofShards = works.filter(({ key, elements, next }) => key === undefined && next < elements.length);
  if (ofShards.length > 0 && (await hasGivenNotice(run))) {
    const hasMet = await commitBelow(run, ofShards, Infinity);
    // Others have written there, perhaps letters of records that have keys here.
    if (hasMet) await leaveOutRejected(run, await run.runtime.store.load(itemsOfRejected(run)));
  }
  const waiting = firstOpenRecord({ ...run, works: run.works.filter(({ key }) => key === undefined) });
  await commitBelow(
    run,
    works.filter(({ key }) => key !== undefined),
    waiting,
  );
}

/**
 * Folds each item's records and writes the items, each under the revision that was loaded. A condition that fails does
 * not tell who won: the item is read again, and where it covers our records, they are done.
 * @param below the first record that is not to be folded.
 * @returns whether a write met others.
 */
async function commitBelow(run: BatchRun, works: readonly ItemWork[], below: number): Promise<boolean> {
  const { store, cache } = run.runtime;
  let hasMet = false;
  let open = works.filter(({ isHeld }) => !isHeld);
  for (let tries = 1; open.length > 0; tries++) {
    const folds: { work: ItemWork; fold: Fold; item: StateItem }[] = [];
    const { rows } = run.scope;
    for (let left: readonly ItemWork[] = open; left.length > 0;) {
      const unread: ItemWork[] = [];
      for (const work of left) {
        if (!run.keepGoing()) break;
        const missed = rows?.missed;
        const fold = foldItem(run.scope, work, work.item, work.next, work.isFirst, run.keepGoing, below);
        work.isFirst = false;
        if (rows?.missed !== missed) unread.push(work);
        else if (fold.item === undefined) {
          const stopped = settle(run, work, fold);
          if (stopped !== undefined) await stopped;
        } else folds.push({ work, fold, item: fold.item });
      }
      // What asked for rows that were not known counts for nothing, and is folded again.
      if (unread.length > 0) await rows?.read();
      left = unread;
    }
    if (folds.length === 0 || !run.keepGoing()) return hasMet;

    const results = await store.commit(
      folds.map(({ work, fold, item }) => ({
        item: stamped(run.runtime, item),
        expectedRevision: work.item?.revision,
        loaded: work.item,
        spills: fold.spills,
      })),
    );
    const lost: ItemWork[] = [];
    for (const [place, { work, fold, item }] of folds.entries()) {
      if (results[place] === 'committed') {
        work.item = item;
        cache.put(
          run.batch.shard,
          item,
          item.outbox.reduce((bytes, entry) => bytes + entryBytes(entry), fold.stateBytes),
        );
        const stopped = settle(run, work, fold);
        if (stopped !== undefined) await stopped;
      } else {
        if (results[place] === 'conflict') run.report.conflicts += 1;
        cache.delete(run.batch.shard, work.pk);
        lost.push(work);
      }
    }
    if (lost.length === 0) return hasMet;
    hasMet = true;
    // A fold whose write is in doubt is built upon no more: what counts is what a consistent read gives.
    await reload(run, lost);
    if (tries === COMMIT_TRIES) {
      for (const work of lost) work.isHeld = true;
      run.runtime.log.warn('Items could not be committed; their records come again', { items: lost.length });
      return hasMet;
    }
    open = lost;
  }
  return hasMet;
}

/**
 * A tombstone may go when nothing can come again that its marks must stop, and then nothing of its outbox can be
 * published any more either, for that needs the record in hand. An item with an open letter stays: it alone says that
 * the letter is open, and what number comes next. One stays too that holds what a redrive has not published yet: that
 * needs no record, however late the redrive goes on. The table's TTL counts from the write.
 */
export function stamped(runtime: Pick<Runtime, 'program' | 'clock'>, item: StateItem): StateItem {
  if (hasOpenLetters(item.letters)) return item;
  const { tombstoneSeconds, definition, operators } = runtime.program;
  for (const name of item.states.keys()) {
    if (operators.find((operator) => operator.name === name)?.forgetsAfterSeconds === undefined) return item;
  }
  if (item.outbox.some(({ lane }) => isOffStream(lane))) return item;
  const nowSeconds = Math.ceil(runtime.clock.nowMs() / 1_000);
  // A record that is processed after the item is gone has arrived at most a retention earlier, and so, by its own
  // time, after the horizon too: it finds no state either way.
  const expiresAtSeconds = nowSeconds + tombstoneSeconds + definition.source.retentionHours * 3_600;
  return { ...item, expiresAtSeconds };
}

/** Books what a confirmed fold did. @returns a promise only where a record stops it: a batch has thousands of keys. */
function settle(run: BatchRun, work: ItemWork, fold: Fold): Promise<void> | undefined {
  const { report, fates } = run;
  work.next = fold.next;
  for (const record of fold.applied) fates[record] = (fates[record] as number) | FATE.applied;
  for (const record of fold.skipped) fates[record] = (fates[record] as number) | FATE.skipped;
  report.deadLetters += fold.deadLetters;
  report.late += fold.late;
  return fold.stop && hold(run, work, fold.next, fold.stop);
}

/** A record stops its key, unless what it waits for can still come in this invocation. */
async function hold(
  run: BatchRun,
  work: ItemWork,
  next: number,
  { kind, record, reason }: Stop,
): Promise<void> {
  if (kind === 'outbox') {
    const { runtime, opened, batch, scope } = run;
    if (record > scope.front || awaitsOwnOutputs(run, work)) return;
    if (await readAcknowledged(runtime, opened.generation, work.item, scope.acknowledged, batch.shard))
      return;
  }
  work.isHeld = true;
  const { position } = run.records[record] as SourceRecord;
  const element = work.elements[next] as Element;
  run.runtime.log.error(`The shard waits in front of a record: ${reason}`, {
    shard: run.batch.shard,
    sequenceNumber: position.sequence,
    element: element.number,
    cause: kind,
  });
}

/** Whether this run may still publish some of what fills the item: it waits for keys that are not as far. */
function awaitsOwnOutputs({ batch, records, scope }: BatchRun, { item }: ItemWork): boolean {
  return (item?.outbox ?? []).some(
    (entry) =>
      shardOfLane(entry.lane) === batch.shard &&
      !scope.published.has(entry) &&
      recordAt(records, entry.position) !== undefined,
  );
}

/**
 * With ParallelizationFactor 1 everything at or below a shard's progress is published: its entries may go. So may those of
 * before it was raised.
 * @param acknowledged by shard: what is known; what is learnt is added.
 * @param ownShard that of the batch at hand, whose entries the batch itself tells of.
 * @returns whether anything new was learnt of the shards whose entries fill the item.
 */
export async function readAcknowledged(
  { store }: Runtime,
  generation: number,
  item: StateItem | undefined,
  acknowledged: Map<string, Position>,
  ownShard?: string,
): Promise<boolean> {
  let hasNews = false;
  const lanes = new Set((item?.outbox ?? []).map(({ lane }) => lane));
  for (const lane of lanes) {
    if (lane === ownShard || isOffStream(lane) || shardOfLane(lane) !== lane || acknowledged.has(lane))
      continue;
    const progress = await store.readProgress(generation, lane);
    const done = progress && doneInShardLane(progress);
    if (done === undefined) continue;
    acknowledged.set(lane, done);
    hasNews = true;
  }
  return hasNews;
}

import { encodeMarkPosition, type MarkPosition } from '../source/position.ts';
import { emptyItem } from '../state/empty-item.ts';
import { noticeKey, shardItemKey, shardOfItem } from '../state/row-key.ts';
import type { SourceRecord } from '../source/record.ts';
import type { StateItem } from '../state/state-item.ts';
import { FATE, shardWork, type BatchRun } from './batch-run.ts';
import type { Element } from './elements.ts';
import { isAtOrBelow } from './item-draft.ts';
import { HORIZON_SLACK_SECONDS } from './limits.ts';
import { rejectedBefore } from './rejected-before.ts';
import { isSettled, isWhole, RejectedRecords, type AskedElement } from './rejected-records.ts';
import type { Runtime } from './runtime.ts';

/**
 * The items to read before anything is taken of a batch: that of its shard, and where it is of many lanes the notice that
 * one of these may have an item.
 */
export function itemsOfRejected(run: BatchRun): string[] {
  const { generation } = run.opened;
  const own = shardItemKey(generation, run.batch.shard);
  return hasOneLane(run) ? [own] : [own, noticeKey(generation)];
}

/**
 * Takes out of the batch what has a letter without a key, as far as it is not folded yet. Such a record may come again when newer code gives it keys, and
 * its letter is its fate all the same: else it would be applied here, and again when its letter is redriven.
 * @param told what there is of `itemsOfRejected`.
 */
export async function leaveOutRejected(run: BatchRun, told: ReadonlyMap<string, StateItem>): Promise<void> {
  const items = await readItems(run, told);
  for (const { key, elements } of run.works) {
    if (key === undefined) for (const element of elements) if (!isWhole(element)) noteElsewhere(run, element);
  }
  if (items.size === 0) return;
  addWorks(run, items);
  const { scope, runtime, opened, batch } = run;
  if (hasForgotten(run, items)) {
    scope.named = (await rejectedBefore(runtime, opened.generation)).get(batch.shard);
  }
  const listed = new Map([...items].map(([pk, { rejected }]) => [pk, new RejectedRecords(rejected)]));
  const isRejected = rejectedIn(run, items, listed);
  const own = listed.get(shardItemKey(opened.generation, batch.shard));
  for (const { pk, key, elements, next } of run.works) {
    // Its own item tells the fold of it.
    const except = key === undefined ? pk : undefined;
    keep(
      elements,
      (element) => {
        const { record } = element;
        // One that has a key stands for itself, also where it is rejected because its record kills.
        const asked = key === undefined ? element : { number: element.number, rejection: undefined };
        if (!isRejected(record, asked, except)) {
          if (key === undefined && isWhole(element)) {
            const { position } = run.records[record] as SourceRecord;
            for (const number of own?.elementsOf(position) ?? []) noteElsewhere(run, { record, number });
          }
          return true;
        }
        if (key !== undefined) noteElsewhere(run, element);
        run.fates[record] = (run.fates[record] as number) | FATE.skipped;
        return false;
      },
      next,
    );
  }
  if (run.relayed.length === 0) return;
  const places = new Map(run.records.map(({ position }, index) => [encodeMarkPosition(position), index]));
  keep(run.relayed, ({ entry: { position, element } }) => {
    const index = places.get(encodeMarkPosition(position));
    return index === undefined || !isRejected(index, { number: element, rejection: undefined });
  });
}

/** The element has a letter without a key, or gets one. */
function noteElsewhere({ scope }: BatchRun, { record, number }: Pick<Element, 'record' | 'number'>): void {
  const elsewhere: Map<number, Set<number>> = scope.elsewhere;
  const known = elsewhere.get(record);
  if (known === undefined) elsewhere.set(record, new Set([number]));
  else known.add(number);
}

/** In place, and of any length. @param from what is before it stays. */
function keep<T>(list: T[], isKept: (each: T) => boolean, from = 0): void {
  let kept = from;
  for (let at = from; at < list.length; at++) {
    const each = list[at] as T;
    if (isKept(each)) list[kept++] = each;
  }
  list.length = kept;
}

/** @param except an item that is not asked. */
type IsRejected = (record: number, element: AskedElement, except?: string) => boolean;

/**
 * Whether a record of the batch may have a letter that the items list no more: a restored item's mark stands above what it
 * says is settled.
 */
function hasForgotten({ records, scope, batch }: BatchRun, items: ReadonlyMap<string, StateItem>): boolean {
  const forgetful = new Map<string, StateItem>();
  for (const item of items.values()) {
    const lane = shardOfItem(item.pk);
    const mark = item.marks.get(lane);
    if (mark !== undefined && !isSettled(item, mark.position)) forgetful.set(lane, item);
  }
  if (forgetful.size === 0) return false;
  const mayForget = (lane: string, position: MarkPosition): boolean => {
    const item = forgetful.get(lane);
    return item !== undefined && isAtOrBelow(position, item.marks.get(lane)) && !isSettled(item, position);
  };
  return records.some(({ position }, index) => {
    const place = scope.places[index] as (typeof scope.places)[number];
    if (mayForget(place.lane, place.position)) return true;
    return place.lane !== batch.shard && mayForget(batch.shard, position);
  });
}

/** The own items that may tell of the batch's records. */
async function readItems(
  run: BatchRun,
  told: ReadonlyMap<string, StateItem>,
): Promise<ReadonlyMap<string, StateItem>> {
  const { generation } = run.opened;
  const given = new Map<string, StateItem>();
  for (const pk of itemsOfRejected(run)) {
    const item = told.get(pk);
    if (item !== undefined) given.set(pk, item);
  }
  if (given.size === 0 || hasOneLane(run)) return given;
  return run.runtime.store.load([...lanesOf(run)].map((lane) => shardItemKey(generation, lane)));
}

/** A letter that is committed and not stored is stored with its record in hand, whatever the record is by now (I4). */
function addWorks(run: BatchRun, items: ReadonlyMap<string, StateItem>): void {
  const known = new Set(run.works.map(({ pk }) => pk));
  for (const [pk, item] of items) {
    if (!known.has(pk) && item.outbox.length > 0) run.works.push(shardWork(item));
  }
}

function rejectedIn(
  run: BatchRun,
  items: ReadonlyMap<string, StateItem>,
  listed: ReadonlyMap<string, RejectedRecords>,
): IsRejected {
  const { batch, records, scope } = run;
  const { generation } = run.opened;
  const isIn = (lane: string, position: MarkPosition, element: AskedElement, except?: string): boolean => {
    const pk = shardItemKey(generation, lane);
    const item = pk === except ? undefined : items.get(pk);
    if (item === undefined) return false;
    if (isSettled(item, position)) return true;
    return listed.get(pk)?.has(position, element) === true;
  };
  return (index, element, except) => {
    const { position } = records[index] as (typeof records)[number];
    const place = scope.places[index] as (typeof scope.places)[number];
    if (isIn(place.lane, place.position, element, except)) return true;
    if (place.lane !== batch.shard && isIn(batch.shard, position, element, except)) return true;
    return except === undefined && scope.named?.has(position, element) === true;
  };
}

function hasOneLane({ batch, scope }: BatchRun): boolean {
  return scope.places.every(({ lane }) => lane === batch.shard);
}

/** The lanes of the batch, and that of its shard: what was rejected while the shard was read as one lane is there. */
function lanesOf({ batch, scope }: BatchRun): Set<string> {
  return new Set([batch.shard, ...scope.places.map(({ lane }) => lane)]);
}

/**
 * That there are letters without a key: a batch of many lanes looks into all their items only where there is such a
 * notice. It goes when nothing can come again that was rejected while it stood.
 */
async function readNotice(
  { store }: Pick<Runtime, 'store'>,
  generation: number,
): Promise<StateItem | undefined> {
  const pk = noticeKey(generation);
  return (await store.load([pk])).get(pk);
}

/** Before the first letter without a key is committed. @returns whether the notice is known to be there. */
export async function hasGivenNotice(run: BatchRun): Promise<boolean> {
  run.hasNotice ||= hasOneLane(run) || (await giveNotice(run.runtime, run.opened.generation));
  return run.hasNotice;
}

/** @returns whether it is known to be there. */
export async function giveNotice(
  runtime: Pick<Runtime, 'program' | 'clock' | 'store'>,
  generation: number,
): Promise<boolean> {
  const { program, clock, store } = runtime;
  const nowMs = clock.nowMs();
  const loaded = await readNotice(runtime, generation);
  const keptSeconds = program.horizonSeconds + program.definition.source.retentionHours * 3_600;
  const nowSeconds = Math.ceil(nowMs / 1_000);
  if (loaded?.expiresAtSeconds !== undefined && loaded.expiresAtSeconds > nowSeconds + keptSeconds)
    return true;
  const made = emptyItem(noticeKey(generation), nowMs);
  const item: StateItem = {
    ...made,
    revision: loaded === undefined ? made.revision : loaded.revision + 1,
    expiresAtSeconds: nowSeconds + 2 * keptSeconds + HORIZON_SLACK_SECONDS,
  };
  const [result] = await store.commit([{ item, expectedRevision: loaded?.revision, loaded, spills: false }]);
  if (result === 'committed') return true;
  // Somebody else wrote it, or it has just expired.
  const now = await readNotice(runtime, generation);
  return now?.expiresAtSeconds !== undefined && now.expiresAtSeconds > nowSeconds + keptSeconds;
}

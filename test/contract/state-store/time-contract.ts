import { describe, expect, it } from 'vitest';
import type { TimeDomain } from '../../../shared/pipeline/definition.ts';
import type { Position } from '../../../shared/source/position.ts';
import { costsBetween, NO_COSTS } from '../../../shared/state/cost-counter.ts';
import { DUE_BUCKETS, DUE_KEYS_PER_READ, dueBucketOf } from '../../../shared/state/due-buckets.ts';
import { itemKey, shardItemKey } from '../../../shared/state/row-key.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';
import type { ItemWrite, StateStore, StoreCosts } from '../../../shared/state/state-store.ts';
import { without } from '../../../shared/state/without.ts';
import type { LaneTime } from '../../../shared/time/lane-time.ts';
import type { StateStoreUnderTest } from './state-store-contract.ts';

const SHARD = 'x3Fa_q/0';
const NOON = 1_767_182_400_000;

function at(sequence: string, sub = 0): Position {
  return { sequence, sub };
}

function item(pk: string, changes: Partial<StateItem> = {}): StateItem {
  return {
    pk,
    revision: 1,
    marks: new Map(),
    states: new Map([['count', 1]]),
    versions: new Map([['count', 1]]),
    outbox: [],
    ...changes,
  };
}

function insert(written: StateItem): ItemWrite {
  return { item: written, expectedRevision: undefined, spills: false };
}

/** The write that follows `loaded`, with another due time. */
function rescheduled(loaded: StateItem, dueMs: number | undefined): ItemWrite {
  const item = {
    ...without(loaded, 'dueMs'),
    revision: loaded.revision + 1,
    ...(dueMs !== undefined && { dueMs }),
  };
  return { item, expectedRevision: loaded.revision, loaded, spills: false };
}

async function costsOf(store: StateStore, run: () => Promise<unknown>): Promise<StoreCosts> {
  const before = store.costs();
  await run();
  return costsBetween(before, store.costs());
}

const ONE_WRITE: StoreCosts = { ...NO_COSTS, writes: 1, writeRequests: 1, wcu: 1 };
/** What asking costs where nothing is due. */
const NOTHING_DUE: StoreCosts = { ...NO_COSTS, readRequests: DUE_BUCKETS, rcu: DUE_BUCKETS / 2 };

async function pagesOf(
  store: StateStore,
  generation: number,
  upToMs: number,
  domain?: TimeDomain,
): Promise<string[][]> {
  const pages: string[][] = [];
  for await (const keys of store.due(generation, upToMs, domain)) pages.push([...keys]);
  return pages;
}

async function dueKeys(
  store: StateStore,
  generation: number,
  upToMs: number,
  domain?: TimeDomain,
): Promise<string[]> {
  return (await pagesOf(store, generation, upToMs, domain)).flat().sort();
}

/** Keys that stand in one part of the index. */
function keysOfOnePart(generation: number, count: number): string[] {
  const part = dueBucketOf(itemKey(generation, 'key 0'));
  const keys: string[] = [];
  for (let number = 0; keys.length < count; number++) {
    const pk = itemKey(generation, `key ${number}`);
    if (dueBucketOf(pk) === part) keys.push(pk);
  }
  return keys;
}

/** What every version of the store keeps of event time, and how it tells what is due. */
export function timeContract(under: StateStoreUnderTest): void {
  const storeOf = async (): Promise<StateStore> => (await under.make()).store;

  describe('the event time of a shard', () => {
    const open = async (): Promise<StateStore> => {
      const store = await storeOf();
      await store.readControl();
      await store.createProgress(1, SHARD);
      return store;
    };
    const advanceTo = (store: StateStore, position: Position | undefined, time?: LaneTime) =>
      store.advance(1, SHARD, {
        first: at('1'),
        records: 1,
        endedTurns: [],
        ...(position !== undefined && { position }),
        ...(time !== undefined && { time }),
      });

    it.each<LaneTime>([
      { highestMs: 0 },
      { highestMs: NOON },
      { highestMs: NOON, interval: 29_453_040 },
      { highestMs: NOON, beforeMs: NOON - 1, interval: 29_453_040 },
    ])('is written with the position, in the same write: %j', async (time) => {
      const store = await open();
      const costs = await costsOf(store, () => advanceTo(store, at('7'), time));
      expect(costs).toEqual(ONE_WRITE);
      expect(await store.readProgress(1, SHARD)).toMatchObject({ position: at('7') });
      expect((await store.readProgress(1, SHARD))?.time).toStrictEqual(time);
      const begun = await store.beginAttempt(1, SHARD, at('8'));
      expect(begun.kind === 'open' && begun.progress.time).toStrictEqual(time);
    });

    it('stays with the position where a batch goes back, or has none (I2)', async () => {
      const store = await open();
      await advanceTo(store, at('7'), { highestMs: NOON });
      for (const position of [at('7'), at('6'), undefined]) {
        await advanceTo(store, position, { highestMs: NOON + 1 });
        expect(await store.readProgress(1, SHARD)).toMatchObject({
          position: at('7'),
          time: { highestMs: NOON },
        });
      }
    });

    it('stays where a batch knows none', async () => {
      const store = await open();
      await advanceTo(store, at('7'), { highestMs: NOON });
      await advanceTo(store, at('8'));
      expect(await store.readProgress(1, SHARD)).toMatchObject({
        position: at('8'),
        time: { highestMs: NOON },
      });
    });

    it('is there from the beginning in a row that is made with one', async () => {
      const store = await storeOf();
      await store.readControl();
      const given = {
        position: at('7'),
        time: { highestMs: NOON, beforeMs: 5, interval: 7 },
        liftedMs: NOON + 1,
      };
      expect(await store.createProgress(1, SHARD, given)).toBe('created');
      expect(await store.readProgress(1, SHARD)).toMatchObject(given);
      expect(await store.beginAttempt(1, SHARD, at('8'))).toMatchObject({ kind: 'open', progress: given });
    });

    it('is lifted at the position that the shard has, in one write, and never lowered', async () => {
      const store = await open();
      await advanceTo(store, at('7'), { highestMs: NOON });
      for (const liftedMs of [0, NOON]) {
        const lifting = await costsOf(store, async () =>
          expect(await store.liftTime(1, SHARD, at('7'), liftedMs)).toBe(true),
        );
        expect(lifting).toEqual(ONE_WRITE);
        expect(await store.readProgress(1, SHARD)).toMatchObject({ liftedMs, time: { highestMs: NOON } });
      }
      for (const liftedMs of [NOON, NOON - 1]) {
        const refusing = await costsOf(store, async () =>
          expect(await store.liftTime(1, SHARD, at('7'), liftedMs)).toBe(false),
        );
        expect(refusing).toEqual(ONE_WRITE);
        expect((await store.readProgress(1, SHARD))?.liftedMs).toBe(NOON);
      }
      await advanceTo(store, at('8'), { highestMs: NOON + 1 });
      expect(await store.readProgress(1, SHARD)).toMatchObject({
        position: at('8'),
        time: { highestMs: NOON + 1 },
        liftedMs: NOON,
      });
    });

    it('is lifted in a shard without a position, where it is known to have none', async () => {
      const store = await open();
      expect(await store.liftTime(1, SHARD, at('7'), NOON)).toBe(false);
      expect(await store.liftTime(1, SHARD, undefined, NOON)).toBe(true);
      const progress = await store.readProgress(1, SHARD);
      expect(progress).toMatchObject({ liftedMs: NOON, records: 0 });
      expect(progress).not.toHaveProperty('position');
      expect(progress).not.toHaveProperty('time');
    });

    it.each([
      ['a later one', at('8')],
      ['an earlier one', at('6')],
      ['a sub-record of it', at('7', 1)],
      ['none', undefined],
    ])('is not lifted at %s than the shard has', async (_, position) => {
      const store = await open();
      await advanceTo(store, at('7'), { highestMs: NOON });
      expect(await costsOf(store, () => store.liftTime(1, SHARD, position, NOON + 1))).toEqual(ONE_WRITE);
      expect(await store.liftTime(1, SHARD, position, NOON + 1)).toBe(false);
      expect(await store.readProgress(1, SHARD)).not.toHaveProperty('liftedMs');
    });

    it('is not lifted in a row that is missing, and none is made by trying', async () => {
      const store = await storeOf();
      const costs = await costsOf(store, async () =>
        expect(await store.liftTime(1, SHARD, undefined, NOON)).toBe(false),
      );
      expect(costs).toEqual(ONE_WRITE);
      expect(await store.readProgress(1, SHARD)).toBeUndefined();
    });
  });

  describe('what is due', () => {
    const bill = under.leavesIndexUnbilled === undefined;
    const unbilled = under.leavesIndexUnbilled === undefined ? '' : ` (${under.leavesIndexUnbilled})`;

    it('is nothing where nothing waits, at half a unit for each part of the index', async () => {
      const store = await storeOf();
      await store.commit([insert(item(itemKey(1, 'a'), { firedMs: NOON }))]);
      for (const upToMs of [0, NOON, Infinity, -Infinity]) {
        const costs = await costsOf(store, async () => expect(await pagesOf(store, 1, upToMs)).toEqual([]));
        expect(costs).toEqual(NOTHING_DUE);
      }
    });

    it('is each item whose time has come, that time included, and no item of another generation', async () => {
      const store = await storeOf();
      const items = [
        item(itemKey(1, 'fired and not published'), { dueMs: 0, firedMs: NOON }),
        item(itemKey(1, 'before'), { dueMs: NOON - 1 }),
        item(itemKey(1, 'at noon'), { dueMs: NOON }),
        item(shardItemKey(1, SHARD), { dueMs: NOON }),
        item(itemKey(1, 'after'), { dueMs: NOON + 1 }),
        item(itemKey(1, 'never')),
        ...['at noon', 'before'].flatMap((key) =>
          [2, 11].map((generation) => item(itemKey(generation, key), { dueMs: NOON })),
        ),
      ];
      await store.commit(items.map(insert));
      const due = [itemKey(1, 'fired and not published'), itemKey(1, 'before'), itemKey(1, 'at noon')];
      due.push(shardItemKey(1, SHARD));
      const costs = await costsOf(store, async () =>
        expect(await dueKeys(store, 1, NOON)).toEqual(due.sort()),
      );
      expect(costs).toEqual({ ...NOTHING_DUE, reads: 4 });
      expect(await dueKeys(store, 1, NOON - 1)).toEqual(
        [itemKey(1, 'before'), itemKey(1, 'fired and not published')].sort(),
      );
      expect(await dueKeys(store, 1, 0)).toEqual([itemKey(1, 'fired and not published')]);
      expect(await dueKeys(store, 1, -Infinity)).toEqual([]);
      expect(await dueKeys(store, 1, Infinity)).toEqual([...due, itemKey(1, 'after')].sort());
      expect(await dueKeys(store, 2, NOON)).toEqual([itemKey(2, 'at noon'), itemKey(2, 'before')]);
      expect(await dueKeys(store, 3, NOON)).toEqual([]);
    });

    it('is told the earliest first in each part, on more than one page', async () => {
      const store = await storeOf();
      const keys = keysOfOnePart(1, DUE_KEYS_PER_READ + 20);
      // Neither in the order of the keys nor in that of the digits.
      const items = keys.map((pk, place) => item(pk, { dueMs: (place * 7919) % keys.length }));
      const other = Array.from({ length: 20 }, (_, number) => itemKey(1, `other ${number}`)).find(
        (pk) => dueBucketOf(pk) !== dueBucketOf(keys[0] ?? ''),
      );
      await store.commit([...items, item(other ?? '', { dueMs: 5 })].map(insert));
      let pages: string[][] = [];
      const costs = await costsOf(store, async () => (pages = await pagesOf(store, 1, keys.length)));
      const ofPart = pages.filter(([pk]) => pk !== other);
      const inOrder = [...items].sort((a, b) => (a.dueMs ?? 0) - (b.dueMs ?? 0)).map(({ pk }) => pk);
      expect(ofPart).toEqual([inOrder.slice(0, DUE_KEYS_PER_READ), inOrder.slice(DUE_KEYS_PER_READ)]);
      // No part waits for the second page of another.
      expect(pages.findIndex(([pk]) => pk === other)).toBeLessThan(2);
      expect(costs).toMatchObject({ reads: keys.length + 1, readRequests: DUE_BUCKETS + 1 });
      expect(costs.rcu).toBeGreaterThan(NOTHING_DUE.rcu);
    });

    it('is not an item that waits no more, nor one that is looked for before its new time', async () => {
      const store = await storeOf();
      const first = item(itemKey(1, 'a'), { dueMs: 5, firedMs: 3 });
      await store.commit([insert(first)]);
      const later = rescheduled(first, 9);
      expect(await store.commit([later])).toEqual(['committed']);
      expect(await dueKeys(store, 1, 8)).toEqual([]);
      expect(await dueKeys(store, 1, 9)).toEqual([first.pk]);
      const earlier = rescheduled(later.item, 2);
      await store.commit([earlier]);
      expect(await pagesOf(store, 1, 100)).toEqual([[first.pk]]);
      const ended = rescheduled(earlier.item, undefined);
      expect(await store.commit([ended])).toEqual(['committed']);
      expect(await dueKeys(store, 1, 100)).toEqual([]);
      expect((await store.load([first.pk])).get(first.pk)).toStrictEqual(ended.item);
    });

    it('is not changed by a write that conflicts', async () => {
      const store = await storeOf();
      const stored = item(itemKey(1, 'a'), { dueMs: 5 });
      await store.commit([insert(stored)]);
      const stale = rescheduled({ ...stored, revision: 7 }, 2);
      const costs = await costsOf(store, async () =>
        expect(await store.commit([stale, insert(item(itemKey(1, 'b')))])).toEqual(['conflict', 'committed']),
      );
      expect(costs.wcu).toBe(2);
      expect(await dueKeys(store, 1, 4)).toEqual([]);
      expect(await dueKeys(store, 1, 5)).toEqual([stored.pk]);
    });

    it('comes back whole with its item, and goes with it', async () => {
      const store = await storeOf();
      const stored = item(itemKey(1, 'a'), { dueMs: NOON, firedMs: NOON - 1 });
      await store.commit([insert(stored)]);
      expect((await store.load([stored.pk])).get(stored.pk)).toStrictEqual(stored);
      const { pk, revision } = stored;
      const emptied = item(pk, { revision: revision + 1, states: new Map(), versions: new Map() });
      await store.commit([{ ...insert(emptied), expectedRevision: revision, loaded: stored }]);
      expect((await store.load([pk])).get(pk)).toStrictEqual(emptied);
    });

    it('by the clock stands in an index of its own, beside what is due by event time', async () => {
      const store = await storeOf();
      const byClock = item(itemKey(1, 'clock'), { processingDueMs: NOON, processingFiredMs: NOON - 1 });
      const byBoth = item(itemKey(1, 'both'), { dueMs: 7, firedMs: 3, processingDueMs: NOON + 5 });
      const byEvent = item(itemKey(1, 'event'), { dueMs: 9 });
      await store.commit([byClock, byBoth, byEvent].map(insert));
      expect(await dueKeys(store, 1, NOON + 9)).toEqual([byBoth.pk, byEvent.pk]);
      const costs = await costsOf(store, async () =>
        expect(await dueKeys(store, 1, NOON + 4, 'processing')).toEqual([byClock.pk]),
      );
      expect(costs).toEqual({ ...NOTHING_DUE, reads: 1 });
      expect(await dueKeys(store, 1, NOON + 5, 'processing')).toEqual([byBoth.pk, byClock.pk]);
      expect(await dueKeys(store, 2, Infinity, 'processing')).toEqual([]);
      const loaded = await store.load([byClock.pk, byBoth.pk]);
      expect([loaded.get(byClock.pk), loaded.get(byBoth.pk)]).toStrictEqual([byClock, byBoth]);

      const left = { ...without(byBoth, 'processingDueMs'), revision: 2, processingFiredMs: NOON + 5 };
      await store.commit([{ item: left, expectedRevision: 1, loaded: byBoth, spills: false }]);
      expect(await dueKeys(store, 1, Infinity, 'processing')).toEqual([byClock.pk]);
      expect(await dueKeys(store, 1, 7)).toEqual([byBoth.pk]);
      expect((await store.load([left.pk])).get(left.pk)).toStrictEqual(left);
    });

    it.skipIf(!bill)(
      `costs a unit where an item comes to the index or leaves it, two where its time changes, and none else${unbilled}`,
      async () => {
        const store = await storeOf();
        let stored = item(itemKey(1, 'a'));
        const unitsOf = async (write: ItemWrite): Promise<number> => {
          const { wcu } = await costsOf(store, () => store.commit([write]));
          stored = write.item;
          return wcu;
        };
        expect(await unitsOf(insert(stored))).toBe(1);
        expect(await unitsOf(rescheduled(stored, 5))).toBe(2);
        expect(await unitsOf(rescheduled(stored, 5))).toBe(1);
        expect(await unitsOf(rescheduled(stored, 6))).toBe(3);
        expect(await unitsOf(rescheduled(stored, undefined))).toBe(2);
        expect(await unitsOf(rescheduled(stored, undefined))).toBe(1);
        expect(await unitsOf(insert(item(itemKey(1, 'b'), { dueMs: 0 })))).toBe(2);
        // The entry holds the key, which may take more than a unit; and so may the item.
        expect(await unitsOf(insert(item(itemKey(1, 'x'.repeat(1_500)), { dueMs: 5 })))).toBe(4);
        expect(await unitsOf(insert(item(itemKey(1, 'c'), { dueMs: 0, processingDueMs: 5 })))).toBe(3);
      },
    );
  });
}

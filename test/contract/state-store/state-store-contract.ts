import { describe, expect, it } from 'vitest';
import { encodePosition, type Position } from '../../../shared/source/position.ts';
import { canonicalDocument } from '../../../shared/state/canonical-document.ts';
import { costsBetween, NO_COSTS } from '../../../shared/state/cost-counter.ts';
import type { Document } from '../../../shared/state/document.ts';
import type { Letters } from '../../../shared/state/letters.ts';
import { itemKey, shardItemKey } from '../../../shared/state/row-key.ts';
import type { Mark, OutboxEntry, StateItem } from '../../../shared/state/state-item.ts';
import type {
  Advance,
  Control,
  ItemWrite,
  StateStore,
  StoreCosts,
} from '../../../shared/state/state-store.ts';

/** What the suite has to know about a version of the store. */
export interface StateStoreUnderTest {
  /** A store on a table of its own, empty. */
  make(): Promise<{ store: StateStore; setControl: (control: Control) => Promise<void> }>;
  /** How many writes go into one request. */
  readonly writesPerRequest: number;
  /** Units that the engine reports for a transaction that checks one small row and writes another. */
  readonly createProgress: Pick<StoreCosts, 'reads' | 'rcu' | 'wcu'> & Partial<Pick<StoreCosts, 'writes'>>;
  /** Why the engine loses a property named `__proto__` inside a document, where it does. */
  readonly losesProtoName?: string;
  /** Why the engine does not report what the index of what is due costs, where it does not. */
  readonly leavesIndexUnbilled?: string;
}

const SHARD = 'shardId-000000000000';
const FIRST = at('49590338271490256608559692538361571095921575989136588898');

function at(sequence: string, sub = 0): Position {
  return { sequence, sub };
}

function item(pk: string, changes: Partial<StateItem> = {}): StateItem {
  return {
    pk,
    revision: 1_700_000_000,
    marks: new Map([[`flights/${SHARD}`, { position: FIRST, arrivalSeconds: 1_700_000_000 }]]),
    states: new Map([['count', 1]]),
    versions: new Map([['count', 1]]),
    outbox: [],
    ...changes,
  };
}

function insert(written: StateItem): ItemWrite {
  return { item: written, expectedRevision: undefined, spills: false };
}

/** The write that follows `loaded`, one revision up. */
function next(loaded: StateItem, changes: Partial<StateItem> = {}): ItemWrite {
  return {
    item: { ...loaded, revision: loaded.revision + 1, ...changes },
    expectedRevision: loaded.revision,
    loaded,
    spills: false,
  };
}

function advance(changes: Partial<Advance> = {}): Advance {
  return { first: FIRST, records: 0, endedTurns: [], ...changes };
}

async function costsOf(store: StateStore, run: () => Promise<unknown>): Promise<StoreCosts> {
  const before = store.costs();
  await run();
  return costsBetween(before, store.costs());
}

const ONE_WRITE: StoreCosts = { ...NO_COSTS, writes: 1, writeRequests: 1, wcu: 1 };
const TWO_WRITES = { writes: 2, writeRequests: 2, wcu: 2 };

const DOCUMENTS: readonly [name: string, document: Document][] = [
  ['null', null],
  ['true', true],
  ['false', false],
  ['zero', 0],
  ['an integer', 42],
  ['the largest safe integer', Number.MAX_SAFE_INTEGER],
  ['a negative fraction', -0.1],
  ['a fraction of 17 digits', 0.1 + 0.2],
  ['a very large number', 1.7976931348623155e125],
  ['a very small number', -1e-130],
  ['a small bigint', 5n],
  ['a bigint of 38 digits', -(10n ** 38n - 1n)],
  ['a bigint that ends in zeros', 10n ** 37n],
  ['a string', 'Zürich 東京 ✈️'],
  ['an empty string', ''],
  ['bytes', new Uint8Array([0, 1, 254, 255])],
  ['no bytes', new Uint8Array()],
  ['an empty list', []],
  ['an empty map', {}],
  ['a list of all sorts', [1, 'a', null, [2n, []], { b: false }]],
  ['a nested map', { z: { y: { x: [{ w: 1.5 }] } }, a: -7, 'a.b': '', '': undefined as unknown as Document }],
  ['names that look like numbers', { 10: 'ten', 9: 'nine', x: 'x' }],
];

/** The behaviour that every version of the store has. */
export function stateStoreContract(under: StateStoreUnderTest): void {
  const storeOf = async (): Promise<StateStore> => (await under.make()).store;

  describe('load', () => {
    it('gives nothing for keys that were never written, and for none', async () => {
      const store = await storeOf();
      expect(await store.load([itemKey(1, 'a'), itemKey(1, 'b')])).toEqual(new Map());
      expect(await store.load([])).toEqual(new Map());
    });

    it('gives 250 items of 250 keys, in three requests, and names no missing one', async () => {
      const store = await storeOf();
      const items = Array.from({ length: 250 }, (_, index) => item(itemKey(1, `key ${index}`)));
      await store.commit(items.map(insert));
      const keys = items.map(({ pk }) => pk);
      let loaded = new Map<string, StateItem>();
      const costs = await costsOf(store, async () => (loaded = await store.load(keys)));
      expect([...loaded.keys()].sort()).toEqual([...keys].sort());
      expect(loaded.get(keys[249] as string)).toEqual(items[249]);
      expect(costs).toEqual({ ...NO_COSTS, reads: 250, readRequests: 3, rcu: 250 });
      expect((await store.load([...keys.slice(0, 120), itemKey(1, 'none')])).size).toBe(120);
    });

    it('takes the same key twice', async () => {
      const store = await storeOf();
      const pk = itemKey(1, 'a');
      await store.commit([insert(item(pk))]);
      const costs = await costsOf(store, async () => expect((await store.load([pk, pk])).size).toBe(1));
      expect(costs).toEqual({ ...NO_COSTS, reads: 1, readRequests: 1, rcu: 1 });
    });

    it('gives items that together exceed what one answer holds', async () => {
      const store = await storeOf();
      const items = Array.from({ length: 8 }, (_, index) =>
        item(itemKey(1, `large ${index}`), { states: new Map([['text', 'x'.repeat(300_000)]]) }),
      );
      await store.commit(items.map(insert));
      const loaded = await store.load(items.map(({ pk }) => pk));
      expect(items.map(({ pk }) => loaded.get(pk)?.states.get('text'))).toEqual(
        items.map(({ states }) => states.get('text')),
      );
    });

    it('refuses a key that UTF-8 cannot express, and one that is too long', async () => {
      const store = await storeOf();
      await expect(store.load([itemKey(1, '\ud800')])).rejects.toThrow(/lone surrogate/);
      await expect(store.load([itemKey(1, 'x'.repeat(2048))])).rejects.toThrow(/2052 bytes/);
    });
  });

  describe('commit', () => {
    it('commits nothing for no write', async () => {
      const store = await storeOf();
      expect(await costsOf(store, async () => expect(await store.commit([])).toEqual([]))).toEqual(NO_COSTS);
    });

    it('commits 60 writes in order, at one unit each', async () => {
      const store = await storeOf();
      const items = Array.from({ length: 60 }, (_, index) => item(itemKey(1, `key ${index}`)));
      const inserting = await costsOf(store, async () =>
        expect(await store.commit(items.map(insert))).toEqual(items.map(() => 'committed')),
      );
      const writeRequests = Math.ceil(60 / under.writesPerRequest);
      expect(inserting).toEqual({ ...NO_COSTS, writes: 60, writeRequests, wcu: 60 });
      const updating = await costsOf(store, async () =>
        expect(await store.commit(items.map((loaded) => next(loaded)))).toEqual(items.map(() => 'committed')),
      );
      expect(updating).toEqual({ ...NO_COSTS, writes: 60, writeRequests, wcu: 60 });
    });

    it('says conflict for an item that is there already, and keeps it', async () => {
      const store = await storeOf();
      const stored = item(itemKey(1, 'a'));
      await store.commit([insert(stored)]);
      const other = insert(item(stored.pk, { states: new Map([['count', 99]]) }));
      const costs = await costsOf(store, async () =>
        expect(await store.commit([other])).toEqual(['conflict']),
      );
      expect(costs).toEqual(ONE_WRITE);
      expect(await store.load([stored.pk])).toEqual(new Map([[stored.pk, stored]]));
    });

    it('says conflict for a revision that is not the stored one, and keeps the item', async () => {
      const store = await storeOf();
      const stored = item(itemKey(1, 'a'));
      await store.commit([insert(stored)]);
      const stale = next({ ...stored, revision: stored.revision - 1 });
      const costs = await costsOf(store, async () =>
        expect(await store.commit([stale])).toEqual(['conflict']),
      );
      expect(costs).toEqual(ONE_WRITE);
      expect(await store.load([stored.pk])).toEqual(new Map([[stored.pk, stored]]));
    });

    it('says conflict for a revision of an item that is gone, and makes none', async () => {
      const store = await storeOf();
      const gone = item(itemKey(1, 'a'));
      expect(await store.commit([next(gone)])).toEqual(['conflict']);
      expect(await store.load([gone.pk])).toEqual(new Map());
    });

    it('commits one of two writers of the same revision', async () => {
      const store = await storeOf();
      const stored = item(itemKey(1, 'a'));
      await store.commit([insert(stored)]);
      const [winner, loser] = ['winner', 'loser'].map((name) =>
        next(stored, { states: new Map([['count', name]]) }),
      );
      expect(await store.commit([winner as ItemWrite])).toEqual(['committed']);
      expect(await store.commit([loser as ItemWrite])).toEqual(['conflict']);
      expect((await store.load([stored.pk])).get(stored.pk)).toEqual(winner?.item);
    });

    it('commits the other writes of a request in whose middle one conflicts', async () => {
      const store = await storeOf();
      const items = Array.from({ length: 60 }, (_, index) => item(itemKey(1, `key ${index}`)));
      const taken = new Set([0, 30, 59]);
      await store.commit(items.filter((_, index) => taken.has(index)).map(insert));
      const results = await store.commit(
        items.map((written) => insert({ ...written, states: new Map([['count', 2]]) })),
      );
      expect(results).toEqual(items.map((_, index) => (taken.has(index) ? 'conflict' : 'committed')));
      const loaded = await store.load(items.map(({ pk }) => pk));
      expect(items.map(({ pk }) => loaded.get(pk)?.states.get('count'))).toEqual(
        items.map((_, index) => (taken.has(index) ? 1 : 2)),
      );
    });

    it('mixes items that are absent and items that are present', async () => {
      const store = await storeOf();
      const present = item(itemKey(1, 'present'));
      await store.commit([insert(present)]);
      const writes = [
        insert(item(itemKey(1, 'absent'))),
        next(present),
        insert(item(itemKey(1, 'absent too'))),
      ];
      expect(await store.commit(writes)).toEqual(['committed', 'committed', 'committed']);
      const loaded = await store.load(writes.map((write) => write.item.pk));
      expect(loaded).toEqual(new Map(writes.map((write) => [write.item.pk, write.item])));
    });

    it('refuses two writes of one key, and writes none', async () => {
      const store = await storeOf();
      const written = insert(item(itemKey(1, 'a')));
      await expect(store.commit([written, written])).rejects.toThrow(/twice/);
      expect(await store.load([written.item.pk])).toEqual(new Map());
    });

    it('refuses an item above 400 KB, and writes none of the others', async () => {
      const store = await storeOf();
      const writes = [
        insert(item(itemKey(1, 'small'))),
        insert(item(itemKey(1, 'large'), { states: new Map([['text', 'x'.repeat(409_600)]]) })),
      ];
      await expect(store.commit(writes)).rejects.toThrow(
        /Item "1\/s\/…" \(key \S{11}\) is too large: it has 4\d{5} bytes/,
      );
      expect(await store.load(writes.map((write) => write.item.pk))).toEqual(new Map());
    });

    it('bills the larger of the item before and after', async () => {
      const store = await storeOf();
      const large = item(itemKey(1, 'a'), { states: new Map([['text', 'x'.repeat(2500)]]) });
      expect((await costsOf(store, () => store.commit([insert(large)]))).wcu).toBe(3);
      const shrinking = next(large, { states: new Map([['text', 'x']]) });
      expect((await costsOf(store, () => store.commit([shrinking]))).wcu).toBe(3);
      expect((await costsOf(store, () => store.commit([next(shrinking.item)]))).wcu).toBe(1);
    });

    it('bills reads by 4 KB', async () => {
      const store = await storeOf();
      const large = item(itemKey(1, 'a'), { states: new Map([['text', 'x'.repeat(9000)]]) });
      await store.commit([insert(large)]);
      expect((await costsOf(store, () => store.load([large.pk]))).rcu).toBe(3);
    });
  });

  describe('keys', () => {
    const keys: readonly [name: string, key: string][] = [
      ['__proto__', '__proto__'],
      ['empty', ''],
      ['an emoji', '👩‍✈️'],
      ['2,000 bytes long', 'é'.repeat(1000)],
      ['with slashes and quotes', `2/s/'"x"' ? --`],
    ];
    it.each(keys)('may be %s', async (_, key) => {
      const store = await storeOf();
      const stored = item(itemKey(1, key));
      expect(await store.commit([insert(stored)])).toEqual(['committed']);
      expect(await store.commit([next(stored)])).toEqual(['committed']);
      expect(await store.load([stored.pk])).toEqual(new Map([[stored.pk, next(stored).item]]));
    });

    it('of items and of shards, and of two generations, stay apart', async () => {
      const store = await storeOf();
      const items = [itemKey(1, 'a'), itemKey(2, 'a'), shardItemKey(1, 'a')].map((pk, index) =>
        item(pk, { states: new Map([['count', index]]) }),
      );
      await store.commit(items.map(insert));
      expect(await store.load(items.map(({ pk }) => pk))).toEqual(
        new Map(items.map((each) => [each.pk, each])),
      );
    });
  });

  describe('an item comes back whole', () => {
    const roundTrip = async (written: StateItem): Promise<StateItem | undefined> => {
      const store = await storeOf();
      expect(await store.commit([insert(item(written.pk))])).toEqual(['committed']);
      expect(await store.commit([{ ...next(item(written.pk)), item: written }])).toEqual(['committed']);
      return (await store.load([written.pk])).get(written.pk);
    };
    const pk = itemKey(1, 'a');

    it.each(DOCUMENTS)('with a state that is %s', async (_, document) => {
      const canonical = canonicalDocument(document).document;
      const states = new Map([['state', canonical]]);
      const loaded = await roundTrip(item(pk, { revision: 1_700_000_001, states }));
      expect(loaded?.states.get('state')).toStrictEqual(canonical);
    });

    it('with the names of its states in one order, however they were written', async () => {
      const state = { b: 1, a: { d: 1, c: 2 }, é: 0, Z: 0 };
      const loaded = await roundTrip(item(pk, { states: new Map([['state', state]]) }));
      expect(JSON.stringify(loaded?.states.get('state'))).toBe('{"Z":0,"a":{"c":2,"d":1},"b":1,"é":0}');
    });

    it.skipIf(under.losesProtoName !== undefined)(
      `with a property named __proto__${under.losesProtoName === undefined ? '' : ` (${under.losesProtoName})`}`,
      async () => {
        const { document } = canonicalDocument(JSON.parse('{"__proto__":{"polluted":true},"a":1}'));
        const loaded = await roundTrip(item(pk, { states: new Map([['state', document]]) }));
        const state = loaded?.states.get('state') as Record<string, Document>;
        expect(Object.keys(state)).toEqual(['__proto__', 'a']);
        expect(Object.getPrototypeOf(state)).toBe(Object.prototype);
        expect(state['polluted']).toBeUndefined();
      },
    );

    it('with the deepest state that is allowed', async () => {
      let deep: unknown = 1;
      for (let level = 0; level < 30; level++) deep = level % 2 === 0 ? [deep] : { deep };
      const { document } = canonicalDocument(deep);
      const loaded = await roundTrip(item(pk, { states: new Map([['state', document]]) }));
      expect(loaded?.states.get('state')).toStrictEqual(document);
    });

    it('with its revision, its marks and its versions', async () => {
      const marks = new Map<string, Mark>([
        ['flights/shardId-000000000000', { position: at('9'), arrivalSeconds: 0 }],
        [
          'flights/shardId-000000000001',
          { position: at(`1${'0'.repeat(128)}`, 12), arrivalSeconds: 1_700_000_000 },
        ],
        ['redrive/x.y@z', { position: FIRST, arrivalSeconds: 4_102_444_800 }],
        ['aHashOfA-lane_16', { position: { ...FIRST, element: 0, index: 0 }, arrivalSeconds: 1 }],
        ['another-lane', { position: { ...at('7', 3), element: 12, index: 345 }, arrivalSeconds: 2 }],
      ]);
      const written = item(pk, {
        revision: Number.MAX_SAFE_INTEGER,
        marks,
        states: new Map<string, Document>([
          ['delays', { count: 1 }],
          ['last seen', 'x'],
        ]),
        versions: new Map([
          ['delays', 1],
          ['last seen', 3],
          ['removed', 1],
        ]),
      });
      expect(await roundTrip(written)).toStrictEqual(written);
    });

    it('with every form of outbox entry, in order', async () => {
      const base = { lane: `flights/${SHARD}`, position: FIRST };
      const output = {
        kind: 'output',
        sink: 'delays',
        destinationKey: 'ORD',
        revision: 7,
        arrivalMs: 1_700_000_000_123,
      } as const;
      const outbox: OutboxEntry[] = [
        { ...output, ...base, element: 0, index: 0, isChange: true, value: { stateOf: 'count' } },
        { ...output, ...base, element: 3, index: 2, isChange: false, value: { json: '{"a":[1,"é"]}' } },
        {
          ...output,
          ...base,
          element: 0,
          index: 0,
          isChange: false,
          destinationKey: '',
          value: { json: '""' },
        },
        {
          ...output,
          ...base,
          element: 1,
          index: 0,
          isChange: false,
          originArrivalMs: 1_600_000_000_001,
          value: { json: '1' },
        },
        {
          kind: 'deadLetter',
          ...base,
          element: 0,
          number: 0,
          stage: 'fold',
          reason: 'TypeError: x is not a function',
        },
        {
          kind: 'deadLetter',
          ...base,
          element: 0,
          number: 2,
          stage: 'schema',
          reason: 'x',
          arrivalMs: 1_700_000_000_123,
        },
        {
          kind: 'deadLetter',
          ...base,
          position: at('12', 7),
          element: 1,
          number: 17,
          stage: 'decode',
          reason: '',
        },
      ];
      const origin = { lane: 'x3Fa_q/2', position: at('12', 7) };
      outbox.push(...outbox.map((entry) => ({ ...entry, origin })));
      const written = item(pk, { outbox });
      expect(await roundTrip(written)).toStrictEqual(written);
    });

    it.each<Letters>([
      { next: 0, closed: [] },
      { next: 9_007_199_254_740_991, closed: [{ from: 0, below: 12 }] },
      {
        next: 30,
        closed: [
          { from: 3, below: 4 },
          { from: 8, below: 29 },
        ],
        parkedFrom: 5,
      },
    ])('with what became of its dead letters: %j', async (letters) => {
      const written = item(pk, { letters });
      expect(await roundTrip(written)).toStrictEqual(written);
    });

    it('as a tombstone with its expiry, and again with a state and without an expiry', async () => {
      const store = await storeOf();
      const live = item(pk, { versions: new Map([['count', 2]]), outbox: [] });
      const tombstone = next(live, { states: new Map(), expiresAtSeconds: 1_800_000_000 });
      const revived: StateItem = { ...live, revision: tombstone.item.revision + 1 };
      for (const write of [
        insert(live),
        tombstone,
        { item: revived, expectedRevision: tombstone.item.revision, spills: false },
      ]) {
        expect(await store.commit([write])).toEqual(['committed']);
        expect((await store.load([pk])).get(pk)).toStrictEqual(write.item);
      }
    });

    it('without the outbox and the versions that an earlier revision had', async () => {
      const store = await storeOf();
      const full = item(pk, {
        versions: new Map([['count', 2]]),
        outbox: [
          {
            kind: 'deadLetter',
            number: 0,
            lane: SHARD,
            position: FIRST,
            element: 0,
            stage: 'schema',
            reason: 'no origin',
          },
        ],
      });
      await store.commit([insert(full)]);
      const emptied = next(full, { versions: new Map([['count', 1]]), outbox: [] });
      expect(await store.commit([emptied])).toEqual(['committed']);
      expect((await store.load([pk])).get(pk)).toStrictEqual(emptied.item);
    });

    it('and does not change when the item that was written or loaded is changed', async () => {
      const store = await storeOf();
      const state = { bytes: new Uint8Array([1]), list: [1] };
      await store.commit([insert(item(pk, { states: new Map([['state', state]]) }))]);
      state.bytes[0] = 2;
      state.list.push(2);
      const loaded = (await store.load([pk])).get(pk)?.states.get('state') as typeof state;
      loaded.bytes[0] = 3;
      loaded.list.push(3);
      expect((await store.load([pk])).get(pk)?.states.get('state')).toStrictEqual({
        bytes: new Uint8Array([1]),
        list: [1],
      });
    });
  });

  describe('the control row', () => {
    it('is made with generation 1 where there is none, and stays', async () => {
      const store = await storeOf();
      const first: Control = { generation: 1, nextGeneration: 2, phase: 'live' };
      const making = await costsOf(store, async () => expect(await store.readControl()).toEqual(first));
      expect(making).toEqual({ ...ONE_WRITE, reads: 1, readRequests: 1, rcu: 1 });
      const reading = await costsOf(store, async () => expect(await store.readControl()).toEqual(first));
      expect(reading).toEqual({ ...NO_COSTS, reads: 1, readRequests: 1, rcu: 1 });
    });

    it('is read as it stands', async () => {
      const { store, setControl } = await under.make();
      const control: Control = { generation: 7, nextGeneration: 9, phase: 'replay' };
      await setControl(control);
      expect(await store.readControl()).toEqual(control);
    });
  });

  describe('a progress row', () => {
    const open = async (): Promise<StateStore> => {
      const store = await storeOf();
      await store.readControl();
      expect(await store.createProgress(1, SHARD)).toBe('created');
      return store;
    };

    it('is made once', async () => {
      const store = await storeOf();
      await store.readControl();
      const costs = await costsOf(store, async () =>
        expect(await store.createProgress(1, SHARD)).toBe('created'),
      );
      const { reads, rcu, wcu, writes = 1 } = under.createProgress;
      expect(costs).toEqual({
        ...ONE_WRITE,
        writes,
        writeRequests: writes,
        reads,
        readRequests: reads,
        wcu,
        rcu,
      });
      expect(await store.createProgress(1, SHARD)).toBe('exists');
      expect(await store.createProgress(1, 'shardId-000000000001')).toBe('created');
    });

    it('is refused without a control row, in another generation and during a replay (I7)', async () => {
      const { store, setControl } = await under.make();
      expect(await store.createProgress(1, SHARD)).toBe('refused');
      await store.readControl();
      expect(await store.createProgress(2, SHARD)).toBe('refused');
      await setControl({ generation: 1, nextGeneration: 2, phase: 'replay' });
      expect(await store.createProgress(1, SHARD)).toBe('refused');
      expect(await store.readProgress(1, SHARD)).toBeUndefined();
      expect(await store.readProgress(2, SHARD)).toBeUndefined();
    });

    it('is missing until it is made, and not made by an attempt', async () => {
      const store = await storeOf();
      const costs = await costsOf(store, async () =>
        expect(await store.beginAttempt(1, SHARD, FIRST)).toEqual({ kind: 'missing' }),
      );
      expect(costs).toEqual({ ...ONE_WRITE, reads: 1, readRequests: 1, rcu: 1 });
      expect(await store.beginAttempt(1, SHARD, FIRST)).toEqual({ kind: 'missing' });
    });

    it('counts attempts in one write, by first position', async () => {
      const store = await open();
      const costs = await costsOf(store, () => store.beginAttempt(1, SHARD, FIRST));
      expect(costs).toEqual(ONE_WRITE);
      await store.beginAttempt(1, SHARD, at('5', 2));
      expect(await store.beginAttempt(1, SHARD, FIRST)).toEqual({
        kind: 'open',
        progress: {
          records: 0,
          phase: 'live',
          isByPartition: false,
          attempts: new Map([
            [encodePosition(at('5', 2)), 1],
            [encodePosition(FIRST), 2],
          ]),
          suspects: new Map(),
        },
      });
    });

    it('of one generation and shard is not that of another', async () => {
      const { store, setControl } = await under.make();
      await store.readControl();
      await store.createProgress(1, SHARD);
      await store.advance(1, SHARD, advance({ position: at('5'), records: 1 }));
      await setControl({ generation: 2, nextGeneration: 3, phase: 'live' });
      await store.createProgress(2, SHARD);
      expect((await store.readProgress(1, SHARD))?.position).toEqual(at('5'));
      expect((await store.readProgress(2, SHARD))?.position).toBeUndefined();
      expect(await store.readProgress(2, 'shardId-000000000009')).toBeUndefined();
    });

    it('advances in one write, and forgets the attempt that ended', async () => {
      const store = await open();
      await store.beginAttempt(1, SHARD, FIRST);
      const costs = await costsOf(store, async () =>
        expect(
          await store.advance(
            1,
            SHARD,
            advance({ position: FIRST, arrivalMs: 1_700_000_000_123, records: 7 }),
          ),
        ).toBe('advanced'),
      );
      expect(costs).toEqual(ONE_WRITE);
      expect(await store.readProgress(1, SHARD)).toEqual({
        position: FIRST,
        arrivalMs: 1_700_000_000_123,
        records: 7,
        phase: 'live',
        isByPartition: false,
        attempts: new Map(),
        suspects: new Map(),
      });
    });

    it('ends an attempt without a position when nothing was done', async () => {
      const store = await open();
      await store.beginAttempt(1, SHARD, FIRST);
      await store.beginAttempt(1, SHARD, at('3'));
      const costs = await costsOf(store, () => store.advance(1, SHARD, advance()));
      expect(costs).toEqual(ONE_WRITE);
      const progress = await store.readProgress(1, SHARD);
      expect(progress?.position).toBeUndefined();
      expect(progress?.attempts).toEqual(new Map([[encodePosition(at('3')), 1]]));
    });

    it.each([
      ['a lower one', at('49590338271490256608559692538361571095921575989136588897')],
      ['a shorter one that is higher as text', at('5')],
      ['its own', FIRST],
    ])('never goes back to %s, and still counts the batch (I2)', async (_, lower) => {
      const store = await open();
      await store.advance(1, SHARD, advance({ position: FIRST, arrivalMs: 2_000, records: 2 }));
      await store.beginAttempt(1, SHARD, lower);
      const costs = await costsOf(store, async () =>
        expect(
          await store.advance(
            1,
            SHARD,
            advance({ first: lower, position: lower, arrivalMs: 1_000, records: 3 }),
          ),
        ).toBe('advanced'),
      );
      expect(costs).toEqual({ ...NO_COSTS, writes: 2, writeRequests: 2, wcu: 2 });
      expect(await store.readProgress(1, SHARD)).toEqual({
        position: FIRST,
        arrivalMs: 2_000,
        records: 5,
        phase: 'live',
        isByPartition: false,
        attempts: new Map(),
        suspects: new Map(),
      });
    });

    it.each([
      ['of one more digit', at('999'), at('1000')],
      ['of one more digit, at the length of real ones', at('9'.repeat(55)), at(`1${'0'.repeat(55)}`)],
      ['of the longest form', at('9'.repeat(128)), at('1'.repeat(129))],
      ['behind sub-records', at('7', 99), at('8')],
      ['of the next sub-record', at('7', 9), at('7', 10)],
      ['of the first sub-record', at('7'), at('7', 1)],
    ])('advances to a position %s', async (_, lower, higher) => {
      const store = await open();
      await store.advance(1, SHARD, advance({ position: lower }));
      await store.advance(1, SHARD, advance({ position: higher }));
      expect((await store.readProgress(1, SHARD))?.position).toEqual(higher);
      await store.advance(1, SHARD, advance({ position: lower }));
      expect((await store.readProgress(1, SHARD))?.position).toEqual(higher);
    });

    it('keeps a bounded number of attempts that died, and among them the one that dies again and again', async () => {
      const store = await open();
      for (let time = 0; time < 3; time++) await store.beginAttempt(1, SHARD, at('1'));
      for (let sequence = 2; sequence < 60; sequence++) {
        await store.beginAttempt(1, SHARD, at(String(sequence)));
        const ended = at(String(sequence - (sequence % 2)));
        await store.advance(1, SHARD, advance({ first: ended, position: ended }));
      }
      const attempts = (await store.readProgress(1, SHARD))?.attempts ?? new Map<string, number>();
      expect(attempts.size).toBeLessThanOrEqual(16);
      expect(attempts.get(encodePosition(at('1')))).toBe(3);
    });

    it('notes the last record that was handed in, and costs a second write only where it is not', async () => {
      const store = await open();
      expect(await costsOf(store, () => store.beginAttempt(1, SHARD, FIRST, at('9')))).toEqual(ONE_WRITE);
      expect(await costsOf(store, () => store.beginAttempt(1, SHARD, FIRST, at('9')))).toEqual(ONE_WRITE);
      const lower = await costsOf(store, () => store.beginAttempt(1, SHARD, FIRST, at('8')));
      expect(lower).toEqual({ ...NO_COSTS, ...TWO_WRITES });
      const { handedIn, attempts } = (await store.readProgress(1, SHARD)) ?? {};
      expect(handedIn).toEqual(at('9'));
      expect(attempts?.get(encodePosition(FIRST))).toBe(3);
      await store.beginAttempt(1, SHARD, at('10'), at('10'));
      expect((await store.readProgress(1, SHARD))?.handedIn).toEqual(at('10'));
    });

    it('that is missing costs a second write where a batch is to be noted', async () => {
      const store = await open();
      const looked = { reads: 1, readRequests: 1, rcu: 1 };
      const plain = await costsOf(store, async () =>
        expect(await store.beginAttempt(1, 'other', FIRST)).toEqual({ kind: 'missing' }),
      );
      expect(plain).toEqual({ ...ONE_WRITE, ...looked });
      const noted = await costsOf(store, async () =>
        expect(await store.beginAttempt(1, 'other', FIRST, at('9'))).toEqual({ kind: 'missing' }),
      );
      expect(noted).toEqual({ ...NO_COSTS, ...looked, ...TWO_WRITES });
    });

    it('parts the lanes of a shard for good, where nobody has handed in more', async () => {
      const store = await open();
      await store.beginAttempt(1, SHARD, FIRST, at('9'));
      expect(await store.partLanes(1, SHARD, undefined, undefined)).toBe(false);
      expect(await store.partLanes(1, SHARD, at('8'), at('8'))).toBe(false);
      expect((await store.readProgress(1, SHARD))?.isByPartition).toBe(false);
      const costs = await costsOf(store, async () =>
        expect(await store.partLanes(1, SHARD, at('9'), at('9'))).toBe(true),
      );
      expect(costs).toEqual(ONE_WRITE);
      expect(await store.partLanes(1, SHARD, at('9'), at('5'))).toBe(false);
      const again = await store.beginAttempt(1, SHARD, at('3'));
      const parted = { isByPartition: true, byShardUntil: at('9') };
      expect(again).toMatchObject({ kind: 'open', progress: parted });
      expect(await store.readProgress(1, SHARD)).toMatchObject(parted);
    });

    it('parts the lanes of a shard of which nothing was handed in', async () => {
      const store = await open();
      expect(await store.partLanes(1, SHARD, undefined, undefined)).toBe(true);
      const { isByPartition, byShardUntil } = (await store.readProgress(1, SHARD)) ?? {};
      expect([isByPartition, byShardUntil]).toEqual([true, undefined]);
    });

    it('parts no lanes where there is no row', async () => {
      const store = await open();
      expect(await store.partLanes(1, 'other', undefined, undefined)).toBe(false);
    });

    it('notes whose turn began and did not end, and until when it can be under way', async () => {
      const store = await open();
      const costs = await costsOf(store, async () =>
        expect(await store.suspect(1, SHARD, 'five', 1_000)).toEqual([1_000]),
      );
      expect(costs).toEqual(ONE_WRITE);
      expect(await store.suspect(1, SHARD, 'five', 3_000)).toEqual([1_000, 3_000]);
      expect(await store.suspect(1, SHARD, 'six', 2_000, 'five')).toEqual([2_000]);
      expect(await store.suspect(1, SHARD, 'six', 1_500, 'six')).toEqual([2_000, 1_500]);
      expect((await store.readProgress(1, SHARD))?.suspects).toEqual(new Map([['six', [2_000, 1_500]]]));
    });

    it('clears the turns that ended, however many, and no others', async () => {
      const store = await open();
      const turns = Array.from({ length: 230 }, (_, index) => `turn ${index}`);
      for (const turn of turns) await store.suspect(1, SHARD, turn, 1_000);
      const endedTurns = [...turns.slice(0, 229), 'turn 5', 'turn 12345'];
      await store.advance(1, SHARD, advance({ position: at('229'), records: 1, endedTurns }));
      const progress = await store.readProgress(1, SHARD);
      expect(progress?.suspects).toEqual(new Map([['turn 229', [1_000]]]));
      expect(progress?.records).toBe(1);
    });

    it('that is missing cannot be advanced or suspected, and is not made by trying', async () => {
      const store = await storeOf();
      expect(await store.advance(1, SHARD, advance({ position: FIRST, records: 1 }))).toBe('sealed');
      expect(await store.suspect(1, SHARD, 'turn', 1_000)).toBe('sealed');
      expect(await store.readProgress(1, SHARD)).toBeUndefined();
    });
  });
}

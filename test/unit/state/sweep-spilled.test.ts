import { describe, expect, it } from 'vitest';
import { MemoryBlobStore } from '../../../shared/state/memory-blob-store.ts';
import { MemoryStateStore } from '../../../shared/state/memory-state-store.ts';
import { blobName, packBlob, statesText } from '../../../shared/state/spilled-states.ts';
import { SpillingStateStore } from '../../../shared/state/spilling-state-store.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';
import { CURSOR_NAME, sweepSpilled, type SweepReport } from '../../../shared/state/sweep-spilled.ts';

const HOUR_MS = 3_600_000;
const HORIZON_HOURS = 25;
const BEGIN_MS = 1_800_000_000_000;

class World {
  nowMs = BEGIN_MS;
  readonly items = new MemoryStateStore();
  readonly blobs: MemoryBlobStore;
  readonly store: SpillingStateStore;

  constructor(pageSize?: number) {
    this.blobs = new MemoryBlobStore(() => this.nowMs, pageSize);
    this.store = new SpillingStateStore({ store: this.items, blobs: this.blobs });
  }

  async write(pk: string, revision: number, text: string, loaded?: StateItem): Promise<StateItem> {
    const item: StateItem = {
      pk,
      revision,
      marks: new Map(),
      states: new Map([['s', text]]),
      versions: new Map([['s', 1]]),
      outbox: [],
    };
    const write = { item, expectedRevision: loaded?.revision, loaded, spills: true };
    expect(await this.store.commit([write])).toEqual(['committed']);
    return item;
  }

  /** What a writer leaves that dies between its two writes. */
  async leak(pk: string, revision: number, text: string): Promise<string> {
    const states = statesText(new Map([['s', text]]));
    const name = blobName(pk, { revision, hash: states.hash, bytes: states.bytes });
    await this.blobs.put(name, packBlob({ pk, revision }, states));
    return name;
  }

  sweep(afterHours: number, groups = Infinity): Promise<SweepReport> {
    let left = groups;
    const { items: store, blobs } = this;
    const nowMs = BEGIN_MS + afterHours * HOUR_MS;
    return sweepSpilled({
      store,
      blobs,
      nowMs,
      horizonSeconds: HORIZON_HOURS * 3_600,
      keepGoing: () => left-- > 0,
    });
  }
}

describe('a sweep of spilled states', () => {
  it('keeps what an item points to, however long its key is idle', async () => {
    const world = new World();
    await world.write('1/s/idle', 5, 'state');
    expect(await world.sweep(100_000)).toEqual({ examined: 1, removed: 0, unreadable: 0, isComplete: true });
    expect((await world.store.load(['1/s/idle'])).get('1/s/idle')?.states.get('s')).toBe('state');
  });

  it('removes a day later what a later revision has left behind', async () => {
    const world = new World();
    const first = await world.write('1/s/k', 5, 'one');
    await world.leak('1/s/k', 6, 'lost');
    await world.write('1/s/k', 6, 'two', first);
    expect(await world.sweep(23)).toMatchObject({ examined: 0, removed: 0 });
    expect(await world.sweep(24)).toMatchObject({ examined: 2, removed: 1 });
    expect(world.blobs.names()).toHaveLength(1);
  });

  it.each([
    ['whose item is not as far', 5],
    ['whose item was never written', undefined],
  ])(
    'keeps an object %s until its records cannot come again: its write may be tried once more',
    async (_, revision) => {
      const world = new World();
      if (revision !== undefined) await world.write('1/s/k', revision, 'one');
      const name = await world.leak('1/s/k', 6, 'two');
      expect((await world.sweep(HORIZON_HOURS + 23)).removed).toBe(0);
      expect(world.blobs.names()).toContain(name);
      expect((await world.sweep(HORIZON_HOURS + 24)).removed).toBe(1);
      expect(world.blobs.names()).not.toContain(name);
    },
  );

  it('tells keys apart that only their whole text tells apart, of any characters and lengths', async () => {
    const world = new World();
    const keys = ['k', 'k\u0000', '\u0001'.repeat(2_000), 'ä'.repeat(1_000), '__proto__', '{"pk":"x"}\n'];
    for (const key of keys) {
      const first = await world.write(`1/s/${key}`, 5, 'one');
      await world.leak(`1/s/${key}`, 6, 'lost');
      await world.write(`1/s/${key}`, 6, 'two', first);
    }
    expect(await world.sweep(24)).toMatchObject({ examined: 12, removed: 6, unreadable: 0 });
    const loaded = await world.store.load(keys.map((key) => `1/s/${key}`));
    expect([...loaded.values()].map(({ states }) => states.get('s'))).toEqual(keys.map(() => 'two'));
  });

  it('leaves alone what is not its own or cannot be read, and counts it', async () => {
    const world = new World();
    await world.blobs.put('1/hash/6-abc', new Uint8Array([1, 2, 3]));
    await world.blobs.put('readme', new Uint8Array([1]));
    expect(await world.sweep(10_000)).toEqual({ examined: 1, removed: 0, unreadable: 1, isComplete: true });
    expect(world.blobs.names()).toEqual(['1/hash/6-abc', 'readme']);
  });

  it('that runs out of time is gone on with where it ended, until all is done', async () => {
    const world = new World(30);
    for (let key = 0; key < 100; key++) {
      const first = await world.write(`1/s/${key}`, 5, 'one');
      await world.leak(`1/s/${key}`, 6, 'lost');
      await world.write(`1/s/${key}`, 6, 'two', first);
    }
    const reports: SweepReport[] = [];
    do reports.push(await world.sweep(24 + reports.length, 2));
    while (reports.at(-1)?.isComplete === false);
    expect(reports.map(({ examined }) => examined)).toEqual([60, 60, 60, 20]);
    expect(reports.reduce((sum, { removed }) => sum + removed, 0)).toBe(100);
    expect(world.blobs.names()).toHaveLength(100);
    expect(world.blobs.names()).not.toContain(CURSOR_NAME);
  });
});

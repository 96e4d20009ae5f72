import { expect, it } from 'vitest';
import type { Position } from '../../../shared/source/position.ts';
import type { GenerationStore } from '../../../shared/state/generation-store.ts';
import { CONTROL_KEY, itemKey, progressKey, rosterKey, shardItemKey } from '../../../shared/state/row-key.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';
import type { Control, StateStore } from '../../../shared/state/state-store.ts';
import { without } from '../../../shared/state/without.ts';

export interface GenerationStoreUnderTest {
  /** @param awaitsFork whether the first control row is that of a pipeline that awaits its fork. */
  readonly make: (awaitsFork?: boolean) => Promise<{ store: StateStore; generations: GenerationStore }>;
}

function item(pk: string, text = ''): StateItem {
  return {
    pk,
    revision: 1,
    marks: new Map(),
    states: new Map([['a', text]]),
    versions: new Map([['a', 1]]),
    outbox: [],
  };
}

async function scanAll(
  generations: GenerationStore,
  generation: number,
  segments: number,
): Promise<{ items: StateItem[]; pages: number }> {
  const items: StateItem[] = [];
  let pages = 0;
  for (let segment = 0; segment < segments; segment++) {
    let after: string | undefined;
    do {
      const page = await generations.scan({
        generation,
        segment,
        segments,
        ...(after !== undefined && { after }),
      });
      items.push(...page.items);
      pages += 1;
      after = page.next;
    } while (after !== undefined);
  }
  return { items, pages };
}

/** What every version of the GenerationStore does. */
export function generationStoreContract({ make }: GenerationStoreUnderTest): void {
  it.each([1, 4])('scans the items of one generation once, in %i segments', async (segments) => {
    const { store, generations } = await make();
    await store.readControl();
    await store.createProgress(1, 'shard');
    const items = Array.from({ length: 60 }, (_, index) =>
      item(itemKey(1, `key ${index}`), 'x'.repeat(50_000)),
    );
    items.push(item(shardItemKey(1, 'shard')));
    const others = [item(itemKey(2, 'key 0')), item(itemKey(11, 'key 1')), item(shardItemKey(2, 'shard'))];
    await store.commit(
      [...items, ...others].map((each) => ({ item: each, expectedRevision: undefined, spills: false })),
    );
    const scanned = await scanAll(generations, 1, segments);
    const order = (a: StateItem, b: StateItem): number => (a.pk < b.pk ? -1 : 1);
    expect(scanned.items.sort(order)).toEqual(items.sort(order));
    if (segments === 1) expect(scanned.pages).toBeGreaterThan(1);
    expect((await scanAll(generations, 3, segments)).items).toEqual([]);
    expect(generations.costs().readRequests).toBeGreaterThanOrEqual(scanned.pages);
    expect(generations.costs().rcu).toBeGreaterThan(60 * 12);
  });

  it('gives what an item waits for, and takes it from the index with its row', async () => {
    const { store, generations } = await make();
    await store.readControl();
    const waiting = { ...item(itemKey(1, 'a')), dueMs: 7, firedMs: 5 };
    await store.commit([{ item: waiting, expectedRevision: undefined, spills: false }]);
    expect((await scanAll(generations, 1, 1)).items).toEqual([waiting]);
    await generations.removeRows([waiting.pk]);
    for await (const keys of store.due(1, 7)) expect(keys).toEqual([]);
  });

  it('tells the keys of all rows of some generations, and removes them once and again', async () => {
    const { store, generations } = await make();
    await store.readControl();
    await store.createProgress(1, 'shard');
    const keys = [itemKey(1, ''), itemKey(1, '2/s/x'), itemKey(1, 'snow ☃'), shardItemKey(1, 'shard')];
    keys.push(...Array.from({ length: 70 }, (_, index) => itemKey(3, `key ${index}`)));
    const others = [itemKey(2, '1/s/x'), itemKey(11, 'x'), itemKey(31, 'x'), shardItemKey(2, 'shard')];
    const items = [...keys, ...others].map((pk) => ({
      item: item(pk, 'x'.repeat(20_000)),
      expectedRevision: undefined,
      spills: false,
    }));
    expect(new Set(await store.commit(items))).toEqual(new Set(['committed']));
    const keysOf = async (old: ReadonlySet<number>): Promise<string[]> => {
      const found: string[] = [];
      let after: string | undefined;
      do {
        const page = await generations.keysOf(old, after);
        found.push(...page.keys);
        after = page.next;
      } while (after !== undefined);
      return found.sort();
    };
    const old = await keysOf(new Set([1, 3]));
    expect(old).toEqual([...keys, progressKey(1, 'shard'), rosterKey(1)].sort());
    await generations.removeRows(old);
    await generations.removeRows(old);
    expect(await keysOf(new Set([1, 3]))).toEqual([]);
    expect(await keysOf(new Set([2, 11, 31]))).toEqual(others.sort());
    expect((await store.readControl()).generation).toBe(1);
    expect(await store.readProgress(1, 'shard')).toBeUndefined();
    expect(generations.costs().wcu).toBeGreaterThan(70 * 19);
    await expect(generations.removeRows([itemKey(2, '1/s/x'), CONTROL_KEY])).rejects.toThrow(RangeError);
    expect(await keysOf(new Set([2]))).toHaveLength(2);
  });

  it('replaces the control row for who has read its newest version, and for nobody else', async () => {
    const { store, generations } = await make();
    const first = await store.readControl();
    const rewind = {
      id: 'r',
      holder: 'h',
      checkpoint: 'c',
      from: 1,
      to: 2,
      step: 'seal',
      outputs: 'same',
      startedMs: 5,
    } as const;
    const begun = await generations.replaceControl(first, { ...first, nextGeneration: 3, rewind, epoch: 2 });
    expect(begun).toEqual({ ...first, nextGeneration: 3, rewind, epoch: 2, version: 1 });
    expect(await store.readControl()).toEqual(begun);
    expect(await generations.replaceControl(first, first)).toBeUndefined();
    // A function may note in between that lanes are by partition key.
    expect(await store.readControl(true)).toEqual({ ...begun, isByPartition: true });
    if (begun === undefined) return;
    const rest = without(begun, 'rewind');
    const ended = await generations.replaceControl(begun, {
      ...rest,
      checkpoint: { id: 'k', untilMs: 7, overMs: 9 },
    });
    expect(ended).toEqual({
      ...rest,
      checkpoint: { id: 'k', untilMs: 7, overMs: 9 },
      version: 2,
      isByPartition: true,
    });
    expect(await store.readControl()).toEqual(ended);
    expect(await generations.replaceControl(begun, begun)).toBeUndefined();
  });

  it('begins nothing in a pipeline that awaits its fork, until the control row says otherwise', async () => {
    const { store, generations } = await make(true);
    const control = await store.readControl(true);
    expect(control).toEqual({ generation: 1, nextGeneration: 2, phase: 'awaitsFork', isByPartition: true });
    expect(await store.createProgress(1, 'shard')).toBe('refused');
    expect(await generations.replaceControl(control, { ...control, phase: 'live' })).toBeDefined();
    expect((await store.readControl()).phase).toBe('live');
    expect(await store.createProgress(1, 'shard')).toBe('created');
  });

  it('replaces a control row that is not there yet', async () => {
    const { store, generations } = await make();
    const control = { generation: 1, nextGeneration: 2, phase: 'live' } as const;
    expect(await generations.replaceControl(control, { ...control, nextGeneration: 3 })).toEqual({
      ...control,
      nextGeneration: 3,
      version: 1,
    });
    expect((await store.readControl()).nextGeneration).toBe(3);
  });

  it('goes on behind any item of a page', async () => {
    const { store, generations } = await make();
    await store.readControl();
    const items = Array.from({ length: 9 }, (_, index) => item(itemKey(1, `key ${index}`)));
    await store.commit(items.map((each) => ({ item: each, expectedRevision: undefined, spills: false })));
    for (const segment of [0, 1]) {
      const whole = await generations.scan({ generation: 1, segment, segments: 2 });
      for (const [place, { pk }] of whole.items.entries()) {
        const rest = await generations.scan({ generation: 1, segment, segments: 2, after: pk });
        expect(rest.items).toEqual(whole.items.slice(place + 1));
      }
    }
  });

  /** A pipeline whose shard has come to position 7, and a control row of version 1. */
  const begun = async (): Promise<{
    store: StateStore;
    generations: GenerationStore;
    control: Control;
    version: number;
  }> => {
    const made = await make();
    const first = await made.store.readControl();
    await made.store.createProgress(1, SHARD, { first: at('5') });
    const advance = { first: at('5'), position: at('7'), arrivalMs: 9, records: 3, endedTurns: [] };
    await made.store.advance(1, SHARD, advance);
    const control = await made.generations.replaceControl(first, { ...first, phase: 'replay' });
    if (control === undefined) throw new Error('The control row is another.');
    return { ...made, control, version: control.version ?? 0 };
  };
  const moved = { first: at('7'), position: at('8'), records: 1, endedTurns: [] };

  it('names the shards of all progress rows of a generation', async () => {
    const { store, generations } = await make();
    await store.readControl();
    expect(await generations.shards(1)).toEqual([]);
    for (const shard of ['b', 'a', 'b']) await store.createProgress(1, shard);
    await store.createProgress(2, 'c');
    expect(await generations.shards(1)).toEqual(['a', 'b']);
    expect(await generations.shards(2)).toEqual([]);
  });

  it('seals a progress row, which takes nothing any more (I7), and unseals it', async () => {
    const { store, generations, control, version } = await begun();
    for (let time = 0; time < 2; time++)
      expect(await generations.changeProgress(1, SHARD, { kind: 'seal' }, version)).toBe('done');
    const sealed = await store.readProgress(1, SHARD);
    expect(sealed).toMatchObject({ first: at('5'), position: at('7'), records: 3 });
    expect(await store.beginAttempt(1, SHARD, at('7'))).toEqual({ kind: 'sealed' });
    expect(await store.beginAttempt(1, SHARD, at('7'), at('9'))).toEqual({ kind: 'sealed' });
    expect(await store.partLanes(1, SHARD, sealed?.handedIn, at('9'))).toBe(false);
    for (const change of [moved, { ...moved, position: at('1') }, without(moved, 'position')])
      expect(await store.advance(1, SHARD, change)).toBe('sealed');
    expect(await store.suspect(1, SHARD, 'turn', 1_000)).toBe('sealed');
    expect(await store.liftTime(1, SHARD, at('7'), 5)).toBe(false);
    expect(await store.readProgress(1, SHARD)).toEqual(sealed);
    const live = await generations.replaceControl(control, { ...control, phase: 'live' });
    expect(await store.createProgress(1, SHARD)).toBe('exists');
    const unseal = { kind: 'unseal', rank: 4 } as const;
    expect(await generations.changeProgress(1, SHARD, unseal, live?.version ?? 0)).toBe('done');
    expect(await store.liftTime(1, SHARD, at('7'), 5)).toBe(true);
    expect(await store.advance(1, SHARD, moved)).toBe('advanced');
    expect(await store.readProgress(1, SHARD)).toMatchObject({ position: at('8'), rank: 4, liftedMs: 5 });
    await generations.changeProgress(1, SHARD, { kind: 'unseal' }, live?.version ?? 0);
    expect(await store.readProgress(1, SHARD)).toMatchObject({ rank: 4 });
  });

  it('inserts a progress row once, as it is given, and releases it', async () => {
    const { store, generations, version } = await begun();
    const progress = {
      first: at('1'),
      position: at('3', 2),
      arrivalMs: 8,
      time: { highestMs: 6, beforeMs: 5, interval: 4 },
      liftedMs: 7,
      records: 2,
      phase: 'replay',
      isByPartition: true,
      epoch: 2,
    } as const;
    const insert = { kind: 'insert', progress } as const;
    expect(await generations.changeProgress(2, SHARD, insert, version)).toBe('done');
    expect(await store.readProgress(2, SHARD)).toEqual({
      ...progress,
      attempts: new Map(),
      suspects: new Map(),
    });
    expect(await generations.shards(2)).toEqual([SHARD]);
    await store.advance(2, SHARD, moved);
    expect(await generations.changeProgress(2, SHARD, insert, version)).toBe('done');
    expect(await store.readProgress(2, SHARD)).toMatchObject({ position: at('8'), phase: 'replay' });
    expect(await generations.changeProgress(2, SHARD, { kind: 'release' }, version)).toBe('done');
    expect(await store.readProgress(2, SHARD)).toMatchObject({ position: at('8'), phase: 'live' });
  });

  it('changes no progress row for who has been superseded, and none that is missing', async () => {
    const { store, generations, control, version } = await begun();
    const before = await store.readProgress(1, SHARD);
    await generations.replaceControl(control, control);
    const changes = [
      { kind: 'insert', progress: {} },
      { kind: 'seal' },
      { kind: 'unseal' },
      { kind: 'release' },
    ] as const;
    for (const change of changes) {
      expect(await generations.changeProgress(1, SHARD, change, version)).toBe('superseded');
      expect(await generations.changeProgress(2, SHARD, change, version)).toBe('superseded');
      if (change.kind === 'insert') continue;
      expect(await generations.changeProgress(2, SHARD, change, version + 1)).toBe('missing');
    }
    expect(await store.readProgress(1, SHARD)).toEqual(before);
    expect(await store.readProgress(2, SHARD)).toBeUndefined();
    expect(await generations.shards(2)).toEqual([]);
  });

  it('makes a progress row only with the rank that the control row has', async () => {
    const { store, generations } = await make();
    const first = await store.readControl();
    expect(await store.createProgress(1, SHARD, { rank: 3 })).toBe('refused');
    await generations.replaceControl(first, { ...first, rank: 3 });
    expect(await store.createProgress(1, SHARD)).toBe('refused');
    expect(await store.createProgress(1, SHARD, { rank: 3 })).toBe('created');
    expect(await store.readProgress(1, SHARD)).toMatchObject({ rank: 3 });
  });
}

const SHARD = 'x3Fa_q/0';

function at(sequence: string, sub = 0): Position {
  return { sequence, sub };
}

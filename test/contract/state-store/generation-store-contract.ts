import { expect, it } from 'vitest';
import type { GenerationStore } from '../../../shared/state/generation-store.ts';
import { itemKey, shardItemKey } from '../../../shared/state/row-key.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';
import type { StateStore } from '../../../shared/state/state-store.ts';
import { without } from '../../../shared/state/without.ts';

export interface GenerationStoreUnderTest {
  readonly make: () => Promise<{ store: StateStore; generations: GenerationStore }>;
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

  it('replaces the control row for who has read its newest version, and for nobody else', async () => {
    const { store, generations } = await make();
    const first = await store.readControl();
    const rewind = {
      id: 'r',
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
    const ended = await generations.replaceControl(begun, { ...rest, checkpoint: { id: 'k', untilMs: 7 } });
    expect(ended).toEqual({ ...rest, checkpoint: { id: 'k', untilMs: 7 }, version: 2, isByPartition: true });
    expect(await store.readControl()).toEqual(ended);
    expect(await generations.replaceControl(begun, begun)).toBeUndefined();
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
}

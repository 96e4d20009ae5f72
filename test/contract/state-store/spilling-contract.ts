import { expect, it } from 'vitest';
import type { Document } from '../../../shared/state/document.ts';
import { MemoryBlobStore } from '../../../shared/state/memory-blob-store.ts';
import { itemKey } from '../../../shared/state/row-key.ts';
import { SpillingStateStore } from '../../../shared/state/spilling-state-store.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';
import type { ItemWrite } from '../../../shared/state/state-store.ts';
import type { StateStoreUnderTest } from './state-store-contract.ts';

const PK = itemKey(1, 'k');
const LARGE = 'x'.repeat(500_000);

/** What every version of the store keeps of items whose states are elsewhere. */
export function spillingContract(make: StateStoreUnderTest['make']): void {
  it('keeps an item whose states are spilled, change, shrink and go, and gives them back whole', async () => {
    const { store } = await make();
    const blobs = new MemoryBlobStore();
    let loaded: StateItem | undefined;
    const write = async (states: StateItem['states'], spills: boolean): Promise<void> => {
      const item: StateItem = {
        pk: PK,
        revision: (loaded?.revision ?? 0) + 1,
        marks: new Map(),
        states,
        versions: new Map([
          ['a', 1],
          ['b', 3],
        ]),
        outbox: [],
        firedMs: 5,
        dueMs: 7,
      };
      const spilling = new SpillingStateStore({ store, blobs });
      const before = (await spilling.load([PK])).get(PK);
      const commit: ItemWrite = { item, expectedRevision: before?.revision, loaded: before, spills };
      expect(await spilling.commit([commit])).toEqual(['committed']);
      expect(await spilling.commit([commit])).toEqual(['conflict']);
      loaded = (await new SpillingStateStore({ store, blobs }).load([PK])).get(PK);
      expect(loaded).toStrictEqual(item);
      expect((await store.load([PK])).get(PK)?.spilled === undefined).toBe(!spills);
    };
    await write(new Map([['a', 1]]), false);
    await write(
      new Map<string, Document>([
        ['a', LARGE],
        ['b', { n: 5n, bytes: new Uint8Array([1]) }],
      ]),
      true,
    );
    await write(new Map([['b', LARGE]]), true);
    await write(new Map([['b', 'small']]), false);
    await write(new Map([['a', LARGE]]), true);
    await write(new Map(), false);
    expect(loaded?.states.size).toBe(0);
  });
}

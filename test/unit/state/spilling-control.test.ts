import { describe, expect, it } from 'vitest';
import { MemoryBlobStore } from '../../../shared/state/memory-blob-store.ts';
import { MemoryStateStore } from '../../../shared/state/memory-state-store.ts';
import { SpillingStateStore } from '../../../shared/state/spilling-state-store.ts';

describe('a store that spills states', () => {
  it('notes in the control row that lanes are by partition key, for every container from then on', async () => {
    const inner = new MemoryStateStore();
    const store = new SpillingStateStore({ store: inner, blobs: new MemoryBlobStore() });
    expect((await store.readControl(true)).isByPartition).toBe(true);
    expect((await inner.readControl()).isByPartition).toBe(true);
  });
});

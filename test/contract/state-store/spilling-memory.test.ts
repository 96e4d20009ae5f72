import { describe } from 'vitest';
import { MemoryBlobStore } from '../../../shared/state/memory-blob-store.ts';
import { MemoryStateStore } from '../../../shared/state/memory-state-store.ts';
import { SpillingStateStore } from '../../../shared/state/spilling-state-store.ts';
import { stateStoreContract, type StateStoreUnderTest } from './state-store-contract.ts';
import { timeContract } from './time-contract.ts';

describe('SpillingStateStore, of what it does not spill', () => {
  const under: StateStoreUnderTest = {
    make: async () => {
      const store = new MemoryStateStore();
      return {
        store: new SpillingStateStore({ store, blobs: new MemoryBlobStore() }),
        setControl: async (control) => store.setControl(control),
      };
    },
    writesPerRequest: 25,
    createProgress: { reads: 0, rcu: 0, wcu: 6 },
  };
  stateStoreContract(under);
  timeContract(under);
});

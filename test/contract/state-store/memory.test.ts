import { describe } from 'vitest';
import { MemoryStateStore } from '../../../shared/state/memory-state-store.ts';
import { stateStoreContract } from './state-store-contract.ts';

describe('MemoryStateStore', () => {
  stateStoreContract({
    make: async () => {
      const store = new MemoryStateStore();
      return { store, setControl: async (control) => store.setControl(control) };
    },
    writesPerRequest: 25,
    // What AWS documents: twice for the row that is checked, twice for the row that is written.
    createProgress: { reads: 0, rcu: 0, wcu: 4 },
  });
});

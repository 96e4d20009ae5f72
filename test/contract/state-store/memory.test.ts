import { describe } from 'vitest';
import { MemoryStateStore } from '../../../shared/state/memory-state-store.ts';
import { spillingContract } from './spilling-contract.ts';
import { stateStoreContract, type StateStoreUnderTest } from './state-store-contract.ts';

describe('MemoryStateStore', () => {
  const make: StateStoreUnderTest['make'] = async () => {
    const store = new MemoryStateStore();
    return { store, setControl: async (control) => store.setControl(control) };
  };
  spillingContract(make);
  stateStoreContract({
    make,
    writesPerRequest: 25,
    // What AWS documents: twice for the row that is checked, twice for the row that is written.
    createProgress: { reads: 0, rcu: 0, wcu: 4 },
  });
});

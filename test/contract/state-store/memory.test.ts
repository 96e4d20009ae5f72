import { describe } from 'vitest';
import { MemoryGenerationStore } from '../../../shared/state/memory-generation-store.ts';
import { MemoryStateStore } from '../../../shared/state/memory-state-store.ts';
import type { Control } from '../../../shared/state/state-store.ts';
import { generationStoreContract } from './generation-store-contract.ts';
import { spillingContract } from './spilling-contract.ts';
import { stateStoreContract, type StateStoreUnderTest } from './state-store-contract.ts';
import { timeContract } from './time-contract.ts';

describe('MemoryStateStore', () => {
  const make = async (awaitsFork = false) => {
    const store = new MemoryStateStore({ awaitsFork });
    return {
      store,
      generations: new MemoryGenerationStore(store),
      setControl: async (control: Control) => store.setControl(control),
    };
  };
  spillingContract(make);
  generationStoreContract({ make });
  const under: StateStoreUnderTest = {
    make: () => make(),
    writesPerRequest: 25,
    // What AWS documents: twice for the row that is checked, and for each that is written.
    createProgress: { reads: 0, rcu: 0, wcu: 6 },
  };
  stateStoreContract(under);
  timeContract(under);
});

import { describe } from 'vitest';
import { MemoryCheckpointStore } from '../../../shared/checkpoint/memory-checkpoint-store.ts';
import { checkpointStoreContract } from './checkpoint-store-contract.ts';

describe('MemoryCheckpointStore', () => {
  checkpointStoreContract(async () => new MemoryCheckpointStore());
});

import { describe } from 'vitest';
import { MemoryBlobStore } from '../../../shared/state/memory-blob-store.ts';
import { blobStoreContract } from './blob-store-contract.ts';

describe('MemoryBlobStore, two to a page', () => {
  blobStoreContract(async () => new MemoryBlobStore(() => 1_800_000_000_000, 2));
});

import { MemoryDeadLetterStore } from '../../../shared/output/memory-dead-letters.ts';
import { deadLetterStoreContract } from './dead-letter-store-contract.ts';

deadLetterStoreContract(async () => new MemoryDeadLetterStore(() => 1_700_000_000_000));

import { afterAll, beforeAll, describe } from 'vitest';
import { startDynalite, type DynamoDbEngine } from '../../support/dynamodb-engine.ts';
import { storesOn } from './dynamodb-store-under-test.ts';
import { generationStoreContract } from './generation-store-contract.ts';
import { spillingContract } from './spilling-contract.ts';
import { stateStoreContract } from './state-store-contract.ts';

describe('DynamoDbStateStore on dynalite, by single writes', () => {
  let engine: DynamoDbEngine;
  beforeAll(async () => {
    engine = await startDynalite();
  });
  afterAll(() => engine.stop());

  const make = storesOn(() => engine, 'single');
  spillingContract(make);
  generationStoreContract({ make });
  stateStoreContract({
    make,
    writesPerRequest: 1,
    // Without transactions the control row is read instead.
    createProgress: { reads: 1, rcu: 1, writes: 2, wcu: 2 },
    losesProtoName: 'skipped: dynalite parses it away',
  });
});

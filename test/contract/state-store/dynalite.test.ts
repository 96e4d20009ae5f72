import { afterAll, beforeAll, describe } from 'vitest';
import { startDynalite, type DynamoDbEngine } from '../../support/dynamodb-engine.ts';
import { storesOn } from './dynamodb-store-under-test.ts';
import { stateStoreContract } from './state-store-contract.ts';

describe('DynamoDbStateStore on dynalite, by single writes', () => {
  let engine: DynamoDbEngine;
  beforeAll(async () => {
    engine = await startDynalite();
  });
  afterAll(() => engine.stop());

  stateStoreContract({
    make: storesOn(() => engine, 'single'),
    writesPerRequest: 1,
    // Without transactions the control row is read instead.
    createProgress: { reads: 1, rcu: 1, wcu: 1 },
    losesProtoName: 'skipped: dynalite parses it away',
  });
});

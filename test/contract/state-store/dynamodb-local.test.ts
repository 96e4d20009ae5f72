import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  dynamoDbLocalProblem,
  startDynamoDbLocal,
  type DynamoDbEngine,
} from '../../support/dynamodb-engine.ts';
import { storesOn } from './dynamodb-store-under-test.ts';
import { generationStoreContract } from './generation-store-contract.ts';
import { spillingContract } from './spilling-contract.ts';
import { stateStoreContract, type StateStoreUnderTest } from './state-store-contract.ts';
import { timeContract } from './time-contract.ts';

const problem = dynamoDbLocalProblem();
const skipped = problem === undefined ? '' : ` (skipped: ${problem})`;

describe.skipIf(problem !== undefined)(`DynamoDbStateStore on DynamoDB Local, by PartiQL${skipped}`, () => {
  let engine: DynamoDbEngine;
  beforeAll(async () => {
    engine = await startDynamoDbLocal();
  });
  afterAll(() => engine.stop());

  const make = storesOn(() => engine, 'partiql');
  spillingContract(make);
  generationStoreContract({ make });
  const under: StateStoreUnderTest = {
    make,
    writesPerRequest: 25,
    // DynamoDB Local reports the written rows alone, once; AWS bills the checked one too.
    createProgress: { reads: 0, rcu: 0, wcu: 2 },
  };
  stateStoreContract(under);
  timeContract(under);

  it('says what to do where the table has no index of what is due', async () => {
    const { store } = await storesOn(() => engine, 'partiql', false)();
    await expect(async () => {
      for await (const keys of store.due(1, 5)) expect(keys).toEqual([]);
    }).rejects.toThrow(/table state-\d+: .* has the index "due", .* deploy its stack again/);
  });
});

import { afterAll, beforeAll, describe } from 'vitest';
import {
  dynamoDbLocalProblem,
  startDynamoDbLocal,
  type DynamoDbEngine,
} from '../../support/dynamodb-engine.ts';
import { storesOn } from './dynamodb-store-under-test.ts';
import { generationStoreContract } from './generation-store-contract.ts';
import { spillingContract } from './spilling-contract.ts';
import { stateStoreContract } from './state-store-contract.ts';

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
  stateStoreContract({
    make,
    writesPerRequest: 25,
    // DynamoDB Local reports the written rows alone, once; AWS bills the checked one too.
    createProgress: { reads: 0, rcu: 0, wcu: 2 },
  });
});

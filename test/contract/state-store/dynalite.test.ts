import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDynalite, type DynamoDbEngine } from '../../support/dynamodb-engine.ts';
import { storesOn } from './dynamodb-store-under-test.ts';
import { generationStoreContract } from './generation-store-contract.ts';
import { spillingContract } from './spilling-contract.ts';
import { stateStoreContract, type StateStoreUnderTest } from './state-store-contract.ts';
import { timeContract } from './time-contract.ts';

describe('DynamoDbStateStore on dynalite, by single writes', () => {
  let engine: DynamoDbEngine;
  beforeAll(async () => {
    engine = await startDynalite();
  });
  afterAll(() => engine.stop());

  const make = storesOn(() => engine, 'single');
  spillingContract(make);
  generationStoreContract({ make });
  const under: StateStoreUnderTest = {
    make,
    writesPerRequest: 1,
    // Without transactions the control row is read instead.
    createProgress: { reads: 1, rcu: 1, writes: 2, wcu: 2 },
    losesProtoName: 'skipped: dynalite parses it away',
    leavesIndexUnbilled: 'skipped: dynalite reports the units of the table alone',
  };
  stateStoreContract(under);
  timeContract(under);

  it('says what to do where the table has no index of what is due', async () => {
    const { store } = await storesOn(() => engine, 'single', false)();
    await expect(async () => {
      for await (const keys of store.due(1, 5)) expect(keys).toEqual([]);
    }).rejects.toThrow(/table state-\d+: .* has the index "due", .* deploy its stack again/);
  });
});

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Position } from '../../../shared/source/position.ts';
import { DynamoDbStateStore } from '../../../shared/state/dynamodb-state-store.ts';
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

  it('begins nothing of which the row does not say how far it goes, where somebody makes it meanwhile', async () => {
    const { client } = engine;
    const table = 'made-meanwhile';
    await engine.createTable(table, false);
    const options = { table, writes: 'single', delay: async () => undefined } as const;
    const other = new DynamoDbStateStore({ client, ...options });
    const [first, last] = ['5', '9'].map((sequence): Position => ({ sequence, sub: 0 }));
    if (first === undefined || last === undefined) throw new Error('no positions');
    await other.readControl();
    let requests = 0;
    const send = async (command: Parameters<typeof client.send>[0]): Promise<unknown> => {
      // The row is made behind the first request, which has found none.
      if (++requests === 2) await other.createProgress(1, 'a/0', { first });
      return client.send(command);
    };
    const store = new DynamoDbStateStore({ client: { send } as unknown as DynamoDBClient, ...options });
    const begun = await store.beginAttempt(1, 'a/0', first, last);
    expect(begun).toMatchObject({ kind: 'open', progress: { handedIn: last } });
    expect((await other.readProgress(1, 'a/0'))?.handedIn).toEqual(last);
  });

  it('says what to do where the table has no index of what is due', async () => {
    const { store } = await storesOn(() => engine, 'single', false)();
    await expect(async () => {
      for await (const keys of store.due(1, 5)) expect(keys).toEqual([]);
    }).rejects.toThrow(/table state-\d+: .* has the index "due", .* deploy its stack again/);
    await expect(async () => {
      for await (const keys of store.due(1, 5, 'processing')) expect(keys).toEqual([]);
    }).rejects.toThrow(/timers of processing time has the index "processing-due"/);
  });
});

import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import { DynamoDbGenerationStore } from '../../../shared/state/dynamodb-generation-store.ts';
import { DynamoDbStateStore, type WriteMode } from '../../../shared/state/dynamodb-state-store.ts';
import { encodeControl } from '../../../shared/state/progress-codec.ts';
import type { DynamoDbEngine } from '../../support/dynamodb-engine.ts';
import type { GenerationStoreUnderTest } from './generation-store-contract.ts';
import type { StateStoreUnderTest } from './state-store-contract.ts';

let tables = 0;

/** Makes stores on one engine, each on a table of its own. */
export function storesOn(
  engine: () => DynamoDbEngine,
  writes: WriteMode,
  hasTime = true,
): (
  awaitsFork?: boolean,
) => Promise<
  Awaited<ReturnType<StateStoreUnderTest['make']>> & Awaited<ReturnType<GenerationStoreUnderTest['make']>>
> {
  return async (awaitsFork = false) => {
    const { client } = engine();
    const table = `state-${++tables}`;
    await engine().createTable(table, hasTime);
    const delay = async (): Promise<void> => undefined;
    return {
      store: new DynamoDbStateStore({ client, table, writes, delay, awaitsFork }),
      generations: new DynamoDbGenerationStore({ client, table, writes, delay }),
      setControl: async (control) => {
        await client.send(new PutItemCommand({ TableName: table, Item: encodeControl(control) }));
      },
    };
  };
}

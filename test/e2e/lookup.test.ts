import { BatchWriteItemCommand, CreateTableCommand, waitUntilTableExists } from '@aws-sdk/client-dynamodb';
import { Stack } from 'aws-cdk-lib';
import { TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { LOCAL_ACCOUNT, LOCAL_REGION } from '../../infra/local/engines/local-account.ts';
import { encodeDocument } from '../../shared/state/document-codec.ts';
import type { Document } from '../../shared/state/document.ts';
import { operate } from '../support/operate.ts';
import { pricedOrders } from './fixtures/priced-orders.ts';
import { deployed, OperatedCloud } from './operated-cloud.ts';
import { temporaryFolder } from './temporary-folder.ts';

const LIMIT_MS = 240_000;
const SHARDS = 2;
/** More than one BatchGetItem takes. */
const CUSTOMERS = 130;

const here = new OperatedCloud(temporaryFolder(), SHARDS);
const NAMES = { prices: 'shop-prices', discounts: 'shop-discounts', names: 'shop-names' };

async function makeTable(TableName: string, key: string): Promise<void> {
  const client = here.engines.clients().dynamodb;
  await client.send(
    new CreateTableCommand({
      TableName,
      AttributeDefinitions: [{ AttributeName: key, AttributeType: 'S' }],
      KeySchema: [{ AttributeName: key, KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    }),
  );
  await waitUntilTableExists({ client, maxWaitTime: 30, minDelay: 1, maxDelay: 1 }, { TableName });
}

async function put(table: string, rows: readonly Readonly<Record<string, Document>>[]): Promise<void> {
  const { dynamodb } = here.engines.clients();
  for (let from = 0; from < rows.length; from += 25) {
    const requests = rows.slice(from, from + 25).map((row) => ({
      PutRequest: {
        Item: Object.fromEntries(Object.entries(row).map(([name, value]) => [name, encodeDocument(value)])),
      },
    }));
    await dynamodb.send(new BatchWriteItemCommand({ RequestItems: { [table]: requests } }));
  }
}

function tableOf(name: string, physical: string) {
  const arn = `arn:aws:dynamodb:${LOCAL_REGION}:${LOCAL_ACCOUNT}:table/${physical}`;
  return TableV2.fromTableArn(new Stack(), name, arn);
}

const order = (customer: number, product: string, amount: number): string =>
  JSON.stringify({ customer: `c${customer}`, product, amount });

beforeAll(async () => {
  await here.deploy({
    ...deployed(pricedOrders, 'test/e2e/fixtures/priced-orders.ts'),
    lookupTables: Object.fromEntries(
      Object.entries(NAMES).map(([name, physical]) => [name, tableOf(name, physical)]),
    ),
  });
}, LIMIT_MS);
afterAll(() => here.stop(), LIMIT_MS);

it(
  'looks rows up in the tables that the stack was told, and waits for one that is not there yet',
  async () => {
    const customers = Array.from({ length: CUSTOMERS }, (_, at) => at);
    await here.send(customers.flatMap((each) => [order(each, 'apple', 1), order(each, 'pear', 2)]));
    await here.send([order(0, 'gold', 1)]);
    await makeTable(NAMES.prices, 'product');
    await put(NAMES.prices, [
      { product: 'apple', price: 2 },
      { product: 'pear', price: 4 },
    ]);
    await makeTable(NAMES.discounts, 'pk');
    await put(NAMES.discounts, [{ pk: 'all', percent: 50 }]);
    await makeTable(NAMES.names, 'pk');
    await put(
      NAMES.names,
      customers.slice(1).map((each) => ({ pk: `c${each}`, name: `Customer ${each}` })),
    );
    await here.untilDrained();

    const rows = await here.rows('priced-orders');
    expect(rows.size).toBe(CUSTOMERS);
    const values = customers.map((each) => JSON.parse(rows.get(`c${each}`) ?? '{}') as unknown);
    expect(values).toEqual(
      customers.map((each) => ({
        key: `c${each}`,
        state: { spent: 5, ...(each > 0 && { name: `Customer ${each}` }) },
      })),
    );
  },
  LIMIT_MS,
);

it(
  'applies a record that had no row when its letter is redriven behind it, a moment after',
  async () => {
    await put(NAMES.prices, [{ product: 'gold', price: 100 }]);
    const redriven = await operate(['deadletters', 'redrive', 'priced-orders', '--all', '--yes']);
    expect(redriven.error).toBeUndefined();
    expect(redriven.isDone).toBe(true);
    expect((await here.rows('priced-orders')).get('c0')).toContain('"spent":55');
  },
  LIMIT_MS,
);

import { BatchWriteItemCommand, CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DynamoDbLookup } from '../../../shared/lookup/dynamodb-lookup.ts';
import { encodeDocument } from '../../../shared/state/document-codec.ts';
import { startDynalite, type DynamoDbEngine } from '../../support/dynamodb-engine.ts';

const ROWS = 230;

describe('DynamoDbLookup on dynalite', () => {
  let engine: DynamoDbEngine;
  let client: DynamoDBClient;
  beforeAll(async () => {
    engine = await startDynalite();
    client = new DynamoDBClient({
      endpoint: engine.endpoint,
      region: 'eu-west-1',
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    });
    await client.send(
      new CreateTableCommand({
        TableName: 'physical',
        AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
        BillingMode: 'PAY_PER_REQUEST',
      }),
    );
    for (let from = 0; from < ROWS; from += 25) {
      const rows = Array.from({ length: Math.min(25, ROWS - from) }, (_, at) => ({
        PutRequest: { Item: { id: { S: `r${from + at}` }, n: { N: String(from + at) } } },
      }));
      await client.send(new BatchWriteItemCommand({ RequestItems: { physical: rows } }));
    }
  });
  afterAll(async () => {
    client.destroy();
    await engine.stop();
  });

  const lookup = (): DynamoDbLookup =>
    new DynamoDbLookup(
      client,
      (table) => (table === 'logical' ? 'physical' : table),
      async () => undefined,
    );

  it('gives the rows that there are, however many are asked for', async () => {
    const keys = Array.from({ length: ROWS + 20 }, (_, at) => `r${at}`);
    const found = await lookup().get('logical', 'id', keys);
    expect(found.size).toBe(ROWS);
    expect(found.get('r7')).toEqual({ id: 'r7', n: 7 });
    expect((await lookup().get('logical', 'id', ['none'])).size).toBe(0);
  });

  it('gives all rows, up to a limit', async () => {
    expect((await lookup().all('logical', 'id', 1_000_000)).size).toBe(ROWS);
    await expect(lookup().all('logical', 'id', 1_000)).rejects.toThrow(
      /Table 'logical' \(physical\) cannot be looked up: it holds more than 1000 bytes/,
    );
  });

  it('says which table cannot be read, and why', async () => {
    await expect(lookup().get('gone', 'id', ['a'])).rejects.toThrow(
      /Table 'gone' \(gone\) cannot be looked up/,
    );
    await expect(lookup().all('logical', 'pk', 1_000_000)).rejects.toThrow(
      /its rows have no string attribute 'pk'; say what its partition key is/,
    );
  });
});

it('gives an item as the plain object that it is', async () => {
  const { rowOf } = await import('../../../shared/lookup/dynamodb-lookup.ts');
  const document = { text: 'a', number: 1.5, is: true, nothing: null, list: [1, ['b']], map: { c: 2 } };
  expect(rowOf({ document: encodeDocument(document) })).toEqual({ document });
  expect(
    rowOf({ texts: { SS: ['a', 'b'] }, numbers: { NS: ['1', '2'] }, bytes: { B: new Uint8Array([7]) } }),
  ).toEqual({
    texts: ['a', 'b'],
    numbers: [1, 2],
    bytes: new Uint8Array([7]),
  });
});

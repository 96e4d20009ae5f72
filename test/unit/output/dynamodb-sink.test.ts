import { GetItemCommand, type DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DynamoDbSinkPort } from '../../../shared/output/dynamodb-sink.ts';
import type { Delivery } from '../../../shared/output/sink-port.ts';
import { startDynalite, type DynamoDbEngine } from '../../support/dynamodb-engine.ts';
import { delivery } from './deliveries.ts';
import { firstRevision } from '../../../shared/state/revision.ts';

let engine: DynamoDbEngine;
let table = '';
let tables = 0;
beforeAll(async () => {
  engine = await startDynalite();
});
afterAll(() => engine.stop());
beforeEach(async () => {
  table = `table-${tables++}`;
  await engine.createTable(table);
});

async function deliver(...deliveries: Delivery[]): Promise<readonly boolean[]> {
  return new DynamoDbSinkPort(engine.client, table, 'key').deliver(deliveries);
}

async function valueOf(pk: string): Promise<unknown> {
  const { Item } = await engine.client.send(
    new GetItemCommand({ TableName: table, Key: { pk: { S: pk } }, ConsistentRead: true }),
  );
  return Item?.['value'];
}

describe('a table as a sink', () => {
  it('holds one item per destination key, with the value as a document', async () => {
    const json = '{"a":[1,null,true,"x"],"b":{"":1}}'.replace('"":1', '"c":-0.5');
    expect(await deliver(delivery({ json }), delivery({ destinationKey: 'other' }))).toEqual([true, true]);
    expect(await valueOf('k')).toEqual({
      M: {
        a: { L: [{ N: '1' }, { NULL: true }, { BOOL: true }, { S: 'x' }] },
        b: { M: { c: { N: '-0.5' } } },
      },
    });
    expect(await valueOf('other')).toEqual({ N: '1' });
  });

  it('holds one item per id where it is told so', async () => {
    const port = new DynamoDbSinkPort(engine.client, table, 'id');
    await port.deliver([delivery({ id: 'one' })]);
    await port.deliver([delivery({ id: 'two', json: '2' })]);
    expect(await valueOf('one')).toEqual({ N: '1' });
    expect(await valueOf('two')).toEqual({ N: '2' });
    expect(await valueOf('k')).toBeUndefined();
  });

  it.each<readonly [string, Delivery, Delivery]>([
    ['of a later revision', delivery({}, { revision: 5 }), delivery({ json: '2' }, { revision: 6 })],
    [
      'of a later record in the same revision',
      delivery({}, { position: { sequence: '99', sub: 0 } }),
      delivery({ json: '2' }, { position: { sequence: '100', sub: 0 } }),
    ],
    [
      'of a later sub-record in the same revision',
      delivery({}, { position: { sequence: '99', sub: 0 }, element: 3 }),
      delivery({ json: '2' }, { position: { sequence: '99', sub: 1 } }),
    ],
    [
      'of a later generation, whose revisions are higher',
      delivery({}, { revision: firstRevision(1, 1_800_000_000_000) }),
      delivery({ pk: '2/s/k', json: '2' }, { revision: firstRevision(2, 1_700_000_000_000) }),
    ],
    ['of a later element', delivery({}, { element: 9 }), delivery({ json: '2' }, { element: 10 })],
    ['of a later index', delivery({}, { index: 9 }), delivery({ json: '2' }, { index: 10 })],
  ])('is not overwritten by what is older: a value %s', async (_, older, newer) => {
    await deliver(older);
    await deliver(newer);
    expect(await valueOf('k')).toEqual({ N: '2' });
    // From an invocation that Lambda has given up: it is confirmed, for its time has been.
    expect(await deliver(older)).toEqual([true]);
    expect(await valueOf('k')).toEqual({ N: '2' });
    expect(await deliver(newer)).toEqual([true]);
  });

  it.each([
    ['another item', delivery({ pk: '1/s/other', json: '2' }, { revision: 1 })],
    [
      'another lane in the same revision',
      delivery({ json: '2' }, { lane: 'stream/1', position: { sequence: '1', sub: 0 } }),
    ],
  ])('takes the last that comes where there is no order: from %s', async (_, other) => {
    await deliver(delivery());
    await deliver(other);
    expect(await valueOf('k')).toEqual({ N: '2' });
  });

  it('throws where the table refuses, so that the output comes again', async () => {
    const broken = { send: async () => Promise.reject(new Error('throttled')) } as unknown as DynamoDBClient;
    await expect(new DynamoDbSinkPort(broken, table, 'key').deliver([delivery()])).rejects.toThrow(
      'throttled',
    );
  });
});

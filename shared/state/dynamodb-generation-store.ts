import { ScanCommand, UpdateItemCommand, type DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { readUnits, rowBytes } from './attribute-bytes.ts';
import { CostCounter } from './cost-counter.ts';
import { isConditionFailure } from './dynamodb-table.ts';
import type { GenerationStore, ScanPage, ScanRequest } from './generation-store.ts';
import { ITEM } from './item-attributes.ts';
import { decodeItem } from './item-codec.ts';
import { CONTROL, decodeControl, encodeControl } from './progress-codec.ts';
import { CONTROL_KEY, isItemOf } from './row-key.ts';
import type { Control, StoreCosts } from './state-store.ts';

export interface DynamoDbGenerationStoreOptions {
  readonly client: DynamoDBClient;
  /** The table's name. */
  readonly table: string;
}

/** Attributes that `replaceControl` takes away where the new control does not have them. */
const OPTIONAL = [CONTROL.epoch, CONTROL.checkpoint, CONTROL.rewind] as const;

/** The GenerationStore on a DynamoDB table. */
export class DynamoDbGenerationStore implements GenerationStore {
  readonly #client: DynamoDBClient;
  readonly #table: string;
  readonly #costs = new CostCounter();

  constructor({ client, table }: DynamoDbGenerationStoreOptions) {
    this.#client = client;
    this.#table = table;
  }

  /** A page is what DynamoDB reads for one request: 1 MB. Rows of other generations are read, and paid for, too. */
  async scan({ generation, segment, segments, after }: ScanRequest): Promise<ScanPage> {
    this.#costs.add({ readRequests: 1 });
    const answer = await this.#client.send(
      new ScanCommand({
        TableName: this.#table,
        ConsistentRead: true,
        Segment: segment,
        TotalSegments: segments,
        ...(after !== undefined && { ExclusiveStartKey: { [ITEM.pk]: { S: after } } }),
        ReturnConsumedCapacity: 'TOTAL',
      }),
    );
    const rows = answer.Items ?? [];
    this.#costs.add({
      reads: rows.length,
      rcu:
        answer.ConsumedCapacity?.CapacityUnits ??
        readUnits(rows.reduce((sum, row) => sum + rowBytes(row), 0)),
    });
    const items = rows.filter((row) => isItemOf(generation, row[ITEM.pk]?.S ?? '')).map(decodeItem);
    const next = answer.LastEvaluatedKey?.[ITEM.pk]?.S;
    return { items, ...(next !== undefined && { next }) };
  }

  async replaceControl(before: Control, after: Control): Promise<Control | undefined> {
    const version = before.version ?? 0;
    const row = encodeControl({ ...after, version: version + 1 });
    delete row[CONTROL.pk];
    delete row[CONTROL.byPartition];
    const names = Object.keys(row);
    const removed = OPTIONAL.filter((name) => row[name] === undefined);
    try {
      const { Attributes = {} } = await this.#client.send(
        new UpdateItemCommand({
          TableName: this.#table,
          Key: { [CONTROL.pk]: { S: CONTROL_KEY } },
          UpdateExpression:
            `SET ${names.map((name) => `#${name} = :${name}`).join(', ')}` +
            (removed.length === 0 ? '' : ` REMOVE ${removed.map((name) => `#${name}`).join(', ')}`),
          ConditionExpression:
            version === 0 ? `attribute_not_exists(#${CONTROL.version})` : `#${CONTROL.version} = :before`,
          ExpressionAttributeNames: Object.fromEntries(
            [...names, ...removed].map((name) => [`#${name}`, name]),
          ),
          ExpressionAttributeValues: {
            ...Object.fromEntries(names.map((name) => [`:${name}`, row[name] ?? { NULL: true }])),
            ...(version > 0 && { ':before': { N: String(version) } }),
          },
          ReturnValues: 'ALL_NEW',
        }),
      );
      return decodeControl(Attributes);
    } catch (error) {
      if (isConditionFailure(error)) return undefined;
      throw error;
    }
  }

  costs(): StoreCosts {
    return this.#costs.total();
  }
}

import {
  ConditionalCheckFailedException,
  PutItemCommand,
  type DynamoDBClient,
} from '@aws-sdk/client-dynamodb';
import { encodeDocument } from '../state/document-codec.ts';
import type { Document } from '../state/document.ts';
import type { DynamoDbSink } from '../pipeline/definition.ts';
import type { Delivery, SinkPort } from './sink-port.ts';

/**
 * Upserts outputs into a DynamoDB table with the partition key `pk`. Each item has `value` (a native document), `id`
 * (the output's), `source` (the state item that made it) and `revision` (of that item).
 */
export class DynamoDbSinkPort implements SinkPort {
  readonly maximumDeliveries = 1;
  readonly maximumBytes = Infinity;
  readonly #client: DynamoDBClient;
  readonly #tableName: string;
  readonly #upsertBy: DynamoDbSink['upsertBy'];

  constructor(client: DynamoDBClient, tableName: string, upsertBy: DynamoDbSink['upsertBy']) {
    this.#client = client;
    this.#tableName = tableName;
    this.#upsertBy = upsertBy;
  }

  async deliver(deliveries: readonly Delivery[]): Promise<readonly boolean[]> {
    return Promise.all(deliveries.map((delivery) => this.#upsert(delivery)));
  }

  async #upsert({ id, destinationKey, json, pk, revision }: Delivery): Promise<boolean> {
    const item = {
      pk: { S: this.#upsertBy === 'id' ? id : destinationKey },
      id: { S: id },
      value: encodeDocument(JSON.parse(json) as Document),
      source: { S: pk },
      revision: { N: String(revision) },
    };
    try {
      await this.#client.send(
        new PutItemCommand({
          TableName: this.#tableName,
          Item: item,
          // An invocation that Lambda has given up may still write: what it read must not overwrite what is newer.
          ConditionExpression: 'attribute_not_exists(pk) OR #source <> :source OR #revision <= :revision',
          ExpressionAttributeNames: { '#source': 'source', '#revision': 'revision' },
          ExpressionAttributeValues: { ':source': item.source, ':revision': item.revision },
        }),
      );
    } catch (error) {
      // Something newer of the same key stands there: this output has had its time.
      if (error instanceof ConditionalCheckFailedException) return true;
      throw error;
    }
    return true;
  }
}

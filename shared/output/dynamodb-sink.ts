import {
  ConditionalCheckFailedException,
  PutItemCommand,
  type DynamoDBClient,
} from '@aws-sdk/client-dynamodb';
import { encodePosition } from '../source/position.ts';
import { encodeDocument } from '../state/document-codec.ts';
import type { Document } from '../state/document.ts';
import type { DynamoDbSink } from '../pipeline/definition.ts';
import { sourceOf } from '../state/row-key.ts';
import type { OutputEntry } from '../state/state-item.ts';
import type { Delivery, SinkPort } from './sink-port.ts';

/**
 * Upserts outputs into a DynamoDB table with the partition key `pk`. Each item has `value` (a native document), `id`
 * (the output's), `source` (the state item that made it, without its generation), `revision` (of that item, when it was committed), and `lane`
 * and `order` (of the record that made it). Of one state item's outputs the newest wins; outputs of several state items
 * under one destination key replace each other as they come.
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

  async #upsert({ id, destinationKey, json, pk, entry, revision }: Delivery): Promise<boolean> {
    const item = {
      pk: { S: this.#upsertBy === 'id' ? id : destinationKey },
      id: { S: id },
      value: encodeDocument(JSON.parse(json) as Document),
      source: { S: sourceOf(pk) },
      revision: { N: String(revision) },
      lane: { S: entry.lane },
      order: { S: orderOf(entry) },
    };
    try {
      await this.#client.send(
        new PutItemCommand({
          TableName: this.#tableName,
          Item: item,
          // An invocation that Lambda has given up may still write: what it read must not overwrite what is newer.
          // What one record or batch made stands in one revision: there lane and position tell the order.
          ConditionExpression:
            'attribute_not_exists(pk) OR #source <> :source OR #revision < :revision OR ' +
            '(#revision = :revision AND (#lane <> :lane OR #order <= :order))',
          ExpressionAttributeNames: {
            '#source': 'source',
            '#revision': 'revision',
            '#lane': 'lane',
            '#order': 'order',
          },
          ExpressionAttributeValues: {
            ':source': item.source,
            ':revision': item.revision,
            ':lane': item.lane,
            ':order': item.order,
          },
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

/** Digits of an element's number and an output's index, more than a record can have of either. */
const NUMBER_DIGITS = 8;

/** Position, element and index as one text in their order. A blank sorts before all that a position is made of. */
function orderOf({ position, element, index }: OutputEntry): string {
  const numbers = [element, index].map((number) => String(number).padStart(NUMBER_DIGITS, '0'));
  return [encodePosition(position), ...numbers].join(' ');
}

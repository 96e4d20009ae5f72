import type { TransactWriteItem, Update } from '@aws-sdk/client-dynamodb';
import type { Row } from './attribute-bytes.ts';
import { PROGRESS, ROSTER } from './progress-codec.ts';
import { rosterKey } from './row-key.ts';

/** Makes a progress row where there is none. */
export function newProgressPut(table: string, row: Row): TransactWriteItem {
  return {
    Put: {
      TableName: table,
      Item: row,
      ConditionExpression: 'attribute_not_exists(#pk)',
      ExpressionAttributeNames: { '#pk': PROGRESS.pk },
    },
  };
}

/** Names a shard in its generation's roster. */
export function rosterUpdate(
  table: string,
  generation: number,
  shard: string,
): { readonly Update: Update & { UpdateExpression: string } } {
  return {
    Update: {
      TableName: table,
      Key: { [ROSTER.pk]: { S: rosterKey(generation) } },
      UpdateExpression: 'ADD #shards :shard',
      ExpressionAttributeNames: { '#shards': ROSTER.shards },
      ExpressionAttributeValues: { ':shard': { SS: [shard] } },
    },
  };
}

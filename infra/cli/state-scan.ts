import { type DynamoDBClient, GetItemCommand, paginateScan } from '@aws-sdk/client-dynamodb';
import { type S3Client, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { deadLetterPrefix } from '../../shared/output/s3-dead-letters.ts';
import type { Document } from '../../shared/state/document.ts';
import { ITEM } from '../../shared/state/item-attributes.ts';
import { decodeItem } from '../../shared/state/item-codec.ts';
import { decodeControl } from '../../shared/state/progress-codec.ts';
import { CONTROL_KEY, itemKey } from '../../shared/state/row-key.ts';

/**
 * By key: the states by operator, of the keys of the current generation that have any. Reads the whole table, page by
 * page and consistently.
 */
export async function scanStates(
  client: DynamoDBClient,
  table: string,
): Promise<Map<string, ReadonlyMap<string, Document>>> {
  const { Item: control } = await client.send(
    new GetItemCommand({ TableName: table, Key: { [ITEM.pk]: { S: CONTROL_KEY } }, ConsistentRead: true }),
  );
  const states = new Map<string, ReadonlyMap<string, Document>>();
  // No function has run yet.
  if (control === undefined) return states;
  const prefix = itemKey(decodeControl(control).generation, '');
  for await (const { Items = [] } of paginateScan({ client }, { TableName: table, ConsistentRead: true })) {
    for (const row of Items) {
      const pk = row[ITEM.pk]?.S ?? '';
      if (!pk.startsWith(prefix)) continue;
      const item = decodeItem(row);
      if (item.states.size > 0) states.set(pk.slice(prefix.length), item.states);
    }
  }
  return states;
}

/** How many dead letters of the pipeline lie in the bucket. */
export async function countDeadLetters(client: S3Client, bucket: string, pipeline: string): Promise<number> {
  let count = 0;
  const pages = paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: deadLetterPrefix(pipeline) });
  for await (const { Contents = [] } of pages) count += Contents.length;
  return count;
}

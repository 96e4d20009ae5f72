import { type DynamoDBClient, GetItemCommand, paginateScan } from '@aws-sdk/client-dynamodb';
import { type S3Client, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { deadLetterPrefix } from '../../shared/output/s3-dead-letters.ts';
import type { BlobStore } from '../../shared/state/blob-store.ts';
import type { Document } from '../../shared/state/document.ts';
import { ITEM } from '../../shared/state/item-attributes.ts';
import { decodeItem } from '../../shared/state/item-codec.ts';
import { decodeControl } from '../../shared/state/progress-codec.ts';
import { CONTROL_KEY, itemKey } from '../../shared/state/row-key.ts';
import { blobName, unpackBlob } from '../../shared/state/spilled-states.ts';
import type { StateItem } from '../../shared/state/state-item.ts';

/**
 * By key: the states by operator, of the keys of the current generation that have any. Reads the whole table, page by
 * page and consistently. For a pipeline at rest: what is written meanwhile may have other states elsewhere.
 */
export async function scanStates(
  client: DynamoDBClient,
  table: string,
  spilled: BlobStore,
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
      const item = await withStates(decodeItem(row), spilled);
      if (item.states.size > 0) states.set(pk.slice(prefix.length), item.states);
    }
  }
  return states;
}

async function withStates(item: StateItem, spilled: BlobStore): Promise<StateItem> {
  if (item.spilled === undefined) return item;
  const name = blobName(item.pk, item.spilled);
  const blob = await spilled.get(name);
  if (blob === undefined) throw new Error(`The object ${name} with spilled states is missing.`);
  return { ...item, states: unpackBlob(blob, item.pk, item.spilled) };
}

/** How many dead letters of the pipeline lie in the bucket. */
export async function countDeadLetters(client: S3Client, bucket: string, pipeline: string): Promise<number> {
  let count = 0;
  const pages = paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: deadLetterPrefix(pipeline) });
  for await (const { Contents = [] } of pages) count += Contents.length;
  return count;
}

import { BatchGetItemCommand, type BatchGetItemCommandOutput } from '@aws-sdk/client-dynamodb';
import { readUnits, rowBytes, type Row } from './attribute-bytes.ts';
import { MAX_KEYS_PER_READ } from './dynamodb-limits.ts';
import { MAX_REQUESTS_IN_FLIGHT, MAX_SENDS, pauseMs, type DynamoDbTable } from './dynamodb-table.ts';
import { inParallel } from './in-parallel.ts';
import { ITEM } from './item-attributes.ts';
import { decodeItem } from './item-codec.ts';
import { checkRowKey } from './row-key.ts';
import type { StateItem } from './state-item.ts';

/** Reads items consistently, 100 keys to a request, requests in parallel. @throws when some stay unread. */
export async function loadInBatches(
  table: DynamoDbTable,
  pks: readonly string[],
): Promise<Map<string, StateItem>> {
  // A request that names a key twice is refused.
  const unique = [...new Set(pks)];
  for (const pk of unique) checkRowKey(pk);
  const requests: string[][] = [];
  for (let from = 0; from < unique.length; from += MAX_KEYS_PER_READ) {
    requests.push(unique.slice(from, from + MAX_KEYS_PER_READ));
  }
  const items = new Map<string, StateItem>();
  await inParallel(requests, MAX_REQUESTS_IN_FLIGHT, (keys) => loadAll(table, keys, items));
  return items;
}

async function loadAll(
  table: DynamoDbTable,
  keys: readonly string[],
  items: Map<string, StateItem>,
): Promise<void> {
  let pending: Row[] = keys.map((pk) => ({ [ITEM.pk]: { S: pk } }));
  for (let sendsWithoutProgress = 1; ; sendsWithoutProgress++) {
    table.costs.add({ readRequests: 1 });
    const answer = await table.client.send(
      new BatchGetItemCommand({
        RequestItems: { [table.name]: { Keys: pending, ConsistentRead: true } },
        ReturnConsumedCapacity: 'TOTAL',
      }),
    );
    const rows = answer.Responses?.[table.name] ?? [];
    for (const row of rows) {
      const item = decodeItem(row);
      items.set(item.pk, item);
    }
    // An answer ends at 16 MB or when it is throttled; what is missing from it is named.
    const left = answer.UnprocessedKeys?.[table.name]?.Keys ?? [];
    const read = pending.length - left.length;
    table.costs.add({ reads: read, rcu: unitsOf(answer, rows, read) });
    if (left.length === 0) return;
    if (read > 0) sendsWithoutProgress = 1;
    else if (sendsWithoutProgress === MAX_SENDS) {
      throw new Error(
        `Table ${table.name} left ${left.length} of ${keys.length} keys unread after ${MAX_SENDS} requests; it is ` +
          'throttled. The batch will come again; give the table more read capacity if this goes on.',
      );
    }
    await table.delay(pauseMs(sendsWithoutProgress, left[0]?.[ITEM.pk]?.S ?? ''));
    pending = left;
  }
}

function unitsOf(answer: BatchGetItemCommandOutput, rows: readonly Row[], read: number): number {
  const consumed = answer.ConsumedCapacity ?? [];
  if (consumed.length > 0)
    return consumed.reduce((units, { CapacityUnits }) => units + (CapacityUnits ?? 0), 0);
  const missing = read - rows.length;
  return rows.reduce((units, row) => units + readUnits(rowBytes(row)), missing);
}

import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import {
  asError,
  isConditionFailure,
  isRefusal,
  MAX_REQUESTS_IN_FLIGHT,
  type DynamoDbTable,
} from './dynamodb-table.ts';
import { inParallel } from './in-parallel.ts';
import { ITEM } from './item-attributes.ts';
import { billedUnits, tooLarge, type PreparedWrite } from './prepared-write.ts';
import type { CommitResult } from './state-store.ts';
import { shownKey } from './row-key.ts';

/** Writes under the revision of each item, one request each: for engines that know no PartiQL. */
export async function commitByPuts(
  table: DynamoDbTable,
  writes: readonly PreparedWrite[],
): Promise<CommitResult[]> {
  return inParallel(writes, MAX_REQUESTS_IN_FLIGHT, (write) => putOne(table, write));
}

async function putOne(table: DynamoDbTable, prepared: PreparedWrite): Promise<CommitResult> {
  const { pk, row, write } = prepared;
  table.costs.add({ writeRequests: 1 });
  try {
    const answer = await table.client.send(
      new PutItemCommand({
        TableName: table.name,
        Item: row,
        ReturnConsumedCapacity: 'TOTAL',
        ...conditionOf(write.expectedRevision),
      }),
    );
    table.costs.add({
      writes: 1,
      wcu: answer.ConsumedCapacity?.CapacityUnits ?? billedUnits(prepared, true),
    });
    return 'committed';
  } catch (error) {
    if (isConditionFailure(error)) {
      // A failed condition is billed, and the error does not say how much.
      table.costs.add({ writes: 1, wcu: billedUnits(prepared, false) });
      return 'conflict';
    }
    if (error instanceof Error && isRefusal(error.name)) {
      if (/item size/i.test(error.message)) throw tooLarge(pk, `DynamoDB says "${error.message}"`);
      throw new Error(`DynamoDB refuses the write of ${shownKey(pk)}: ${error.message}`, {
        cause: error,
      });
    }
    table.onFailure(asError(error));
    return 'failed';
  }
}

function conditionOf(expectedRevision: number | undefined) {
  if (expectedRevision === undefined) {
    return { ConditionExpression: 'attribute_not_exists(#pk)', ExpressionAttributeNames: { '#pk': ITEM.pk } };
  }
  return {
    ConditionExpression: '#revision = :revision',
    ExpressionAttributeNames: { '#revision': ITEM.revision },
    ExpressionAttributeValues: { ':revision': { N: String(expectedRevision) } },
  };
}

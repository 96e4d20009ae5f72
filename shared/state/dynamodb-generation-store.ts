import {
  BatchWriteItemCommand,
  GetItemCommand,
  PutItemCommand,
  ScanCommand,
  TransactWriteItemsCommand,
  UpdateItemCommand,
  type DynamoDBClient,
  type TransactWriteItem,
} from '@aws-sdk/client-dynamodb';
import { readUnits, rowBytes, type Row } from './attribute-bytes.ts';
import { CostCounter } from './cost-counter.ts';
import type { WriteMode } from './dynamodb-state-store.ts';
import { cancellationCodes, isConditionFailure, MAX_SENDS, pauseMs } from './dynamodb-table.ts';
import { MAX_WRITES_PER_BATCH } from './dynamodb-limits.ts';
import type { GenerationStore, KeyPage, ProgressChange, ScanPage, ScanRequest } from './generation-store.ts';
import { ITEM } from './item-attributes.ts';
import { decodeItem } from './item-codec.ts';
import { CONTROL, decodeControl, encodeControl, newProgressRow, PROGRESS, ROSTER } from './progress-codec.ts';
import { newProgressPut, rosterUpdate } from './progress-writes.ts';
import {
  checkIsOfGeneration,
  CONTROL_KEY,
  generationOfRow,
  isItemOf,
  progressKey,
  rosterKey,
} from './row-key.ts';
import type { Control, Phase, StoreCosts } from './state-store.ts';

export interface DynamoDbGenerationStoreOptions {
  readonly client: DynamoDBClient;
  /** The table's name. */
  readonly table: string;
  /** `single`: without transactions, for one machine only. */
  readonly writes: WriteMode;
  /** Waits, in milliseconds, before something is repeated. */
  readonly delay: (ms: number) => Promise<void>;
}

/** Attributes that `replaceControl` takes away where the new control does not have them. */
const OPTIONAL = [CONTROL.epoch, CONTROL.rank, CONTROL.checkpoint, CONTROL.rewind, CONTROL.left] as const;

/** The GenerationStore on a DynamoDB table. */
export class DynamoDbGenerationStore implements GenerationStore {
  readonly #client: DynamoDBClient;
  readonly #table: string;
  readonly #writes: WriteMode;
  readonly #delay: (ms: number) => Promise<void>;
  readonly #costs = new CostCounter();

  constructor({ client, table, writes, delay }: DynamoDbGenerationStoreOptions) {
    this.#client = client;
    this.#table = table;
    this.#writes = writes;
    this.#delay = delay;
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

  async shards(generation: number): Promise<readonly string[]> {
    const roster = await this.#read(rosterKey(generation));
    return [...(roster?.[ROSTER.shards]?.SS ?? [])].sort();
  }

  async changeProgress(
    generation: number,
    shard: string,
    change: ProgressChange,
    version: number,
  ): Promise<'done' | 'missing' | 'superseded'> {
    const pk = progressKey(generation, shard);
    const writes = changesOf(this.#table, generation, shard, change);
    if (this.#writes === 'single') return this.#changeAfterRead(writes, change.kind, version);
    for (let send = 1; ; send++) {
      this.#costs.add({ writeRequests: 1, writes: 1, wcu: 2 * (writes.length + 1) });
      try {
        const check = {
          TableName: this.#table,
          Key: { [CONTROL.pk]: { S: CONTROL_KEY } },
          ConditionExpression: '#version = :version',
          ExpressionAttributeNames: { '#version': CONTROL.version },
          ExpressionAttributeValues: { ':version': { N: String(version) } },
        };
        await this.#client.send(
          new TransactWriteItemsCommand({ TransactItems: [{ ConditionCheck: check }, ...writes] }),
        );
        return 'done';
      } catch (error) {
        const codes = cancellationCodes(error);
        if (codes === undefined) throw error;
        if (codes[0] === 'ConditionalCheckFailed') return 'superseded';
        if (codes.includes('ConditionalCheckFailed')) return change.kind === 'insert' ? 'done' : 'missing';
        // A batch that is under way writes the same row, or the table is throttled.
        if (send === MAX_SENDS) throw error;
        await this.#delay(pauseMs(send, pk));
      }
    }
  }

  /** The roster is written before the row: no row may be missing in it. */
  async #changeAfterRead(
    writes: readonly TransactWriteItem[],
    kind: ProgressChange['kind'],
    version: number,
  ): Promise<'done' | 'missing' | 'superseded'> {
    const row = await this.#read(CONTROL_KEY);
    if (row === undefined || (decodeControl(row).version ?? 0) !== version) return 'superseded';
    try {
      for (const { Put, Update } of writes.toReversed()) {
        this.#costs.add({ writeRequests: 1, writes: 1, wcu: 1 });
        if (Put !== undefined) await this.#client.send(new PutItemCommand(Put));
        if (Update?.UpdateExpression !== undefined) {
          await this.#client.send(
            new UpdateItemCommand({ ...Update, UpdateExpression: Update.UpdateExpression }),
          );
        }
      }
    } catch (error) {
      if (!isConditionFailure(error)) throw error;
      return kind === 'insert' ? 'done' : 'missing';
    }
    return 'done';
  }

  /** Every row of the table is read, and paid for at half a unit. */
  async keysOf(generations: ReadonlySet<number>, after?: string): Promise<KeyPage> {
    const answer = await this.#client.send(
      new ScanCommand({
        TableName: this.#table,
        ProjectionExpression: '#pk',
        ExpressionAttributeNames: { '#pk': ITEM.pk },
        ...(after !== undefined && { ExclusiveStartKey: { [ITEM.pk]: { S: after } } }),
        ReturnConsumedCapacity: 'TOTAL',
      }),
    );
    const pks = (answer.Items ?? []).map((row) => row[ITEM.pk]?.S ?? '');
    this.#costs.add({
      readRequests: 1,
      reads: pks.length,
      rcu: answer.ConsumedCapacity?.CapacityUnits ?? pks.length / 2,
    });
    const next = answer.LastEvaluatedKey?.[ITEM.pk]?.S;
    return {
      keys: pks.filter((pk) => generations.has(generationOfRow(pk) ?? 0)),
      ...(next !== undefined && { next }),
    };
  }

  async removeRows(keys: readonly string[]): Promise<void> {
    for (const pk of keys) checkIsOfGeneration(pk);
    for (let at = 0; at < keys.length; at += MAX_WRITES_PER_BATCH) {
      let requests = keys
        .slice(at, at + MAX_WRITES_PER_BATCH)
        .map((pk) => ({ DeleteRequest: { Key: { [ITEM.pk]: { S: pk } } } }));
      for (let send = 1; ; send++) {
        const answer = await this.#client.send(
          new BatchWriteItemCommand({
            RequestItems: { [this.#table]: requests },
            ReturnConsumedCapacity: 'TOTAL',
          }),
        );
        const left = (answer.UnprocessedItems?.[this.#table] ?? []) as typeof requests;
        const done = requests.length - left.length;
        const units = answer.ConsumedCapacity?.reduce((sum, { CapacityUnits = 0 }) => sum + CapacityUnits, 0);
        this.#costs.add({ writeRequests: 1, writes: done, wcu: units ?? done });
        requests = left;
        if (requests.length === 0) break;
        if (send === MAX_SENDS) {
          throw new Error(
            `${requests.length} rows could not be removed in ${send} tries: the table is throttled.`,
          );
        }
        await this.#delay(pauseMs(send, keys[at] ?? ''));
      }
    }
  }

  async #read(pk: string): Promise<Row | undefined> {
    this.#costs.add({ readRequests: 1, reads: 1 });
    const { Item: row, ConsumedCapacity: consumed } = await this.#client.send(
      new GetItemCommand({
        TableName: this.#table,
        Key: { [PROGRESS.pk]: { S: pk } },
        ConsistentRead: true,
        ReturnConsumedCapacity: 'TOTAL',
      }),
    );
    this.#costs.add({
      rcu: consumed?.CapacityUnits ?? readUnits(row === undefined ? 0 : rowBytes(row)),
    });
    return row;
  }

  costs(): StoreCosts {
    return this.#costs.total();
  }
}

/** The writes of a change, the progress row's own first. */
function changesOf(
  table: string,
  generation: number,
  shard: string,
  change: ProgressChange,
): readonly TransactWriteItem[] {
  const pk = progressKey(generation, shard);
  const row = { TableName: table, Key: { [PROGRESS.pk]: { S: pk } } };
  const exists = { ConditionExpression: 'attribute_exists(#pk)' };
  const names = { '#pk': PROGRESS.pk, '#sealed': PROGRESS.sealed };
  switch (change.kind) {
    case 'insert':
      return [
        newProgressPut(table, newProgressRow(pk, change.progress)),
        rosterUpdate(table, generation, shard),
      ];
    case 'seal':
      return [
        {
          Update: {
            ...row,
            ...exists,
            UpdateExpression: 'SET #sealed = :true',
            ExpressionAttributeNames: names,
            ExpressionAttributeValues: { ':true': { BOOL: true } },
          },
        },
      ];
    case 'unseal': {
      const { rank } = change;
      return [
        {
          Update: {
            ...row,
            ...exists,
            UpdateExpression: rank === undefined ? 'REMOVE #sealed' : 'SET #rank = :rank REMOVE #sealed',
            ExpressionAttributeNames: rank === undefined ? names : { ...names, '#rank': PROGRESS.rank },
            ...(rank !== undefined && { ExpressionAttributeValues: { ':rank': { N: String(rank) } } }),
          },
        },
      ];
    }
    case 'release':
      return [
        {
          Update: {
            ...row,
            ...exists,
            UpdateExpression: 'SET #phase = :live',
            ExpressionAttributeNames: { '#pk': PROGRESS.pk, '#phase': PROGRESS.phase },
            ExpressionAttributeValues: { ':live': { S: 'live' satisfies Phase } },
          },
        },
      ];
  }
}

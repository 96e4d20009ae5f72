import {
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  TransactWriteItemsCommand,
  UpdateItemCommand,
  type AttributeValue,
  type DynamoDBClient,
  type QueryCommandOutput,
  type UpdateItemCommandInput,
} from '@aws-sdk/client-dynamodb';
import { encodePosition, type Position } from '../source/position.ts';
import { queryUnits, readUnits, rowBytes, type Row } from './attribute-bytes.ts';
import { loadInBatches } from './batch-load.ts';
import { CostCounter } from './cost-counter.ts';
import type { TimeDomain } from '../pipeline/definition.ts';
import { DUE_BUCKETS, DUE_INDEXES, DUE_KEYS_PER_READ, dueBucket, type DueIndex } from './due-buckets.ts';
import {
  cancellationCodes,
  isConditionFailure,
  isRefusal,
  MAX_SENDS,
  pauseMs,
  type DynamoDbTable,
} from './dynamodb-table.ts';
import { inParallel } from './in-parallel.ts';
import { ITEM } from './item-attributes.ts';
import { prepareWrites } from './prepared-write.ts';
import {
  attemptsToForget,
  CONTROL,
  decodeControl,
  decodeProgress,
  encodeControl,
  encodeTime,
  firstControl,
  isSealed,
  newProgressRow,
  PROGRESS,
  turnDeadlines,
} from './progress-codec.ts';
import { newProgressPut, rosterUpdate } from './progress-writes.ts';
import { commitByPuts } from './put-commit.ts';
import { CONTROL_KEY, progressKey, rosterKey } from './row-key.ts';
import type { StateItem } from './state-item.ts';
import { commitByStatements } from './statement-commit.ts';
import type {
  Advance,
  BeginResult,
  CommitResult,
  Control,
  ItemWrite,
  NewProgress,
  Progress,
  StateStore,
  StoreCosts,
} from './state-store.ts';

/**
 * How a store writes. `partiql`: 25 conditional writes to a request, and transactions; AWS and DynamoDB Local.
 * `single`: one request a write and no transactions, for engines that have neither; for one machine only, because
 * a progress row is then made without the guard against a rewind that begins at the same moment.
 */
export type WriteMode = 'partiql' | 'single';

export interface DynamoDbStateStoreOptions {
  readonly client: DynamoDBClient;
  /** The table's name; its partition key is `pk`, a string, and it has no sort key. */
  readonly table: string;
  readonly writes: WriteMode;
  /** Waits, in milliseconds, before something is repeated. */
  readonly delay: (ms: number) => Promise<void>;
  /** Told the reason of each `failed`: for logs. */
  readonly onFailure?: (error: Error) => void;
  /** Whether a table without a control row is that of a pipeline that awaits its fork. */
  readonly awaitsFork?: boolean;
}

/** Operands in one update expression, well below DynamoDB's limits of 300 operators and 4 KB. */
const MAX_REMOVALS_PER_UPDATE = 100;

/** The StateStore on a DynamoDB table. Costs are what DynamoDB reports, and by its rules where it reports nothing. */
export class DynamoDbStateStore implements StateStore {
  readonly #table: DynamoDbTable;
  readonly #writes: WriteMode;
  readonly #awaitsFork: boolean;
  /** By progress row: attempts that the next advance removes. */
  readonly #forgotten = new Map<string, readonly string[]>();

  constructor(options: DynamoDbStateStoreOptions) {
    const { client, table, writes, delay, onFailure, awaitsFork = false } = options;
    this.#table = {
      client,
      name: table,
      delay,
      costs: new CostCounter(),
      onFailure: onFailure ?? (() => undefined),
    };
    this.#writes = writes;
    this.#awaitsFork = awaitsFork;
  }

  async load(pks: readonly string[]): Promise<Map<string, StateItem>> {
    return loadInBatches(this.#table, pks);
  }

  async commit(writes: readonly ItemWrite[]): Promise<CommitResult[]> {
    const prepared = prepareWrites(writes);
    return this.#writes === 'partiql'
      ? commitByStatements(this.#table, prepared)
      : commitByPuts(this.#table, prepared);
  }

  async readControl(isByPartition = false): Promise<Control> {
    const control = await this.#controlMadeWhereMissing();
    if (!isByPartition || control.isByPartition === true) return control;
    const row = await this.#update(CONTROL_KEY, {
      UpdateExpression: 'SET #byPartition = :true',
      ConditionExpression: 'attribute_exists(#pk)',
      ExpressionAttributeNames: { '#pk': CONTROL.pk, '#byPartition': CONTROL.byPartition },
      ExpressionAttributeValues: { ':true': { BOOL: true } },
    });
    if (row === undefined) throw new Error(`Table ${this.#table.name} has lost its control row.`);
    return decodeControl(row);
  }

  async #controlMadeWhereMissing(): Promise<Control> {
    const row = await this.#read(CONTROL_KEY);
    if (row !== undefined) return decodeControl(row);
    const first = firstControl(this.#awaitsFork);
    if (await this.#putNew(encodeControl(first))) return first;
    // Another container made it in between.
    return decodeControl((await this.#read(CONTROL_KEY)) ?? encodeControl(first));
  }

  async beginAttempt(
    generation: number,
    shard: string,
    first: Position,
    handedIn?: Position,
  ): Promise<BeginResult> {
    const pk = progressKey(generation, shard);
    const name = encodePosition(first);
    for (;;) {
      const row =
        (await this.#countAttempt(pk, name, handedIn, handedIn !== undefined)) ??
        // A batch that went further may have been handed in before.
        (handedIn === undefined ? undefined : await this.#countAttempt(pk, name, handedIn, false));
      if (row !== undefined) {
        const progress = decodeProgress(row);
        this.#forgotten.set(pk, attemptsToForget(progress.attempts, name));
        return { kind: 'open', progress };
      }
      const found = await this.#read(pk);
      if (found === undefined) return { kind: 'missing' };
      if (isSealed(found)) return { kind: 'sealed' };
      // Somebody has made the row between two requests: nothing is begun of which it does not say how far it goes.
    }
  }

  /** @param isHighest whether `handedIn` is to be noted, where it is the highest; else only where a higher one is. */
  #countAttempt(
    pk: string,
    name: string,
    handedIn: Position | undefined,
    isHighest: boolean,
  ): Promise<Row | undefined> {
    const isNoted = handedIn !== undefined;
    const place = isHighest
      ? '(attribute_not_exists(#handedIn) OR #handedIn <= :handedIn)'
      : '#handedIn > :handedIn';
    return this.#update(pk, {
      UpdateExpression:
        'SET #counts.#name = if_not_exists(#counts.#name, :zero) + :one' +
        (isHighest ? ', #handedIn = :handedIn' : ''),
      ConditionExpression: isNoted ? `${OPEN} AND ${place}` : OPEN,
      ExpressionAttributeNames: {
        ...OPEN_NAMES,
        '#counts': PROGRESS.attempts,
        '#name': name,
        ...(isNoted && { '#handedIn': PROGRESS.handedIn }),
      },
      ExpressionAttributeValues: {
        ':zero': { N: '0' },
        ':one': { N: '1' },
        ...(isNoted && { ':handedIn': { S: encodePosition(handedIn) } }),
      },
    });
  }

  async partLanes(
    generation: number,
    shard: string,
    handedIn: Position | undefined,
    byShardUntil: Position | undefined,
  ): Promise<boolean> {
    const isNoted = handedIn !== undefined;
    const hasUntil = byShardUntil !== undefined;
    const row = await this.#update(progressKey(generation, shard), {
      UpdateExpression: `SET #byPartition = :true${hasUntil ? ', #until = :until' : ''}`,
      ConditionExpression:
        `${OPEN} AND attribute_not_exists(#byPartition) AND ` +
        (isNoted ? '#handedIn = :handedIn' : 'attribute_not_exists(#handedIn)'),
      ExpressionAttributeNames: {
        ...OPEN_NAMES,
        '#byPartition': PROGRESS.byPartition,
        '#handedIn': PROGRESS.handedIn,
        ...(hasUntil && { '#until': PROGRESS.byShardUntil }),
      },
      ExpressionAttributeValues: {
        ':true': { BOOL: true },
        ...(isNoted && { ':handedIn': { S: encodePosition(handedIn) } }),
        ...(hasUntil && { ':until': { S: encodePosition(byShardUntil) } }),
      },
    });
    return row !== undefined;
  }

  async createProgress(
    generation: number,
    shard: string,
    given: NewProgress = {},
  ): Promise<'created' | 'exists' | 'refused'> {
    return this.#writes === 'partiql'
      ? this.#createInTransaction(generation, shard, given)
      : this.#createAfterRead(generation, shard, given);
  }

  async readProgress(generation: number, shard: string): Promise<Progress | undefined> {
    const row = await this.#read(progressKey(generation, shard));
    return row === undefined ? undefined : decodeProgress(row);
  }

  async suspect(
    generation: number,
    shard: string,
    turn: string,
    deadlineMs: number,
    ended = turn,
  ): Promise<readonly number[] | 'sealed'> {
    const pk = progressKey(generation, shard);
    const isOther = ended !== turn;
    const row = await this.#update(pk, {
      UpdateExpression:
        'SET #turns.#turn = list_append(if_not_exists(#turns.#turn, :none), :deadline)' +
        (isOther ? ' REMOVE #turns.#ended' : ''),
      ConditionExpression: OPEN,
      ExpressionAttributeNames: {
        ...OPEN_NAMES,
        '#turns': PROGRESS.suspects,
        '#turn': turn,
        ...(isOther ? { '#ended': ended } : {}),
      },
      ExpressionAttributeValues: { ':none': { L: [] }, ':deadline': { L: [{ N: String(deadlineMs) }] } },
    });
    if (row === undefined) return 'sealed';
    return turnDeadlines(row[PROGRESS.suspects]?.M?.[turn]);
  }

  async advance(generation: number, shard: string, advance: Advance): Promise<'advanced' | 'sealed'> {
    const pk = progressKey(generation, shard);
    const attempts = new Set([encodePosition(advance.first), ...(this.#forgotten.get(pk) ?? [])]);
    this.#forgotten.delete(pk);
    const removals = [
      ...[...attempts].map((name) => ({ counts: '#attempts', name })),
      ...[...new Set(advance.endedTurns)].map((name) => ({
        counts: '#suspects',
        name,
      })),
    ];
    const removalsNow = removals.slice(0, MAX_REMOVALS_PER_UPDATE);
    const done =
      (advance.position !== undefined && (await this.#advanceOnce(pk, advance, removalsNow, true))) ||
      // The position may be the row's own or lower (I2), or the row may be sealed: the second request tells which.
      (await this.#advanceOnce(pk, advance, removalsNow, false));
    if (!done) return 'sealed';
    for (let from = MAX_REMOVALS_PER_UPDATE; from < removals.length; from += MAX_REMOVALS_PER_UPDATE) {
      const { expression, names } = removing(removals.slice(from, from + MAX_REMOVALS_PER_UPDATE));
      await this.#update(pk, {
        UpdateExpression: expression,
        ConditionExpression: OPEN,
        ExpressionAttributeNames: { ...OPEN_NAMES, ...names },
      });
    }
    return 'advanced';
  }

  async liftTime(
    generation: number,
    shard: string,
    position: Position | undefined,
    liftedMs: number,
  ): Promise<boolean> {
    const isThere = position === undefined ? 'attribute_not_exists(#position)' : '#position = :position';
    const row = await this.#update(progressKey(generation, shard), {
      UpdateExpression: 'SET #lifted = :lifted',
      ConditionExpression: `${OPEN} AND ${isThere} AND (attribute_not_exists(#lifted) OR #lifted < :lifted)`,
      ExpressionAttributeNames: { ...OPEN_NAMES, '#position': PROGRESS.position, '#lifted': PROGRESS.lifted },
      ExpressionAttributeValues: {
        ':lifted': { N: String(liftedMs) },
        ...(position === undefined ? {} : { ':position': { S: encodePosition(position) } }),
      },
    });
    return row !== undefined;
  }

  /** All parts are asked at once, page by page in turn, so that none waits until another has come to its end. */
  async *due(
    generation: number,
    upToMs: number,
    domain: TimeDomain = 'event',
  ): AsyncGenerator<readonly string[]> {
    const index = DUE_INDEXES[domain];
    let parts: DuePart[] = Array.from({ length: DUE_BUCKETS }, (_, bucket) => ({
      bucket: dueBucket(generation, bucket),
    }));
    while (parts.length > 0) {
      const pages = await inParallel(parts, DUE_BUCKETS, (part) => this.#duePage(index, part, upToMs));
      for (const { keys } of pages) if (keys.length > 0) yield keys;
      parts = pages.map(({ next }) => next).filter((next) => next !== undefined);
    }
  }

  async #duePage(
    index: DueIndex,
    { bucket, after }: DuePart,
    upToMs: number,
  ): Promise<{ readonly keys: readonly string[]; readonly next: DuePart | undefined }> {
    const { client, name, costs } = this.#table;
    costs.add({ readRequests: 1 });
    let answer: QueryCommandOutput;
    try {
      answer = await client.send(
        new QueryCommand({
          TableName: name,
          IndexName: index.name,
          KeyConditionExpression: '#bucket = :bucket AND #due <= :upTo',
          ExpressionAttributeNames: { '#bucket': ITEM.dueBucket, '#due': index.due },
          ExpressionAttributeValues: { ':bucket': { S: bucket }, ':upTo': { N: storableMs(upToMs) } },
          Limit: DUE_KEYS_PER_READ,
          ...(after !== undefined && { ExclusiveStartKey: after }),
          ReturnConsumedCapacity: 'TOTAL',
        }),
      );
    } catch (error) {
      if (!(error instanceof Error) || !isRefusal(error.name)) throw error;
      throw new Error(
        `DynamoDB refuses to tell what is due in table ${name}: ${error.message} The table of a pipeline with ` +
          `${index.of} has the index "${index.name}", and its function may query it: deploy its stack again.`,
        { cause: error },
      );
    }
    const rows = answer.Items ?? [];
    // Engines of one machine report nothing for a page without a row; AWS bills the least that there is.
    const rcu = Math.max(
      queryUnits(0),
      answer.ConsumedCapacity?.CapacityUnits ?? queryUnits(rows.reduce((sum, row) => sum + rowBytes(row), 0)),
    );
    costs.add({ reads: rows.length, rcu });
    const last = answer.LastEvaluatedKey;
    return {
      keys: rows.map((row) => row[ITEM.pk]?.S ?? ''),
      next: last === undefined ? undefined : { bucket, after: last },
    };
  }

  costs(): StoreCosts {
    return this.#table.costs.total();
  }

  /** @returns false where the condition fails. */
  async #advanceOnce(
    pk: string,
    advance: Advance,
    removals: readonly Removal[],
    withPosition: boolean,
  ): Promise<boolean> {
    const { expression, names } = removing(removals);
    const position = withPosition ? advance.position : undefined;
    const arrivalMs = position === undefined ? undefined : advance.arrivalMs;
    const time = position === undefined ? undefined : advance.time;
    const row = await this.#update(pk, {
      UpdateExpression: [
        'SET #records = #records + :records',
        ...(position === undefined ? [] : [', #position = :position']),
        ...(arrivalMs === undefined ? [] : [', #arrivalMs = :arrivalMs']),
        ...(time === undefined ? [] : [', #time = :time']),
        ` ${expression}`,
      ].join(''),
      ConditionExpression:
        position === undefined
          ? OPEN
          : `${OPEN} AND (attribute_not_exists(#position) OR #position < :position)`,
      ExpressionAttributeNames: {
        ...OPEN_NAMES,
        ...names,
        '#records': PROGRESS.records,
        ...(position === undefined ? {} : { '#position': PROGRESS.position }),
        ...(arrivalMs === undefined ? {} : { '#arrivalMs': PROGRESS.arrivalMs }),
        ...(time === undefined ? {} : { '#time': PROGRESS.time }),
      },
      ExpressionAttributeValues: {
        ':records': { N: String(advance.records) },
        ...(position === undefined ? {} : { ':position': { S: encodePosition(position) } }),
        ...(arrivalMs === undefined ? {} : { ':arrivalMs': { N: String(arrivalMs) } }),
        ...(time === undefined ? {} : { ':time': encodeTime(time) }),
      },
    });
    return row !== undefined;
  }

  async #createInTransaction(
    generation: number,
    shard: string,
    given: NewProgress,
  ): Promise<'created' | 'exists' | 'refused'> {
    const { client, name, costs, delay } = this.#table;
    const pk = progressKey(generation, shard);
    for (let send = 1; ; send++) {
      costs.add({ writeRequests: 1 });
      try {
        const answer = await client.send(
          new TransactWriteItemsCommand({
            TransactItems: [
              {
                ConditionCheck: {
                  TableName: name,
                  Key: { [CONTROL.pk]: { S: CONTROL_KEY } },
                  ConditionExpression:
                    '#generation = :generation AND #phase = :live AND ' +
                    (given.rank === undefined ? 'attribute_not_exists(#rank)' : '#rank = :rank'),
                  ExpressionAttributeNames: {
                    '#generation': CONTROL.generation,
                    '#phase': CONTROL.phase,
                    '#rank': CONTROL.rank,
                  },
                  ExpressionAttributeValues: {
                    ':generation': { N: String(generation) },
                    ':live': { S: 'live' },
                    ...(given.rank !== undefined && { ':rank': { N: String(given.rank) } }),
                  },
                },
              },
              newProgressPut(name, newProgressRow(pk, given)),
              rosterUpdate(name, generation, shard),
            ],
            ReturnConsumedCapacity: 'TOTAL',
          }),
        );
        const consumed = answer.ConsumedCapacity ?? [];
        costs.add({
          writes: 1,
          wcu:
            consumed.length === 0
              ? TRANSACTION_UNITS
              : consumed.reduce((units, { CapacityUnits }) => units + (CapacityUnits ?? 0), 0),
        });
        return 'created';
      } catch (error) {
        const codes = cancellationCodes(error);
        if (codes === undefined) throw error;
        costs.add({ writes: 1, wcu: TRANSACTION_UNITS });
        if (codes[0] === 'ConditionalCheckFailed') return 'refused';
        if (codes[1] === 'ConditionalCheckFailed') return 'exists';
        // Another container's transaction or a write was under way on one of the rows, or the table is throttled.
        if (send === MAX_SENDS) throw error;
        await delay(pauseMs(send, pk));
      }
    }
  }

  /** The roster is written before the row: no row may be missing in it. */
  async #createAfterRead(
    generation: number,
    shard: string,
    given: NewProgress,
  ): Promise<'created' | 'exists' | 'refused'> {
    const row = await this.#read(CONTROL_KEY);
    if (row === undefined) return 'refused';
    const control = decodeControl(row);
    if (control.generation !== generation || control.phase !== 'live') return 'refused';
    if (control.rank !== given.rank) return 'refused';
    const { UpdateExpression, ExpressionAttributeNames, ExpressionAttributeValues } = rosterUpdate(
      this.#table.name,
      generation,
      shard,
    ).Update;
    await this.#update(rosterKey(generation), {
      UpdateExpression,
      ExpressionAttributeNames,
      ExpressionAttributeValues,
    });
    return (await this.#putNew(newProgressRow(progressKey(generation, shard), given))) ? 'created' : 'exists';
  }

  async #read(pk: string): Promise<Row | undefined> {
    const { client, name, costs } = this.#table;
    costs.add({ readRequests: 1 });
    const { Item: row, ConsumedCapacity: consumed } = await client.send(
      new GetItemCommand({
        TableName: name,
        Key: { [PROGRESS.pk]: { S: pk } },
        ConsistentRead: true,
        ReturnConsumedCapacity: 'TOTAL',
      }),
    );
    costs.add({
      reads: 1,
      rcu: consumed?.CapacityUnits ?? readUnits(row === undefined ? 0 : rowBytes(row)),
    });
    return row;
  }

  /** @returns the row as updated, or `undefined` where the condition fails. */
  async #update(
    pk: string,
    update: Omit<UpdateItemCommandInput, 'TableName' | 'Key'>,
  ): Promise<Row | undefined> {
    const { client, name, costs } = this.#table;
    costs.add({ writeRequests: 1 });
    try {
      const { Attributes: row = {}, ConsumedCapacity: consumed } = await client.send(
        new UpdateItemCommand({
          ...update,
          TableName: name,
          Key: { [PROGRESS.pk]: { S: pk } },
          ReturnValues: 'ALL_NEW',
          ReturnConsumedCapacity: 'TOTAL',
        }),
      );
      costs.add({ writes: 1, wcu: consumed?.CapacityUnits ?? 1 });
      return row;
    } catch (error) {
      if (!isConditionFailure(error)) throw error;
      // A progress row is below 1 KB, so that a failed condition costs one unit.
      costs.add({ writes: 1, wcu: 1 });
      return undefined;
    }
  }

  /** @returns false where there is a row under its key. */
  async #putNew(row: Row): Promise<boolean> {
    const { client, name, costs } = this.#table;
    costs.add({ writeRequests: 1 });
    try {
      const { ConsumedCapacity: consumed } = await client.send(
        new PutItemCommand({
          TableName: name,
          Item: row,
          ConditionExpression: 'attribute_not_exists(#pk)',
          ExpressionAttributeNames: { '#pk': PROGRESS.pk },
          ReturnConsumedCapacity: 'TOTAL',
        }),
      );
      costs.add({ writes: 1, wcu: consumed?.CapacityUnits ?? 1 });
      return true;
    } catch (error) {
      if (!isConditionFailure(error)) throw error;
      costs.add({ writes: 1, wcu: 1 });
      return false;
    }
  }
}

/** The condition that a progress row exists and is not sealed. */
const OPEN = 'attribute_exists(#pk) AND attribute_not_exists(#sealed)';
const OPEN_NAMES = { '#pk': PROGRESS.pk, '#sealed': PROGRESS.sealed };

/** Where reading one part of the index of what is due goes on. */
interface DuePart {
  readonly bucket: string;
  readonly after?: Record<string, AttributeValue>;
}

/** A time as a number that DynamoDB takes: no item waits for one below 0 or above the highest integer. */
function storableMs(ms: number): string {
  return String(Math.max(-1, Math.min(ms, Number.MAX_SAFE_INTEGER)));
}

/** Twice a unit for the control row that is checked, and for each of the two rows that are written. */
const TRANSACTION_UNITS = 6;

/** A name to take out of one of the row's maps; a name that is not there is no error. */
interface Removal {
  readonly counts: string;
  readonly name: string;
}

function removing(removals: readonly Removal[]): { expression: string; names: Record<string, string> } {
  const names: Record<string, string> = {};
  const paths = removals.map(({ counts, name }, index) => {
    names[counts] = counts === '#attempts' ? PROGRESS.attempts : PROGRESS.suspects;
    names[`#n${index}`] = name;
    return `${counts}.#n${index}`;
  });
  return { expression: `REMOVE ${paths.join(', ')}`, names };
}

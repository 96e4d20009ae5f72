import {
  BatchGetItemCommand,
  ScanCommand,
  type AttributeValue,
  type DynamoDBClient,
} from '@aws-sdk/client-dynamodb';
import type { Row } from '../pipeline/definition.ts';
import { rowBytes, type Row as Item } from '../state/attribute-bytes.ts';
import { MAX_KEYS_PER_READ } from '../state/dynamodb-limits.ts';
import { MAX_REQUESTS_IN_FLIGHT, MAX_SENDS, pauseMs } from '../state/dynamodb-table.ts';
import { inParallel } from '../state/in-parallel.ts';
import { setOwn } from '../state/own-property.ts';
import type { LookupPort } from './lookup-port.ts';

/** DynamoDB tables, read with eventual consistency: what a row may be older than it is told anyway. */
export class DynamoDbLookup implements LookupPort {
  readonly #client: Pick<DynamoDBClient, 'send'>;
  readonly #nameOf: (table: string) => string;
  readonly #delay: (ms: number) => Promise<void>;

  /** @param nameOf the physical name of a table. */
  constructor(
    client: Pick<DynamoDBClient, 'send'>,
    nameOf: (table: string) => string,
    delay: (ms: number) => Promise<void>,
  ) {
    this.#client = client;
    this.#nameOf = nameOf;
    this.#delay = delay;
  }

  async get(table: string, partitionKey: string, keys: readonly string[]): Promise<ReadonlyMap<string, Row>> {
    const found = new Map<string, Row>();
    const requests: (readonly string[])[] = [];
    for (let from = 0; from < keys.length; from += MAX_KEYS_PER_READ)
      requests.push(keys.slice(from, from + MAX_KEYS_PER_READ));
    await this.#reading(table, () =>
      inParallel(requests, MAX_REQUESTS_IN_FLIGHT, (each) => this.#getAll(table, partitionKey, each, found)),
    );
    return found;
  }

  async all(table: string, partitionKey: string, maximumBytes: number): Promise<ReadonlyMap<string, Row>> {
    const found = new Map<string, Row>();
    let bytes = 0;
    await this.#reading(table, async () => {
      let start: Item | undefined;
      do {
        const page = await this.#client.send(
          new ScanCommand({
            TableName: this.#nameOf(table),
            ...(start !== undefined && { ExclusiveStartKey: start }),
          }),
        );
        for (const item of page.Items ?? []) {
          bytes += rowBytes(item);
          found.set(keyOf(item, partitionKey), rowOf(item));
        }
        if (bytes > maximumBytes) {
          throw new Error(
            `it holds more than ${maximumBytes} bytes, which each container would keep: look its rows up one by one ` +
              "with 'lookup'",
          );
        }
        start = page.LastEvaluatedKey;
      } while (start !== undefined);
    });
    return found;
  }

  async #getAll(
    table: string,
    partitionKey: string,
    keys: readonly string[],
    found: Map<string, Row>,
  ): Promise<void> {
    const name = this.#nameOf(table);
    let pending: Item[] = keys.map((key) => ({ [partitionKey]: { S: key } }));
    for (let sends = 1; ; sends++) {
      const answer = await this.#client.send(
        new BatchGetItemCommand({ RequestItems: { [name]: { Keys: pending } } }),
      );
      for (const item of answer.Responses?.[name] ?? []) found.set(keyOf(item, partitionKey), rowOf(item));
      // An answer ends at 16 MB or when it is throttled; what is missing from it is named.
      const left = answer.UnprocessedKeys?.[name]?.Keys ?? [];
      if (left.length === 0) return;
      if (left.length < pending.length) sends = 0;
      if (sends === MAX_SENDS) throw new Error(`it is throttled: ${left.length} rows stay unread`);
      await this.#delay(pauseMs(Math.max(1, sends), left[0]?.[partitionKey]?.S ?? ''));
      pending = left;
    }
  }

  async #reading<T>(table: string, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(
        `Table '${table}' (${this.#nameOf(table)}) cannot be looked up: ${reason}. The batch comes again.`,
        { cause: error },
      );
    }
  }
}

/** @throws TypeError where the table's key is another. */
function keyOf(item: Item, partitionKey: string): string {
  const key = item[partitionKey]?.S;
  if (key === undefined) {
    throw new TypeError(`its rows have no string attribute '${partitionKey}'; say what its partition key is`);
  }
  return key;
}

/** An item as the plain object that it is. */
export function rowOf(item: Item): Row {
  const row: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(item)) setOwn(row, name, plainOf(value));
  return row;
}

function plainOf(value: AttributeValue): unknown {
  if (value.S !== undefined) return value.S;
  if (value.N !== undefined) return Number(value.N);
  if (value.BOOL !== undefined) return value.BOOL;
  if (value.NULL !== undefined) return null;
  if (value.L !== undefined) return value.L.map(plainOf);
  if (value.M !== undefined) return rowOf(value.M);
  if (value.B !== undefined) return new Uint8Array(value.B);
  if (value.NS !== undefined) return value.NS.map(Number);
  return value.SS ?? value.BS?.map((bytes) => new Uint8Array(bytes));
}

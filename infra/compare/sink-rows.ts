import {
  BatchGetItemCommand,
  paginateScan,
  type AttributeValue,
  type DynamoDBClient,
} from '@aws-sdk/client-dynamodb';
import { setTimeout as wait } from 'node:timers/promises';
import { decodeDocument } from '../../shared/state/document-codec.ts';
import { comparableText, type IgnoredFields } from './comparable-text.ts';

/** An item of a table that a sink fills. */
export interface SinkRow {
  readonly pk: string;
  /** Of the output. */
  readonly id: string;
  /** As `comparableText`. */
  readonly value: string;
  /** The state item that made it, without its generation: `s/<key>`. */
  readonly source: string;
}

const ROWS_PER_REQUEST = 100;
const UNPROCESSED_PAUSE_MS = 200;

/** The table of a sink, read and never written. */
export class SinkRows {
  readonly #client: DynamoDBClient;
  readonly #table: string;
  readonly #ignored: IgnoredFields;

  constructor(client: DynamoDBClient, table: string, ignored: IgnoredFields) {
    this.#client = client;
    this.#table = table;
    this.#ignored = ignored;
  }

  /** Some at a time, in no order. */
  async *pages(): AsyncGenerator<SinkRow[]> {
    const pages = paginateScan(
      { client: this.#client },
      { TableName: this.#table, ConsistentRead: true, Limit: ROWS_PER_REQUEST },
    );
    for await (const { Items = [] } of pages) yield Items.flatMap((item) => this.#rowOf(item));
  }

  /** Those that there are, by partition key. @param pks 100 at most. */
  async load(pks: readonly string[]): Promise<Map<string, SinkRow>> {
    const rows = new Map<string, SinkRow>();
    let keys: Record<string, AttributeValue>[] = [...new Set(pks)].map((pk) => ({ pk: { S: pk } }));
    while (keys.length > 0) {
      const { Responses, UnprocessedKeys } = await this.#client.send(
        new BatchGetItemCommand({ RequestItems: { [this.#table]: { Keys: keys, ConsistentRead: true } } }),
      );
      for (const item of Responses?.[this.#table] ?? []) {
        for (const row of this.#rowOf(item)) rows.set(row.pk, row);
      }
      keys = UnprocessedKeys?.[this.#table]?.Keys ?? [];
      if (keys.length > 0) await wait(UNPROCESSED_PAUSE_MS);
    }
    return rows;
  }

  /** None where it is not of a sink. */
  #rowOf({ pk, id, value, source }: Record<string, AttributeValue>): SinkRow[] {
    if (pk?.S === undefined || id?.S === undefined || value === undefined) return [];
    const text = comparableText(decodeDocument(value), this.#ignored);
    return [{ pk: pk.S, id: id.S, value: text, source: source?.S ?? '' }];
  }
}

import type { Lookup, Row } from '../pipeline/definition.ts';
import { RecordError } from '../source/record-error.ts';
import { utf8Bytes } from '../state/utf8-bytes.ts';
import type { Runtime } from './runtime.ts';

/** What the rows of a broadcast may be, as DynamoDB counts: a container keeps them all. */
export const BROADCAST_LIMIT_BYTES = 4 * 1024 * 1024;
/** Rows of a table that a container keeps from one batch to the next, and what they may be, roughly. */
const ROWS_KEPT = 10_000;
const BYTES_KEPT = 16 * 1024 * 1024;
/** DynamoDB: of a partition key. */
const KEY_LIMIT_BYTES = 2_048;

interface KnownRow {
  readonly row: Row | undefined;
  readonly atMs: number;
  readonly bytes: number;
}

/** What a container knows of one table, and since when, milliseconds since the epoch. */
interface KnownTable {
  readonly rows: Map<string, KnownRow>;
  /** Of these rows. */
  bytes: number;
  all?: { readonly rows: ReadonlyMap<string, Row>; readonly atMs: number };
}

/** What a container knows of tables, by their logical names. */
export type KnownTables = Map<string, KnownTable>;

/**
 * Rows of other tables while a batch is processed. A fold is synchronous: it is given what is known, and what is not is
 * noted. A fold that asked for such a row counts for nothing; it is run again when the row is read. So user code may see
 * that a row is missing which is there, in a run of which nothing remains.
 */
export class LookedUp {
  readonly #runtime: Pick<Runtime, 'lookups' | 'clock'>;
  readonly #known: KnownTables;
  readonly #beganMs: number;
  readonly #wanted = new Map<Lookup, Set<string> | 'all'>();
  #missed = 0;

  constructor(runtime: Pick<Runtime, 'lookups' | 'clock' | 'knownTables'>) {
    this.#runtime = runtime;
    this.#known = runtime.knownTables ??= new Map();
    // What is old enough by then stays so while the batch runs: one batch sees one row.
    this.#beganMs = runtime.clock.nowMs();
    for (const known of this.#known.values()) {
      for (const key of known.rows.keys()) {
        if (known.rows.size <= ROWS_KEPT && known.bytes <= BYTES_KEPT) break;
        forget(known, key);
      }
    }
  }

  /** Rises with every row that was asked for and is not known. */
  get missed(): number {
    return this.#missed;
  }

  /** @throws RecordError where DynamoDB cannot have such a key. */
  row(lookup: Lookup, key: unknown): Row | undefined {
    if (key === undefined) return undefined;
    const name = requireRowKey(lookup, key);
    const known = this.#known.get(lookup.table)?.rows.get(name);
    if (known !== undefined && this.#isFresh(lookup, known)) return known.row;
    this.#missed += 1;
    const wanted = this.#wanted.get(lookup);
    if (wanted instanceof Set) wanted.add(name);
    else this.#wanted.set(lookup, new Set([name]));
    return undefined;
  }

  all(lookup: Lookup): ReadonlyMap<string, Row> {
    const known = this.#known.get(lookup.table)?.all;
    if (known !== undefined && this.#isFresh(lookup, known)) return known.rows;
    this.#missed += 1;
    this.#wanted.set(lookup, 'all');
    return NO_ROWS;
  }

  /** Reads what was missed. @throws where it cannot be read; the batch comes again. */
  async read(): Promise<void> {
    const { lookups, clock } = this.#runtime;
    if (lookups === undefined) throw new Error('The runtime has no port to look rows up.');
    const wanted = [...this.#wanted];
    this.#wanted.clear();
    await Promise.all(
      wanted.map(async ([{ table, partitionKey }, keys]) => {
        // A clock that was set back would have it read for ever.
        const atMs = Math.max(clock.nowMs(), this.#beganMs);
        const known: KnownTable = this.#known.get(table) ?? { rows: new Map(), bytes: 0 };
        this.#known.set(table, known);
        if (keys === 'all') {
          const rows = await lookups.all(table, partitionKey, BROADCAST_LIMIT_BYTES);
          for (const row of rows.values()) freeze(row);
          known.all = { rows, atMs };
          return;
        }
        const found = await lookups.get(table, partitionKey, [...keys]);
        for (const key of keys) {
          forget(known, key);
          const row = freeze(found.get(key));
          const bytes = roughBytes(key) + roughBytes(row);
          known.rows.set(key, { row, atMs, bytes });
          known.bytes += bytes;
        }
      }),
    );
  }

  #isFresh({ stalenessMs }: Lookup, { atMs }: { readonly atMs: number }): boolean {
    return atMs >= this.#beganMs - stalenessMs;
  }
}

function forget(known: KnownTable, key: string): void {
  known.bytes -= known.rows.get(key)?.bytes ?? 0;
  known.rows.delete(key);
}

/** Runs something again until it has asked for no row that is not known. */
export async function withRows<T>(rows: LookedUp | undefined, run: () => T): Promise<T> {
  for (;;) {
    const missed = rows?.missed;
    const result = run();
    if (rows?.missed === missed) return result;
    await rows?.read();
  }
}

const NO_ROWS: ReadonlyMap<string, Row> = new Map();

function requireRowKey({ table }: Lookup, key: unknown): string {
  const problem = rowKeyProblem(key);
  if (problem === undefined) return key as string;
  throw new RecordError(
    'fold',
    `the key to look up in table '${table}' is ${problem}; it is a string of 1 to ${KEY_LIMIT_BYTES} bytes, or undefined for no row`,
  );
}

function rowKeyProblem(key: unknown): string | undefined {
  if (typeof key !== 'string') return `a value of type ${key === null ? 'null' : typeof key}`;
  if (key === '') return 'an empty text';
  const bytes = utf8Bytes(key);
  // Two such keys become one on the way, and DynamoDB refuses a request that names one twice.
  if (bytes < 0) return 'a text with a lone surrogate, which UTF-8 cannot express';
  return bytes > KEY_LIMIT_BYTES ? `${bytes} bytes of UTF-8` : undefined;
}

/** Whoever changed a row in place would change it for every record. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  for (const each of Object.values(value)) freeze(each);
  return Object.freeze(value);
}

/** What a value takes in memory, roughly. */
function roughBytes(value: unknown): number {
  if (typeof value === 'string') return 16 + 2 * value.length;
  if (ArrayBuffer.isView(value)) return 16 + value.byteLength;
  if (typeof value !== 'object' || value === null) return 16;
  return Object.values(value).reduce<number>((sum, each) => sum + roughBytes(each), 32);
}

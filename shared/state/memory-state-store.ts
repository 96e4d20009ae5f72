import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { encodePosition, type Position } from '../source/position.ts';
import { queryUnits, readUnits, rowBytes, writeUnits, type Row } from './attribute-bytes.ts';
import { CostCounter } from './cost-counter.ts';
import type { TimeDomain } from '../pipeline/definition.ts';
import {
  DUE_BUCKETS,
  DUE_INDEXES,
  DUE_KEYS_PER_READ,
  dueBucket,
  dueEntry,
  dueIndexUnits,
  type DueIndex,
  type DueTimes,
} from './due-buckets.ts';
import { MAX_KEYS_PER_READ, MAX_STATEMENTS_PER_WRITE } from './dynamodb-limits.ts';
import { ITEM } from './item-attributes.ts';
import { decodeItem } from './item-codec.ts';
import { setOwn } from './own-property.ts';
import { prepareWrites, type PreparedWrite } from './prepared-write.ts';
import {
  attemptsToForget,
  decodeControl,
  decodeProgress,
  encodeControl,
  encodeTime,
  firstControl,
  isSealed,
  newProgressRow,
  PROGRESS,
  ROSTER,
  turnDeadlines,
} from './progress-codec.ts';
import { checkRowKey, CONTROL_KEY, progressKey, rosterKey } from './row-key.ts';
import type { StateItem } from './state-item.ts';
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
 * A StateStore without a database: deterministic, with no timer and no chance in it, and each call a single step.
 *
 * It keeps rows in their encoded form, with the names in maps turned around, so that what DynamoDB would lose or
 * reorder is lost and reordered here too; and it counts what DynamoDB would bill, in partiql mode.
 */
export class MemoryStateStore implements StateStore {
  /** By key: for a `MemoryGenerationStore` on the same table. */
  readonly rows = new Map<string, Row>();
  readonly #costs = new CostCounter();
  readonly #awaitsFork: boolean;
  /** By progress row: attempts that the next advance removes. */
  readonly #forgotten = new Map<string, readonly string[]>();

  /** @param awaitsFork see `DynamoDbStateStoreOptions`. */
  constructor({ awaitsFork = false }: { readonly awaitsFork?: boolean } = {}) {
    this.#awaitsFork = awaitsFork;
  }

  async load(pks: readonly string[]): Promise<Map<string, StateItem>> {
    const unique = new Set(pks);
    for (const pk of unique) checkRowKey(pk);
    const items = new Map<string, StateItem>();
    this.#costs.add({ readRequests: Math.ceil(unique.size / MAX_KEYS_PER_READ) });
    for (const pk of unique) {
      const row = this.#read(pk);
      if (row !== undefined) items.set(pk, decodeItem(row));
    }
    return items;
  }

  async commit(writes: readonly ItemWrite[]): Promise<CommitResult[]> {
    const prepared = prepareWrites(writes);
    this.#costs.add({ writeRequests: Math.ceil(prepared.length / MAX_STATEMENTS_PER_WRITE) });
    return prepared.map((write) => this.#commitOne(write));
  }

  #commitOne({ pk, row, bytes, write }: PreparedWrite): CommitResult {
    const before = this.rows.get(pk);
    this.#costs.add({ writes: 1, wcu: writeUnits(before === undefined ? 0 : rowBytes(before), bytes) });
    const revision = before === undefined ? undefined : Number(before[ITEM.revision]?.N);
    if (revision !== write.expectedRevision) return 'conflict';
    this.#costs.add({ wcu: dueIndexUnits(pk, dueTimesOf(before), write.item) });
    this.rows.set(pk, turnedAround(row));
    return 'committed';
  }

  async readControl(isByPartition = false): Promise<Control> {
    this.#costs.add({ readRequests: 1 });
    const row = this.#read(CONTROL_KEY);
    const known = row === undefined ? undefined : decodeControl(row);
    if (known !== undefined && (known.isByPartition === true || !isByPartition)) return known;
    const control: Control = {
      ...(known ?? firstControl(this.#awaitsFork)),
      ...(isByPartition && { isByPartition }),
    };
    this.#costs.add({ writeRequests: 1 });
    this.#write(CONTROL_KEY, encodeControl(control));
    return control;
  }

  async beginAttempt(
    generation: number,
    shard: string,
    first: Position,
    handedIn?: Position,
  ): Promise<BeginResult> {
    const pk = progressKey(generation, shard);
    this.#costs.add({ writeRequests: 1 });
    const row = this.#openRow(pk);
    if (row === undefined) {
      // DynamoDB has to be asked once more whether it is the place alone that fails.
      if (handedIn !== undefined) this.#failedCondition(pk);
      this.#costs.add({ readRequests: 1 });
      return { kind: this.#read(pk) === undefined ? 'missing' : 'sealed' };
    }
    const name = encodePosition(first);
    const last = handedIn && encodePosition(handedIn);
    const isHighest = last !== undefined && (row[PROGRESS.handedIn]?.S ?? '') <= last;
    // DynamoDB has to be asked twice where a batch that went further was handed in before.
    if (last !== undefined && !isHighest) this.#failedCondition(pk);
    const counted: Row = {
      ...row,
      [PROGRESS.attempts]: counting(row[PROGRESS.attempts], name),
      ...(isHighest && { [PROGRESS.handedIn]: { S: last } }),
    };
    this.#write(pk, counted);
    const progress = decodeProgress(counted);
    this.#forgotten.set(pk, attemptsToForget(progress.attempts, name));
    return { kind: 'open', progress };
  }

  async partLanes(
    generation: number,
    shard: string,
    handedIn: Position | undefined,
    byShardUntil: Position | undefined,
  ): Promise<boolean> {
    const pk = progressKey(generation, shard);
    this.#costs.add({ writeRequests: 1 });
    const row = this.#openRow(pk);
    const isAsRead = row?.[PROGRESS.handedIn]?.S === (handedIn && encodePosition(handedIn));
    if (row === undefined || !isAsRead || row[PROGRESS.byPartition] !== undefined) {
      this.#costs.add({ writes: 1, wcu: writeUnits(row === undefined ? 0 : rowBytes(row), 0) });
      return false;
    }
    this.#write(pk, {
      ...row,
      [PROGRESS.byPartition]: { BOOL: true },
      ...(byShardUntil !== undefined && { [PROGRESS.byShardUntil]: { S: encodePosition(byShardUntil) } }),
    });
    return true;
  }

  async createProgress(
    generation: number,
    shard: string,
    given: NewProgress = {},
  ): Promise<'created' | 'exists' | 'refused'> {
    // A transaction costs twice, for the row that is checked and for the rows that are written.
    this.#costs.add({ writes: 1, writeRequests: 1, wcu: 6 });
    const row = this.rows.get(CONTROL_KEY);
    if (row === undefined) return 'refused';
    const control = decodeControl(row);
    if (control.generation !== generation) return 'refused';
    if (control.phase !== 'live' || control.rank !== given.rank) return 'refused';
    return this.insertProgress(generation, shard, given) ? 'created' : 'exists';
  }

  /** Makes the row and names it in the roster; costs nothing. @returns whether there was none. */
  insertProgress(generation: number, shard: string, given: NewProgress): boolean {
    const pk = progressKey(generation, shard);
    if (this.rows.has(pk)) return false;
    this.rows.set(pk, newProgressRow(pk, given));
    const roster = rosterKey(generation);
    const named = this.rows.get(roster)?.[ROSTER.shards]?.SS ?? [];
    this.rows.set(roster, {
      [ROSTER.pk]: { S: roster },
      [ROSTER.shards]: { SS: [...new Set([...named, shard])] },
    });
    return true;
  }

  async readProgress(generation: number, shard: string): Promise<Progress | undefined> {
    this.#costs.add({ readRequests: 1 });
    const row = this.#read(progressKey(generation, shard));
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
    this.#costs.add({ writeRequests: 1 });
    const row = this.#openRow(pk);
    if (row === undefined) return 'sealed';
    const turns = row[PROGRESS.suspects];
    const deadlines = [...turnDeadlines(turns?.M?.[turn]), deadlineMs];
    const others = without(turns, [turn, ended]).M;
    const noted = { M: { ...others, [turn]: { L: deadlines.map((deadline) => ({ N: String(deadline) })) } } };
    this.#write(pk, { ...row, [PROGRESS.suspects]: noted });
    return deadlines;
  }

  async advance(generation: number, shard: string, advance: Advance): Promise<'advanced' | 'sealed'> {
    const pk = progressKey(generation, shard);
    this.#costs.add({ writeRequests: 1 });
    const row = this.#openRow(pk);
    if (row === undefined) {
      if (advance.position !== undefined) this.#failedCondition(pk);
      return 'sealed';
    }
    const position = advance.position === undefined ? undefined : encodePosition(advance.position);
    const current = row[PROGRESS.position]?.S;
    const goesOn = position !== undefined && (current === undefined || current < position);
    // DynamoDB has to be asked twice where the position turns out not to be higher.
    if (position !== undefined && !goesOn) this.#failedCondition(pk);
    const ended = [encodePosition(advance.first), ...(this.#forgotten.get(pk) ?? [])];
    this.#forgotten.delete(pk);
    this.#write(pk, {
      ...row,
      [PROGRESS.records]: { N: String(Number(row[PROGRESS.records]?.N) + advance.records) },
      [PROGRESS.attempts]: without(row[PROGRESS.attempts], ended),
      [PROGRESS.suspects]: without(row[PROGRESS.suspects], advance.endedTurns),
      ...(goesOn ? { [PROGRESS.position]: { S: position } } : {}),
      ...(goesOn && advance.time !== undefined ? { [PROGRESS.time]: encodeTime(advance.time) } : {}),
      ...(goesOn && advance.arrivalMs !== undefined
        ? { [PROGRESS.arrivalMs]: { N: String(advance.arrivalMs) } }
        : {}),
    });
    return 'advanced';
  }

  async liftTime(
    generation: number,
    shard: string,
    position: Position | undefined,
    liftedMs: number,
  ): Promise<boolean> {
    const pk = progressKey(generation, shard);
    this.#costs.add({ writeRequests: 1 });
    const row = this.#openRow(pk);
    if (row === undefined) return false;
    const isThere = row[PROGRESS.position]?.S === (position && encodePosition(position));
    if (!isThere || Number(row[PROGRESS.lifted]?.N ?? -Infinity) >= liftedMs) {
      this.#costs.add({ writes: 1, wcu: writeUnits(rowBytes(row), 0) });
      return false;
    }
    this.#write(pk, { ...row, [PROGRESS.lifted]: { N: String(liftedMs) } });
    return true;
  }

  async *due(
    generation: number,
    upToMs: number,
    domain: TimeDomain = 'event',
  ): AsyncGenerator<readonly string[]> {
    let parts: Row[][] = Array.from({ length: DUE_BUCKETS }, (_, bucket) =>
      this.#dueEntries(DUE_INDEXES[domain], dueBucket(generation, bucket), upToMs),
    );
    while (parts.length > 0) {
      const pages = parts.map((entries) => entries.slice(0, DUE_KEYS_PER_READ));
      for (const page of pages) {
        const bytes = page.reduce((sum, entry) => sum + rowBytes(entry), 0);
        this.#costs.add({ readRequests: 1, reads: page.length, rcu: queryUnits(bytes) });
      }
      yield* pages
        .filter((page) => page.length > 0)
        .map((page) => page.map((entry) => entry[ITEM.pk]?.S ?? ''));
      // A full page does not say that it is the last.
      parts = parts
        .filter((entries) => entries.length >= DUE_KEYS_PER_READ)
        .map((entries) => entries.slice(DUE_KEYS_PER_READ));
    }
  }

  /** One part of an index, the earliest first. */
  #dueEntries(index: DueIndex, bucket: string, upToMs: number): Row[] {
    return [...this.rows]
      .filter(([, row]) => row[ITEM.dueBucket]?.S === bucket)
      .map(([pk, row]): [string, number] => [pk, Number(row[index.due]?.N)])
      .filter(([, dueMs]) => dueMs <= upToMs)
      .sort(([, a], [, b]) => a - b)
      .map(([pk, dueMs]) => dueEntry(pk, dueMs, index));
  }

  costs(): StoreCosts {
    return this.#costs.total();
  }

  /** What a rewind does to the control row, without its conditions: for tests; costs nothing. */
  setControl(control: Control): void {
    this.rows.set(CONTROL_KEY, encodeControl(control));
  }

  /** Seals a progress row as a rewind does, without its conditions: for tests; costs nothing. */
  seal(generation: number, shard: string): void {
    const pk = progressKey(generation, shard);
    this.rows.set(pk, { ...this.rows.get(pk), [PROGRESS.sealed]: { BOOL: true } });
  }

  /** Every state item, of all generations, by key: for tests and checkers; costs nothing. */
  items(): Map<string, StateItem> {
    const items = [...this.rows]
      .filter(([pk]) => /^\d+\/[sd]\//.test(pk))
      .map(([pk, row]): [string, StateItem] => [pk, decodeItem(row)]);
    return new Map(items);
  }

  /** The progress row as it stands, sealed or not: for tests and checkers; costs nothing. */
  progress(generation: number, shard: string): Progress | undefined {
    const row = this.rows.get(progressKey(generation, shard));
    return row === undefined ? undefined : decodeProgress(row);
  }

  #read(pk: string): Row | undefined {
    const row = this.rows.get(pk);
    this.#costs.add({ reads: 1, rcu: readUnits(row === undefined ? 0 : rowBytes(row)) });
    return row;
  }

  #write(pk: string, row: Row): void {
    const before = this.rows.get(pk);
    this.#costs.add({
      writes: 1,
      wcu: writeUnits(before === undefined ? 0 : rowBytes(before), rowBytes(row)),
    });
    this.rows.set(pk, row);
  }

  #failedCondition(pk: string): void {
    const before = this.rows.get(pk);
    this.#costs.add({
      writes: 1,
      writeRequests: 1,
      wcu: writeUnits(before === undefined ? 0 : rowBytes(before), 0),
    });
  }

  /** The progress row where it can be written; the failed condition is billed where it cannot. */
  #openRow(pk: string): Row | undefined {
    const row = this.rows.get(pk);
    if (row !== undefined && !isSealed(row)) return row;
    this.#costs.add({ writes: 1, wcu: writeUnits(row === undefined ? 0 : rowBytes(row), 0) });
    return undefined;
  }
}

/** When a row's index entries say that it is due; without what it has no entry for. */
export function dueTimesOf(row: Row | undefined): DueTimes {
  const due = row?.[ITEM.dueBucket] === undefined ? undefined : row[ITEM.due]?.N;
  const processingDue = row?.[ITEM.dueBucket] === undefined ? undefined : row[ITEM.processingDue]?.N;
  return {
    ...(due !== undefined && { dueMs: Number(due) }),
    ...(processingDue !== undefined && { processingDueMs: Number(processingDue) }),
  };
}

function counting(counts: AttributeValue | undefined, name: string): { M: Row } {
  return { M: { ...counts?.M, [name]: { N: String(Number(counts?.M?.[name]?.N ?? 0) + 1) } } };
}

function without(counts: AttributeValue | undefined, names: readonly string[]): { M: Row } {
  return {
    M: Object.fromEntries(Object.entries(counts?.M ?? {}).filter(([name]) => !names.includes(name))),
  };
}

/** A copy with the names of each map in the opposite order. */
function turnedAround(row: Row): Row {
  const copy: Row = {};
  for (const name of Object.keys(row).reverse())
    setOwn(copy, name, turnedAroundValue(row[name] as AttributeValue));
  return copy;
}

function turnedAroundValue(value: AttributeValue): AttributeValue {
  if (value.M !== undefined) return { M: turnedAround(value.M) };
  if (value.L !== undefined) return { L: value.L.map(turnedAroundValue) };
  if (value.B !== undefined) return { B: new Uint8Array(value.B) };
  return value;
}

import { readUnits, rowBytes, writeUnits, type Row } from './attribute-bytes.ts';
import { CostCounter } from './cost-counter.ts';
import { dueIndexUnits } from './due-buckets.ts';
import { MAX_WRITES_PER_BATCH } from './dynamodb-limits.ts';
import type { GenerationStore, KeyPage, ProgressChange, ScanPage, ScanRequest } from './generation-store.ts';
import { decodeItem } from './item-codec.ts';
import { dueTimesOf, type MemoryStateStore } from './memory-state-store.ts';
import { decodeControl, encodeControl, FIRST_CONTROL, PROGRESS, ROSTER } from './progress-codec.ts';
import {
  checkIsOfGeneration,
  CONTROL_KEY,
  generationOfRow,
  isItemOf,
  progressKey,
  rosterKey,
} from './row-key.ts';
import type { Control, Phase, StoreCosts } from './state-store.ts';
import { without } from './without.ts';

/** Few, so that a test meets many pages. */
const PAGE_ROWS = 10;

/** The GenerationStore of a `MemoryStateStore`: each call a single step. */
export class MemoryGenerationStore implements GenerationStore {
  readonly #store: MemoryStateStore;
  readonly #pageRows: number;
  readonly #costs = new CostCounter();

  /** @param pageRows rows in a page of a scan. */
  constructor(store: MemoryStateStore, pageRows = PAGE_ROWS) {
    this.#store = store;
    this.#pageRows = pageRows;
  }

  async scan({ generation, segment, segments, after }: ScanRequest): Promise<ScanPage> {
    const { rows } = this.#store;
    const keys = [...rows.keys()].filter((pk) => segmentOf(pk, segments) === segment).sort();
    const from = after === undefined ? 0 : keys.findIndex((pk) => pk > after);
    const page = from === -1 ? [] : keys.slice(from, from + this.#pageRows);
    this.#costs.add({ readRequests: 1 });
    const items = [];
    for (const pk of page) {
      const row = rows.get(pk) ?? {};
      this.#costs.add({ reads: 1, rcu: readUnits(rowBytes(row)) });
      if (isItemOf(generation, pk)) items.push(decodeItem(row));
    }
    const last = page.at(-1);
    return { items, ...(last !== undefined && last !== keys.at(-1) && { next: last }) };
  }

  async replaceControl(before: Control, after: Control): Promise<Control | undefined> {
    const { rows } = this.#store;
    const row = rows.get(CONTROL_KEY);
    const current = row === undefined ? FIRST_CONTROL : decodeControl(row);
    if ((current.version ?? 0) !== (before.version ?? 0)) return undefined;
    const { isByPartition } = current;
    const control: Control = {
      ...without(after, 'isByPartition'),
      version: (before.version ?? 0) + 1,
      ...(isByPartition === true && { isByPartition }),
    };
    rows.set(CONTROL_KEY, encodeControl(control));
    return control;
  }

  async shards(generation: number): Promise<readonly string[]> {
    this.#costs.add({ readRequests: 1, reads: 1, rcu: 1 });
    return [...(this.#store.rows.get(rosterKey(generation))?.[ROSTER.shards]?.SS ?? [])].sort();
  }

  async changeProgress(
    generation: number,
    shard: string,
    change: ProgressChange,
    version: number,
  ): Promise<'done' | 'missing' | 'superseded'> {
    const { rows } = this.#store;
    this.#costs.add({ writes: 1, writeRequests: 1, wcu: change.kind === 'insert' ? 6 : 4 });
    const control = rows.get(CONTROL_KEY);
    if (control === undefined || (decodeControl(control).version ?? 0) !== version) return 'superseded';
    if (change.kind === 'insert') {
      this.#store.insertProgress(generation, shard, change.progress);
      return 'done';
    }
    const pk = progressKey(generation, shard);
    const row = rows.get(pk);
    if (row === undefined) return 'missing';
    rows.set(pk, changedRow(row, change));
    return 'done';
  }

  async keysOf(generations: ReadonlySet<number>, after?: string): Promise<KeyPage> {
    const all = [...this.#store.rows.keys()].sort();
    const page = all.filter((pk) => after === undefined || pk > after).slice(0, PAGE_ROWS);
    const rcu = page.reduce((sum, pk) => sum + readUnits(rowBytes(this.#store.rows.get(pk) ?? {})) / 2, 0);
    this.#costs.add({ readRequests: 1, reads: page.length, rcu });
    const last = page.at(-1);
    const keys = page.filter((pk) => generations.has(generationOfRow(pk) ?? 0));
    return { keys, ...(last !== undefined && last !== all.at(-1) && { next: last }) };
  }

  async removeRows(keys: readonly string[]): Promise<void> {
    for (const pk of keys) checkIsOfGeneration(pk);
    for (const pk of keys) {
      const row = this.#store.rows.get(pk);
      const units = writeUnits(row === undefined ? 0 : rowBytes(row), 0);
      this.#costs.add({ writes: 1, wcu: units + dueIndexUnits(pk, dueTimesOf(row), {}) });
      this.#store.rows.delete(pk);
    }
    this.#costs.add({ writeRequests: Math.ceil(keys.length / MAX_WRITES_PER_BATCH) });
  }

  costs(): StoreCosts {
    return this.#costs.total();
  }
}

function changedRow(row: Row, change: Exclude<ProgressChange, { kind: 'insert' }>): Row {
  switch (change.kind) {
    case 'seal':
      return { ...row, [PROGRESS.sealed]: { BOOL: true } };
    case 'unseal': {
      const { rank } = change;
      const open = without(row, PROGRESS.sealed);
      return rank === undefined ? open : { ...open, [PROGRESS.rank]: { N: String(rank) } };
    }
    case 'release':
      return { ...row, [PROGRESS.phase]: { S: 'live' satisfies Phase } };
  }
}

function segmentOf(pk: string, segments: number): number {
  let hash = 0;
  for (let at = 0; at < pk.length; at++) hash = (hash * 31 + pk.charCodeAt(at)) % 1_000_003;
  return hash % segments;
}

import { readUnits, rowBytes } from './attribute-bytes.ts';
import { CostCounter } from './cost-counter.ts';
import type { GenerationStore, ScanPage, ScanRequest } from './generation-store.ts';
import { decodeItem } from './item-codec.ts';
import type { MemoryStateStore } from './memory-state-store.ts';
import { decodeControl, encodeControl, FIRST_CONTROL } from './progress-codec.ts';
import { CONTROL_KEY, isItemOf } from './row-key.ts';
import type { Control, StoreCosts } from './state-store.ts';
import { without } from './without.ts';

/** Rows in a page: few, so that a test meets many pages. */
const PAGE_ROWS = 10;

/** The GenerationStore of a `MemoryStateStore`: each call a single step. */
export class MemoryGenerationStore implements GenerationStore {
  readonly #store: MemoryStateStore;
  readonly #costs = new CostCounter();

  constructor(store: MemoryStateStore) {
    this.#store = store;
  }

  async scan({ generation, segment, segments, after }: ScanRequest): Promise<ScanPage> {
    const { rows } = this.#store;
    const keys = [...rows.keys()].filter((pk) => segmentOf(pk, segments) === segment).sort();
    const from = after === undefined ? 0 : keys.findIndex((pk) => pk > after);
    const page = from === -1 ? [] : keys.slice(from, from + PAGE_ROWS);
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

  costs(): StoreCosts {
    return this.#costs.total();
  }
}

function segmentOf(pk: string, segments: number): number {
  let hash = 0;
  for (let at = 0; at < pk.length; at++) hash = (hash * 31 + pk.charCodeAt(at)) % 1_000_003;
  return hash % segments;
}

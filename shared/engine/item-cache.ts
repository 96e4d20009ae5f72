import type { StateItem } from '../state/state-item.ts';

/** Items kept in a warm container. Each is a few hundred bytes to 400 KB; 20,000 small ones are some 20 MB of heap. */
const CACHED_ITEMS_LIMIT = 20_000;
/** Marks, states and outbox of all cached items together, roughly: a quarter of the smallest sensible function. */
const CACHED_BYTES_LIMIT = 32 * 1024 * 1024;
/** What an item costs besides its marks, states and outbox, roughly. */
const ITEM_OVERHEAD_BYTES = 500;
/** What a mark costs in the heap, roughly. */
const MARK_BYTES = 200;

/**
 * Items as this container last wrote or read them, by `pk`, which has the generation in it. An old one does no harm:
 * its revision fails the condition of the next write, and the item is read again.
 */
export class ItemCache {
  readonly #items = new Map<string, { readonly item: StateItem; readonly bytes: number }>();
  #bytes = 0;

  get(pk: string): StateItem | undefined {
    return this.#items.get(pk)?.item;
  }

  /** @param contentBytes what the item's states and outbox take. */
  put(item: StateItem, contentBytes: number): void {
    this.delete(item.pk);
    const bytes = ITEM_OVERHEAD_BYTES + item.marks.size * MARK_BYTES + contentBytes;
    this.#items.set(item.pk, { item, bytes });
    this.#bytes += bytes;
    while (this.#items.size > CACHED_ITEMS_LIMIT || this.#bytes > CACHED_BYTES_LIMIT) {
      // The first in the map is the one that was put longest ago.
      const oldest = this.#items.keys().next();
      if (oldest.done === true) break;
      this.delete(oldest.value);
    }
  }

  delete(pk: string): void {
    const cached = this.#items.get(pk);
    if (cached === undefined) return;
    this.#items.delete(pk);
    this.#bytes -= cached.bytes;
  }
}

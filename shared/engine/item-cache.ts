import { comparePositions, type Position } from '../source/position.ts';
import type { StateItem } from '../state/state-item.ts';

/** Items kept in a warm container. Each is a few hundred bytes to 400 KB; 20,000 small ones are some 20 MB of heap. */
const CACHED_ITEMS_LIMIT = 20_000;
/** What all cached items take together, roughly: a quarter of the smallest sensible function. */
const CACHED_BYTES_LIMIT = 32 * 1024 * 1024;
/** What an item costs besides its marks, states and outbox, roughly. */
const ITEM_OVERHEAD_BYTES = 500;
/** What a mark costs in the heap, roughly. */
const MARK_BYTES = 200;

interface ShardItems {
  readonly items: Map<string, { item: StateItem; bytes: number }>;
  /** Where this container left the shard. */
  position: Position | undefined;
}

/**
 * Items as this container last wrote or read them, by shard and by `pk`, which has the generation in it. An old one
 * does no harm, for its revision fails the condition of the next write and the item is read again; but that write is
 * paid for. So a shard's items are dropped where its progress shows that another container had it in between.
 */
export class ItemCache {
  readonly #shards = new Map<string, ShardItems>();
  #count = 0;
  #bytes = 0;

  /**
   * A batch of the shard begins.
   * @param position the shard's progress; not given with ParallelizationFactor above 1, where lanes move it
   * independently of each other's items.
   */
  enter(shard: string, position: Position | undefined | 'unknown'): void {
    const known = this.#shards.get(shard);
    if (known === undefined || position === 'unknown') return;
    const isOurs =
      position !== undefined &&
      known.position !== undefined &&
      comparePositions(position, known.position) === 0;
    if (!isOurs) this.#drop(shard);
  }

  /** The batch has advanced the shard's progress to this position. */
  leave(shard: string, position: Position): void {
    this.#of(shard).position = position;
  }

  get(shard: string, pk: string): StateItem | undefined {
    return this.#shards.get(shard)?.items.get(pk)?.item;
  }

  /** @param contentBytes what the item's states and outbox take. */
  put(shard: string, item: StateItem, contentBytes: number): void {
    const bytes = ITEM_OVERHEAD_BYTES + item.marks.size * MARK_BYTES + contentBytes;
    const { items } = this.#of(shard);
    const cached = items.get(item.pk);
    if (cached === undefined) {
      items.set(item.pk, { item, bytes });
      this.#count += 1;
      this.#bytes += bytes;
    } else {
      this.#bytes += bytes - cached.bytes;
      cached.item = item;
      cached.bytes = bytes;
    }
    while (this.#count > CACHED_ITEMS_LIMIT || this.#bytes > CACHED_BYTES_LIMIT) this.#evict();
  }

  delete(shard: string, pk: string): void {
    const items = this.#shards.get(shard)?.items;
    const cached = items?.get(pk);
    if (items === undefined || cached === undefined) return;
    items.delete(pk);
    this.#count -= 1;
    this.#bytes -= cached.bytes;
  }

  /** Whatever shards have of an item that was written beside their batches: its revision is old now. */
  forget(pk: string): void {
    for (const shard of this.#shards.keys()) this.delete(shard, pk);
  }

  #of(shard: string): ShardItems {
    let known = this.#shards.get(shard);
    if (known === undefined) this.#shards.set(shard, (known = { items: new Map(), position: undefined }));
    return known;
  }

  #drop(shard: string): void {
    for (const { bytes } of this.#shards.get(shard)?.items.values() ?? []) {
      this.#count -= 1;
      this.#bytes -= bytes;
    }
    this.#shards.delete(shard);
  }

  /** Lets the item go that came first, of the shard that came first; a shard without items goes too. */
  #evict(): void {
    for (const [shard, { items }] of this.#shards) {
      const oldest = items.keys().next();
      if (oldest.done === true) {
        this.#shards.delete(shard);
        continue;
      }
      this.delete(shard, oldest.value);
      return;
    }
  }
}

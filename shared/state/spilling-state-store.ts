import type { Position } from '../source/position.ts';
import type { BlobStore } from './blob-store.ts';
import type { Document } from './document.ts';
import { inParallel } from './in-parallel.ts';
import { shownKey } from './row-key.ts';
import { blobName, packBlob, statesText, unpackBlob } from './spilled-states.ts';
import type { SpilledStates, StateItem } from './state-item.ts';
import type {
  Advance,
  BeginResult,
  CommitResult,
  Control,
  ItemWrite,
  LoadRoom,
  NewProgress,
  Progress,
  StateStore,
  StoreCosts,
} from './state-store.ts';

/** Objects that are read or written at a time: each is in memory several times while it is packed or unpacked. */
const BLOBS_IN_FLIGHT = 4;

/** Objects that are removed at a time. */
const REMOVALS_IN_FLIGHT = 16;

/** How often an item is read whose states are gone when they are looked for, because others have written it. */
const FOLLOW_TRIES = 10;

const NO_STATES: ReadonlyMap<string, Document> = new Map();

type Mutable<T> = { -readonly [name in keyof T]: T[name] };

export interface SpillingStateStoreOptions {
  /** Keeps the items, and of spilled states where they are. */
  readonly store: StateStore;
  readonly blobs: BlobStore;
  /** Told the reason of each write that failed because of its object, and of objects left for the sweep: for logs. */
  readonly onFailure?: (error: Error) => void;
}

/**
 * A StateStore whose items may have states beyond what a DynamoDB item holds: these go as one object to a BlobStore,
 * before the conditional write that makes the item point to it.
 *
 * - An object is there before anything points to it, and is removed only after nothing can any more (I1).
 * - A write that fails, is in doubt or loses a conflict leaves its object: another write of the same revision and the
 *   same states has the same name and may have won. The sweep collects what nobody points to.
 * - Two writes that put the same name put the same states.
 */
export class SpillingStateStore implements StateStore {
  readonly #store: StateStore;
  readonly #blobs: BlobStore;
  readonly #onFailure: (error: Error) => void;
  /** Where states are that were read or committed here: what the next write replaces. */
  readonly #whereabouts = new WeakMap<ReadonlyMap<string, Document>, SpilledStates>();
  #puts = 0;
  #gets = 0;
  #removals = 0;

  constructor({ store, blobs, onFailure }: SpillingStateStoreOptions) {
    this.#store = store;
    this.#blobs = blobs;
    this.#onFailure = onFailure ?? (() => undefined);
  }

  async load(pks: readonly string[], room?: LoadRoom): Promise<Map<string, StateItem>> {
    const items = await this.#store.load(pks);
    const wanted: StateItem[] = [];
    let bytes = 0;
    for (const [place, pk] of [...new Set(pks)].entries()) {
      const item = items.get(pk);
      if (item?.spilled === undefined) continue;
      bytes += item.spilled.bytes;
      if (room !== undefined && place >= room.atLeast && bytes > room.bytes) break;
      wanted.push(item);
    }
    await inParallel(wanted, BLOBS_IN_FLIGHT, async (item) => {
      const followed = await this.#follow(item);
      if (followed === undefined) items.delete(item.pk);
      else items.set(item.pk, followed);
    });
    return items;
  }

  async commit(writes: readonly ItemWrite[]): Promise<CommitResult[]> {
    if (!writes.some((write) => write.spills || this.#whereaboutsOf(write.loaded) !== undefined)) {
      return this.#store.commit(writes);
    }
    const stored = await inParallel(writes, BLOBS_IN_FLIGHT, (write) => this.#spill(write));
    const outcomes = await this.#store.commit(stored.filter((write) => write !== undefined));
    let sent = 0;
    const results = stored.map((write) => (write === undefined ? 'failed' : outcomes[sent++]) ?? 'failed');
    await this.#settle(writes, stored, results);
    return results;
  }

  liftTime(...given: Parameters<StateStore['liftTime']>): Promise<boolean> {
    return this.#store.liftTime(...given);
  }

  due(...given: Parameters<StateStore['due']>): AsyncIterable<readonly string[]> {
    return this.#store.due(...given);
  }

  costs(): StoreCosts {
    const inner = this.#store.costs();
    return {
      ...inner,
      blobPuts: inner.blobPuts + this.#puts,
      blobGets: inner.blobGets + this.#gets,
      blobRemovals: inner.blobRemovals + this.#removals,
    };
  }

  readControl(isByPartition?: boolean): Promise<Control> {
    return this.#store.readControl(isByPartition);
  }

  beginAttempt(
    generation: number,
    shard: string,
    first: Position,
    handedIn?: Position,
  ): Promise<BeginResult> {
    return this.#store.beginAttempt(generation, shard, first, handedIn);
  }

  partLanes(...given: Parameters<StateStore['partLanes']>): Promise<boolean> {
    return this.#store.partLanes(...given);
  }

  createProgress(
    generation: number,
    shard: string,
    given?: NewProgress,
  ): Promise<'created' | 'exists' | 'refused'> {
    return this.#store.createProgress(generation, shard, given);
  }

  readProgress(generation: number, shard: string): Promise<Progress | undefined> {
    return this.#store.readProgress(generation, shard);
  }

  suspect(
    generation: number,
    shard: string,
    turn: string,
    deadlineMs: number,
    ended?: string,
  ): Promise<readonly number[] | 'sealed'> {
    return this.#store.suspect(generation, shard, turn, deadlineMs, ended);
  }

  advance(generation: number, shard: string, advance: Advance): Promise<'advanced' | 'sealed'> {
    return this.#store.advance(generation, shard, advance);
  }

  /**
   * Reads the states that an item points to. Where the object is gone the item has been written since it was read.
   * @returns the item as last read; `undefined` where it is gone.
   * @throws Error where an item points to what is not there: that must never be.
   */
  async #follow(read: StateItem): Promise<StateItem | undefined> {
    let item = read;
    for (let tries = 0; tries < FOLLOW_TRIES; tries++) {
      const { pk, spilled } = item;
      if (spilled === undefined) return item;
      const name = blobName(pk, spilled);
      this.#gets += 1;
      const blob = await this.#blobs.get(name);
      if (blob !== undefined) return this.#whole(item, spilled, unpackBlob(blob, pk, spilled));
      const again = (await this.#store.load([pk])).get(pk);
      if (again === undefined) return undefined;
      if (again.spilled !== undefined && blobName(pk, again.spilled) === name) {
        throw new Error(
          `Item ${shownKey(pk)} points to the object ${name}, which is not there or may not be read: its states are ` +
            'missing and nothing of this key can be processed. Bring the object back (the bucket keeps earlier ' +
            'versions for a day), and look for what removed it.',
        );
      }
      item = again;
    }
    throw new Error(
      `Item ${shownKey(read.pk)} is written faster than its states can be read; it comes again.`,
    );
  }

  #whole(item: StateItem, spilled: SpilledStates, states: ReadonlyMap<string, Document>): StateItem {
    this.#whereabouts.set(states, spilled);
    const whole: Mutable<StateItem> = { ...item, states };
    delete whole.spilled;
    return whole;
  }

  /** @returns the write as the store is to make it; `undefined` where its object could not be put. */
  async #spill(write: ItemWrite): Promise<ItemWrite | undefined> {
    const { item, loaded } = write;
    const before = this.#whereaboutsOf(loaded);
    const asLoaded = loaded && before ? pointing(loaded, before) : loaded;
    // The same states stay where they are.
    if (before !== undefined && item.states === loaded?.states) {
      return { ...write, item: pointing(item, before), loaded: asLoaded };
    }
    if (!write.spills) return { ...write, loaded: asLoaded };
    const text = statesText(item.states);
    if (before?.hash === text.hash) return { ...write, item: pointing(item, before), loaded: asLoaded };
    const spilled = { revision: item.revision, hash: text.hash, bytes: text.bytes };
    const { pk, revision } = item;
    this.#puts += 1;
    try {
      await this.#blobs.put(blobName(pk, spilled), packBlob({ pk, revision }, text));
    } catch (error) {
      this.#onFailure(error instanceof Error ? error : new Error(String(error)));
      return undefined;
    }
    return { ...write, item: pointing(item, spilled), loaded: asLoaded };
  }

  /** Remembers where the committed states are, and removes what the confirmed writes have replaced. */
  async #settle(
    writes: readonly ItemWrite[],
    stored: readonly (ItemWrite | undefined)[],
    results: readonly CommitResult[],
  ): Promise<void> {
    const replaced: string[] = [];
    for (const [place, { item, loaded }] of writes.entries()) {
      if (results[place] !== 'committed') continue;
      const [before, now] = [this.#whereaboutsOf(loaded), stored[place]?.item.spilled];
      if (now !== undefined) this.#whereabouts.set(item.states, now);
      if (before !== undefined && before !== now) replaced.push(blobName(item.pk, before));
    }
    await inParallel(replaced, REMOVALS_IN_FLIGHT, async (name) => {
      this.#removals += 1;
      try {
        await this.#blobs.remove(name);
      } catch (error) {
        this.#onFailure(new Error(`The object ${name} is left for the sweep: ${String(error)}`));
      }
    });
  }

  #whereaboutsOf(item: StateItem | undefined): SpilledStates | undefined {
    return item && this.#whereabouts.get(item.states);
  }
}

/** The item as it is stored: its states elsewhere. */
function pointing(item: StateItem, spilled: SpilledStates): StateItem {
  return { ...item, states: NO_STATES, spilled };
}

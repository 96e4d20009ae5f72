import type { ListedShard } from '../mapping/shard-listing.ts';

/** Which shards a stream has: those that are open, and those that are closed and still have records. */
export interface StreamShards {
  /** @param stream physical name. @throws when it cannot be learnt. */
  shardsOf(stream: string): Promise<readonly ListedShard[]>;
}

/** Shards that are given once, by stream. */
export class MemoryStreamShards implements StreamShards {
  readonly #shards: ReadonlyMap<string, readonly ListedShard[]>;

  constructor(shards: ReadonlyMap<string, readonly ListedShard[]>) {
    this.#shards = shards;
  }

  async shardsOf(stream: string): Promise<readonly ListedShard[]> {
    const shards = this.#shards.get(stream);
    if (shards === undefined) throw new Error(`There is no stream ${stream}.`);
    return shards;
  }
}

import type { PipelineAccess } from '../cli/pipeline-access.ts';
import { CurrentState } from '../cli/current-state.ts';
import type { ManifestShard } from '../../shared/checkpoint/manifest.ts';
import { shardPositions } from '../../shared/checkpoint/shard-positions.ts';
import { KinesisStreamShards } from '../../shared/source/kinesis-stream-shards.ts';
import { itemKey, keyOfItem } from '../../shared/state/row-key.ts';
import type { StateItem } from '../../shared/state/state-item.ts';

/** Items that are asked for at a time, and what of spilled states they may bring along. */
const ITEMS_PER_LOAD = 100;
const SPILLED_BYTES = 64 * 1024 * 1024;

/** The items of one generation of a pipeline at work, each as it is when it is read; nothing is written. */
export class LiveItems {
  readonly #access: PipelineAccess;
  readonly #state: CurrentState;
  readonly generation: number;

  constructor(access: PipelineAccess, generation: number) {
    this.#access = access;
    this.#state = new CurrentState(access);
    this.generation = generation;
  }

  /** How far the generation is in every shard. */
  async positions(): Promise<ManifestShard[]> {
    const shards = new KinesisStreamShards(this.#access.kinesis);
    return shardPositions(this.#state.store, shards, this.generation, this.#access.streams);
  }

  /** All keys that have an item, in no order, some at a time. */
  async *keys(): AsyncGenerator<string[]> {
    for await (const page of this.#state.pages(this.generation)) {
      const keys = page.map(({ pk }) => keyOfItem(pk)).filter((key) => key !== undefined);
      for (let from = 0; from < keys.length; from += ITEMS_PER_LOAD) {
        yield keys.slice(from, from + ITEMS_PER_LOAD);
      }
    }
  }

  /** By key, those that there are; where much has spilled some come without it: see `whole`. */
  async load(keys: readonly string[]): Promise<Map<string, StateItem>> {
    const rows = new Map(keys.map((key) => [itemKey(this.generation, key), key]));
    const items = await this.#state.store.load([...rows.keys()], { bytes: SPILLED_BYTES, atLeast: 1 });
    return new Map([...items].map(([row, item]) => [rows.get(row) as string, item]));
  }

  /** The item with its states, read again where they were left out. */
  async whole(item: StateItem | undefined): Promise<StateItem | undefined> {
    if (item?.spilled === undefined) return item;
    return (await this.#state.store.load([item.pk])).get(item.pk);
  }
}

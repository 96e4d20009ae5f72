import { setTimeout as wait } from 'node:timers/promises';
import { GetItemCommand } from '@aws-sdk/client-dynamodb';
import type { Document } from '../../shared/state/document.ts';
import { DynamoDbGenerationStore } from '../../shared/state/dynamodb-generation-store.ts';
import { DynamoDbStateStore } from '../../shared/state/dynamodb-state-store.ts';
import { ITEM } from '../../shared/state/item-attributes.ts';
import { decodeControl } from '../../shared/state/progress-codec.ts';
import { CONTROL_KEY, itemKey, keyOfItem } from '../../shared/state/row-key.ts';
import { S3BlobStore } from '../../shared/state/s3-blob-store.ts';
import { spilledPrefix } from '../../shared/state/spilled-states.ts';
import { SpillingStateStore } from '../../shared/state/spilling-state-store.ts';
import type { StateItem } from '../../shared/state/state-item.ts';
import type { Control, StateStore } from '../../shared/state/state-store.ts';
import type { PipelineAccess } from './pipeline-access.ts';

/** A key with its states by operator. */
export interface KeyedStates {
  readonly key: string;
  readonly states: ReadonlyMap<string, Document>;
}

/** The state of a pipeline as it is now: read, never written. */
export class CurrentState {
  readonly #access: PipelineAccess;
  readonly #store: StateStore;
  readonly #generations: DynamoDbGenerationStore;

  constructor(access: PipelineAccess) {
    this.#access = access;
    const { dynamodb: client, s3, bucket, pipeline, stateTable: table } = access;
    const options = { client, table, writes: 'single', delay: (ms: number) => wait(ms) } as const;
    this.#generations = new DynamoDbGenerationStore(options);
    this.#store = new SpillingStateStore({
      store: new DynamoDbStateStore(options),
      blobs: new S3BlobStore(s3, bucket, spilledPrefix(pipeline)),
    });
  }

  get store(): StateStore {
    return this.#store;
  }

  /** `undefined` where no function has run yet; the store's own `readControl` would make one. */
  async control(): Promise<Control | undefined> {
    const { Item } = await this.#access.dynamodb.send(
      new GetItemCommand({
        TableName: this.#access.stateTable,
        Key: { [ITEM.pk]: { S: CONTROL_KEY } },
        ConsistentRead: true,
      }),
    );
    return Item && decodeControl(Item);
  }

  /** The shards of which a generation has processed something. */
  async shards(generation: number): Promise<readonly string[]> {
    return this.#generations.shards(generation);
  }

  async item(key: string): Promise<StateItem | undefined> {
    const control = await this.control();
    if (control === undefined) return undefined;
    const pk = itemKey(control.generation, key);
    return (await this.#store.load([pk])).get(pk);
  }

  /** A generation's items, those of shards among them, page by page, as they are stored: see `StateItem.spilled`. */
  async *pages(generation: number): AsyncGenerator<readonly StateItem[]> {
    let after: string | undefined;
    do {
      const page = await this.#generations.scan({
        generation,
        segment: 0,
        segments: 1,
        ...(after !== undefined && { after }),
      });
      yield page.items;
      after = page.next;
    } while (after !== undefined);
  }

  /** The keys that have a state, in no order, each as it is when it is read. */
  async *keys(prefix: string): AsyncGenerator<KeyedStates> {
    const control = await this.control();
    if (control === undefined) return;
    for await (const page of this.pages(control.generation)) {
      for (const item of page) {
        const key = keyOfItem(item.pk);
        if (key === undefined || !key.startsWith(prefix)) continue;
        const whole = item.spilled === undefined ? item : (await this.#store.load([item.pk])).get(item.pk);
        if (whole !== undefined && whole.states.size > 0) yield { key, states: whole.states };
      }
    }
  }
}

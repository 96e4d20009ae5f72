import { NO_COSTS } from '../../shared/state/cost-counter.ts';
import type { StateItem } from '../../shared/state/state-item.ts';
import { encodePosition, type Position } from '../../shared/source/position.ts';
import type {
  Advance,
  BeginResult,
  CommitResult,
  Control,
  ItemWrite,
  Progress,
  StateStore,
  StoreCosts,
} from '../../shared/state/state-store.ts';

/**
 * A store that keeps items as the engine hands them in: what a benchmark of the engine puts in DynamoDB's place, so
 * that it measures neither an encoding nor a database. It checks revisions and nothing else.
 */
export class PlainStateStore implements StateStore {
  readonly #items = new Map<string, StateItem>();
  #progress: Progress = {
    records: 0,
    phase: 'live',
    isByPartition: false,
    attempts: new Map<string, number>(),
    suspects: new Map<string, readonly number[]>(),
  };

  async load(pks: readonly string[]): Promise<Map<string, StateItem>> {
    const items = new Map<string, StateItem>();
    for (const pk of pks) {
      const item = this.#items.get(pk);
      if (item !== undefined) items.set(pk, item);
    }
    return items;
  }

  async commit(writes: readonly ItemWrite[]): Promise<CommitResult[]> {
    return writes.map(({ item, expectedRevision }) => {
      if (this.#items.get(item.pk)?.revision !== expectedRevision) return 'conflict';
      this.#items.set(item.pk, item);
      return 'committed';
    });
  }

  async readControl(): Promise<Control> {
    return { generation: 1, nextGeneration: 2, phase: 'live' };
  }

  async beginAttempt(_generation: number, _shard: string, first: Position): Promise<BeginResult> {
    return { kind: 'open', progress: { ...this.#progress, attempts: new Map([[encodePosition(first), 1]]) } };
  }

  async partLanes(): Promise<boolean> {
    return false;
  }

  async createProgress(): Promise<'exists'> {
    return 'exists';
  }

  async readProgress(): Promise<Progress> {
    return this.#progress;
  }

  async suspect(): Promise<readonly number[]> {
    return [];
  }

  async advance(_generation: number, _shard: string, { position, records }: Advance): Promise<'advanced'> {
    this.#progress = {
      ...this.#progress,
      records: this.#progress.records + records,
      ...(position && { position }),
    };
    return 'advanced';
  }

  async liftTime(): Promise<boolean> {
    return false;
  }

  async *due(): AsyncGenerator<readonly string[]> {
    // It holds nothing that waits for time.
  }

  costs(): StoreCosts {
    return NO_COSTS;
  }
}

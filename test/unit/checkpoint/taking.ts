import { checkpointLine, itemOfLine } from '../../../shared/checkpoint/checkpoint-line.ts';
import type { CheckpointStore } from '../../../shared/checkpoint/checkpoint-store.ts';
import type { Manifest } from '../../../shared/checkpoint/manifest.ts';
import { MemoryCheckpointStore } from '../../../shared/checkpoint/memory-checkpoint-store.ts';
import { checkpointLines, verifyCheckpoint } from '../../../shared/checkpoint/read-checkpoint.ts';
import {
  takeCheckpoint,
  type CheckpointReport,
  type CheckpointRequest,
  type CheckpointTaker,
} from '../../../shared/checkpoint/take-checkpoint.ts';
import { shardLane } from '../../../shared/source/lane.ts';
import { comparePositions, decodePosition, type Position } from '../../../shared/source/position.ts';
import { MemoryStreamShards } from '../../../shared/source/stream-shards.ts';
import { MemoryBlobStore } from '../../../shared/state/memory-blob-store.ts';
import { MemoryGenerationStore } from '../../../shared/state/memory-generation-store.ts';
import { MemoryStateStore } from '../../../shared/state/memory-state-store.ts';
import { itemKey, keyOfItem } from '../../../shared/state/row-key.ts';
import { SpillingStateStore } from '../../../shared/state/spilling-state-store.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';
import { without } from '../../../shared/state/without.ts';

export const MINUTE_MS = 60_000;
const START_MS = 1_800_000_000_000;
const STREAM = 'input';
export const SHARDS = ['shardId-000000000000', 'shardId-000000000001'] as const;

/** What a process does that has died: nothing, for ever. */
export class Died extends Error {}

/** A stream of numbered records, keys that count them, and a table that a checkpoint is taken of. */
export class TakingWorld {
  nowMs = START_MS;
  readonly rows = new MemoryStateStore();
  readonly blobs = new MemoryBlobStore(() => this.nowMs);
  readonly store = new SpillingStateStore({ store: this.rows, blobs: this.blobs });
  readonly checkpoints = new MemoryCheckpointStore();
  readonly generations = new MemoryGenerationStore(this.rows);
  /** By shard: the key of each record, in order. */
  readonly #records = SHARDS.map((): string[] => []);
  #randoms = 0;
  #writing: Promise<void> = Promise.resolve();
  readonly logged: string[] = [];

  constructor(readonly spillsFrom = Infinity) {}

  async open(): Promise<void> {
    await this.store.readControl();
    for (const shardId of SHARDS) await this.store.createProgress(1, shardLane(STREAM, shardId));
  }

  /** The next record of a shard is committed and acknowledged; one at a time. */
  write(shard: number, key: string): Promise<void> {
    return (this.#writing = this.#writing.then(() => this.#write(shard, key)));
  }

  async #write(shard: number, key: string): Promise<void> {
    const records = this.#records[shard] as string[];
    records.push(key);
    const lane = shardLane(STREAM, SHARDS[shard] as string);
    const position = positionOf(records.length);
    const pk = itemKey(1, key);
    const loaded = (await this.store.load([pk])).get(pk);
    const item = this.#folded(loaded, pk, lane, position);
    const spills = ((item.states.get('count') as number) ?? 0) >= this.spillsFrom;
    const results = await this.store.commit([{ item, expectedRevision: loaded?.revision, loaded, spills }]);
    if (results[0] !== 'committed') throw new Error(`A write was ${results[0]}`);
    await this.store.advance(1, lane, {
      first: position,
      position,
      records: 1,
      arrivalMs: 1,
      endedTurns: [],
    });
  }

  #folded(loaded: StateItem | undefined, pk: string, lane: string, position: Position): StateItem {
    const marks = new Map(loaded?.marks);
    marks.set(lane, { position, arrivalSeconds: 1 });
    const count = ((loaded?.states.get('count') as number | undefined) ?? 0) + 1;
    return {
      pk,
      revision: (loaded?.revision ?? 0) + 1,
      marks,
      states: new Map([['count', count]]),
      versions: new Map([['count', 1]]),
      outbox: [],
    };
  }

  taker(changes: Partial<CheckpointTaker> = {}): CheckpointTaker {
    return {
      pipeline: 'p',
      checkpoints: this.checkpoints,
      generations: this.generations,
      store: this.store,
      streamShards: new MemoryStreamShards(new Map([[STREAM, SHARDS.map((shardId) => ({ shardId }))]])),
      streams: [STREAM],
      operators: [{ name: 'count', version: 1 }],
      horizonSeconds: 90_000,
      isByPartition: false,
      retention: { keepLast: 24, keepDaily: 7 },
      segments: 2,
      partBytes: 900,
      readUnitsPerSecond: 1_000_000,
      clock: { nowMs: () => this.nowMs },
      wait: async (ms) => void (this.nowMs += ms),
      random: () => `r${this.#randoms++}`,
      log: {
        warn: (message) => void this.logged.push(message),
        error: (message, details) => void this.logged.push(`${message} ${JSON.stringify(details)}`),
      },
      deadlineMs: this.nowMs + MINUTE_MS,
      ...changes,
    };
  }

  take(request: CheckpointRequest = {}, changes: Partial<CheckpointTaker> = {}): Promise<CheckpointReport> {
    return takeCheckpoint(this.taker(changes), request);
  }

  /**
   * What is wrong with a checkpoint: it must be whole, hold each key once, and with the records behind its positions,
   * those that an item has marked skipped, give the counts of all records (I8).
   */
  async problemsOf(manifest: Manifest): Promise<string[]> {
    const { problems } = await verifyCheckpoint(this.checkpoints, manifest);
    const found = [...problems];
    const items = new Map<string, StateItem>();
    for await (const line of checkpointLines(this.checkpoints, manifest)) {
      const item = itemOfLine(line, manifest.generation, manifest.generation);
      const key = keyOfItem(item.pk) ?? '';
      if (items.has(key)) found.push(`${key} stands twice`);
      items.set(key, item);
    }
    for (const [shard, shardId] of SHARDS.entries()) {
      const lane = shardLane(STREAM, shardId);
      const text = manifest.shards.find((each) => each.shardId === shardId)?.position;
      const from = text === undefined ? undefined : decodePosition(text);
      for (const [index, key] of (this.#records[shard] as string[]).entries()) {
        const position = positionOf(index + 1);
        const mark = items.get(key)?.marks.get(lane)?.position;
        const isMarked = mark !== undefined && comparePositions(position, mark) <= 0;
        const isReplayed = from === undefined || comparePositions(position, from) > 0;
        if (!isMarked && !isReplayed) found.push(`record ${index} of shard ${shard} is lost`);
        if (!isMarked) items.set(key, this.#folded(items.get(key), itemKey(1, key), lane, position));
      }
    }
    const counts = new Map<string, number>();
    for (const key of this.#records.flat()) counts.set(key, (counts.get(key) ?? 0) + 1);
    for (const [key, count] of counts) {
      const restored = JSON.stringify(items.get(key)?.states.get('count'));
      if (restored !== String(count)) found.push(`${key} is ${restored}, and should be ${count}`);
    }
    if (items.size !== counts.size) found.push(`there are ${items.size} keys, and should be ${counts.size}`);
    return found;
  }

  /** A key's item is gone, as one is whose time to live is over. */
  async forget(key: string): Promise<void> {
    await this.generations.removeRows([itemKey(1, key)]);
  }

  /** The lines of all items that there are, in order. */
  async lines(): Promise<string[]> {
    const items = await this.store.load([...this.rows.rows.keys()].filter((pk) => pk.startsWith('1/s/')));
    return [...items.values()].map((item) => checkpointLine(without(item, 'spilled'))).sort();
  }

  async linesOf(manifest: Manifest): Promise<string[]> {
    const lines: string[] = [];
    for await (const line of checkpointLines(this.checkpoints, manifest)) lines.push(line);
    return lines.sort();
  }

  async checkpointsThere(): Promise<Manifest[]> {
    const manifests: Manifest[] = [];
    for (const id of await this.checkpoints.folders()) {
      const manifest = await this.checkpoints.getManifest(id);
      if (manifest !== undefined) manifests.push(manifest);
    }
    return manifests;
  }
}

function positionOf(number: number): Position {
  return { sequence: String(number), sub: 0 };
}

/** Counts requests of a process, and lets it die before or behind one of them. */
export class Process {
  requests = 0;
  #isDead = false;

  /** @param dies at which request, from 1. */
  constructor(
    private readonly dies = Infinity,
    private readonly when: 'before' | 'behind' = 'before',
  ) {}

  /** Ports of a taker that go through this process. */
  ports(world: TakingWorld): Pick<CheckpointTaker, 'checkpoints' | 'generations' | 'store' | 'streamShards'> {
    const { checkpoints, generations, store, streamShards } = world.taker();
    return {
      checkpoints: this.#wrapped<CheckpointStore>(checkpoints),
      generations: this.#wrapped(generations),
      store: this.#wrapped(store),
      streamShards: this.#wrapped(streamShards),
    };
  }

  #wrapped<T extends object>(port: T): T {
    return new Proxy(port, {
      get: (target, name) => {
        const member = Reflect.get(target, name, target) as unknown;
        if (typeof member !== 'function') return member;
        const call = (...given: unknown[]): unknown => Reflect.apply(member, target, given) as unknown;
        if (name === 'costs') return call;
        return async (...given: unknown[]) => {
          if (this.#isDead) throw new Died();
          const isLast = ++this.requests === this.dies;
          if (isLast) this.#isDead = true;
          if (isLast && this.when === 'before') throw new Died();
          const answer = await call(...given);
          if (isLast) throw new Died();
          return answer;
        };
      },
    });
  }
}

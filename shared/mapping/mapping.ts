import { MappedShard, type ShardWork } from './mapped-shard.ts';
import type { MappingAction } from './mapping-action.ts';
import type { InvocationOutcome, MappingInput } from './mapping-input.ts';
import type { MappingSettings } from './mapping-settings.ts';
import type { MappingSnapshot } from './mapping-snapshot.ts';
import type { MappingStatus } from './mapping-status.ts';
import type { ReadFrom } from './read-from.ts';
import type { ListedShard } from './shard-listing.ts';

/**
 * A Lambda event source mapping for Kinesis as a state machine: no I/O, no timers, no clock. The same settings and the
 * same inputs at the same times give the same actions.
 */
export interface Mapping {
  /**
   * Takes one input and gives what is to be done now, in order. Answers that nobody waits for any more are ignored.
   * @param nowMs milliseconds since the epoch.
   */
  handle(input: MappingInput, nowMs: number): MappingAction[];
  /** Where the mapping stands: give it to `createMapping` to go on from there. */
  snapshot(): MappingSnapshot;
  status(): MappingStatus;
}

/** To the mapping, an invocation that it gave up on has failed. */
const ABANDONED: InvocationOutcome = {
  kind: 'functionError',
  errorType: 'Abandoned',
  errorMessage: 'The poller gave up on the invocation.',
};

interface Delivery {
  readonly shard: MappedShard;
  readonly lane: number;
}

/**
 * Makes a mapping that begins at the settings' starting position, or where the snapshot was taken.
 * @throws RangeError when the snapshot is of another version.
 */
export function createMapping(settings: MappingSettings, snapshot?: MappingSnapshot): Mapping {
  return new EventSourceMapping(settings, snapshot);
}

class EventSourceMapping implements Mapping {
  readonly #settings: MappingSettings;
  readonly #shards = new Map<string, MappedShard>();
  /** Invocations that are waited for, by id. */
  readonly #deliveries = new Map<string, Delivery>();
  /** Shards that wait for the answer to a read, by its id. */
  readonly #reads = new Map<string, MappedShard>();
  #listedShardIds = new Set<string>();
  #enabled: boolean;
  #listed: boolean;
  #listing = false;
  #listingAskedAtMs = 0;
  #listedAtMs: number | undefined;
  #nextListingAtMs = 0;
  #nextId: number;
  #completedBatches = 0;
  #failedInvocations = 0;
  #filteredRecords = 0;
  #discardedRecords = 0;
  #lastProcessingResult: MappingStatus['lastProcessingResult'] = 'No records processed';

  constructor(settings: MappingSettings, snapshot: MappingSnapshot | undefined) {
    // A snapshot comes from a file: its type says what it should be, not what it is.
    const version: number | undefined = snapshot?.version;
    if (version !== undefined && version !== 1) {
      throw new RangeError(`Mapping snapshot has version ${version}; allowed is 1. Delete it to start over.`);
    }
    this.#settings = settings;
    this.#enabled = snapshot?.enabled ?? settings.enabled;
    this.#listed = snapshot?.listed ?? false;
    this.#nextId = snapshot?.nextId ?? 1;
    for (const shard of snapshot?.shards ?? []) {
      this.#shards.set(shard.shardId, new MappedShard(settings, shard));
    }
  }

  handle(input: MappingInput, nowMs: number): MappingAction[] {
    const actions: MappingAction[] = [];
    let wakeAtMs = Infinity;
    const work: ShardWork = {
      nowMs,
      act: (action) => {
        if (action.kind === 'readShard') this.#reads.set(action.readId, this.#shard(action.shardId));
        if (action.kind === 'invoke' && !action.duplicate) {
          const delivery = { shard: this.#shard(action.shardId), lane: action.lane };
          this.#deliveries.set(action.invocationId, delivery);
        }
        actions.push(action);
      },
      wakeAt: (atMs) => {
        wakeAtMs = Math.min(wakeAtMs, atMs);
      },
      nextId: () => this.#nextId++,
      filtered: (records) => {
        this.#filteredRecords += records;
      },
      discarded: (records) => {
        this.#discardedRecords += records;
      },
    };
    this.#take(input, work);
    if (this.#enabled) this.#advance(work);
    if (wakeAtMs !== Infinity) actions.push({ kind: 'wakeAt', atMs: wakeAtMs });
    return actions;
  }

  snapshot(): MappingSnapshot {
    return {
      version: 1,
      enabled: this.#enabled,
      listed: this.#listed,
      nextId: this.#nextId,
      shards: [...this.#shards.values()].map((shard) => shard.snapshot()),
    };
  }

  status(): MappingStatus {
    const shards = [...this.#shards.values()];
    const idleState = shards.some((shard) => shard.busy) ? 'Disabling' : 'Disabled';
    return {
      state: this.#enabled ? 'Enabled' : idleState,
      lastProcessingResult: this.#lastProcessingResult,
      completedBatches: this.#completedBatches,
      failedInvocations: this.#failedInvocations,
      filteredRecords: this.#filteredRecords,
      discardedRecords: this.#discardedRecords,
      listedAtMs: this.#listedAtMs,
      shards: shards.map((shard) => shard.status()),
    };
  }

  #take(input: MappingInput, work: ShardWork): void {
    switch (input.kind) {
      case 'tick':
        return;
      case 'enable':
        this.#enabled = true;
        return;
      case 'disable':
        this.#enabled = false;
        return;
      case 'shardsListed':
        this.#shardsListed(input.shards, work.nowMs);
        return;
      case 'listingFailed':
        this.#listing = false;
        this.#nextListingAtMs = work.nowMs + this.#settings.timing.pollIntervalMs;
        return;
      case 'recordsRead': {
        this.#takeRead(input.readId)?.recordsRead(input, work);
        // The children of a shard that ended are in the next listing.
        if (input.endOfShard) this.#nextListingAtMs = work.nowMs;
        return;
      }
      case 'readFailed':
        this.#takeRead(input.readId)?.readFailed(input.readId, input.shardGone, work);
        return;
      case 'invocationEnded':
        this.#invocationEnded(input, work);
        return;
      case 'abandon':
        this.#invocationEnded({ ...input, kind: 'invocationEnded', outcome: ABANDONED }, work);
        return;
      case 'redeliver':
        if (!this.#enabled) return;
        this.#shards.get(input.shardId)?.redeliver(input.lane, input.maximumRecords, work);
        return;
    }
  }

  #shardsListed(listed: readonly ListedShard[], nowMs: number): void {
    this.#listing = false;
    this.#listedAtMs = this.#listingAskedAtMs;
    this.#nextListingAtMs = nowMs + this.#settings.timing.listIntervalMs;
    this.#listedShardIds = new Set(listed.map((shard) => shard.shardId));
    for (const shard of listed) {
      if (this.#shards.has(shard.shardId)) continue;
      const parents = [shard.parentShardId, shard.adjacentParentShardId];
      const parentShardIds = parents.filter((parent) => parent !== undefined);
      const position = this.#startOf(parentShardIds, nowMs);
      const snapshot = { shardId: shard.shardId, parentShardIds, position, done: false };
      this.#shards.set(shard.shardId, new MappedShard(this.#settings, snapshot));
    }
    this.#listed = true;
    for (const [shardId, shard] of this.#shards) {
      // A shard is no longer listed once its last record has passed the retention; until it is done it is kept.
      if (shard.done && !this.#listedShardIds.has(shardId)) this.#shards.delete(shardId);
    }
  }

  /** The starting position is for the shards that exist when the mapping begins; later ones are read from their start. */
  #startOf(parentShardIds: readonly string[], nowMs: number): ReadFrom {
    if (this.#listed) return { kind: 'trimHorizon' };
    const { startingPosition } = this.#settings;
    const waits = parentShardIds.some((parent) => this.#listedShardIds.has(parent));
    // By the time its parents are done, the latest record of a child would be a later one than now.
    if (startingPosition.kind === 'latest' && waits) return { kind: 'timestamp', timestampMs: nowMs };
    return startingPosition;
  }

  #invocationEnded(input: Extract<MappingInput, { kind: 'invocationEnded' }>, work: ShardWork): void {
    const delivery = this.#deliveries.get(input.invocationId);
    if (delivery === undefined) return;
    this.#deliveries.delete(input.invocationId);
    const { shard, lane } = delivery;
    const succeeded = shard.invocationEnded(lane, input.outcome, input.requestId, work);
    if (succeeded) this.#completedBatches += 1;
    else this.#failedInvocations += 1;
    this.#lastProcessingResult = succeeded ? 'OK' : 'PROBLEM: Function call failed';
  }

  #advance(work: ShardWork): void {
    // Expiry can finish a shard while it advances; its children, which may stand before it, are not to wait for more.
    for (let finished = true; finished;) {
      finished = false;
      for (const shard of this.#shards.values()) {
        if (shard.done || !this.#parentsDone(shard)) continue;
        shard.advance(work);
        finished ||= shard.done;
      }
    }
    if (this.#listing) return;
    if (work.nowMs < this.#nextListingAtMs) {
      work.wakeAt(this.#nextListingAtMs);
      return;
    }
    this.#listing = true;
    this.#listingAskedAtMs = work.nowMs;
    work.act({ kind: 'listShards' });
  }

  /** A parent that is neither listed nor known is older than the retention: nothing of it is left to read. */
  #parentsDone(shard: MappedShard): boolean {
    return shard.parentShardIds.every((parent) => this.#shards.get(parent)?.done ?? true);
  }

  #takeRead(readId: string): MappedShard | undefined {
    const shard = this.#reads.get(readId);
    this.#reads.delete(readId);
    return shard;
  }

  #shard(shardId: string): MappedShard {
    const shard = this.#shards.get(shardId);
    if (shard === undefined) throw new Error(`Shard ${shardId} acts although the mapping does not know it.`);
    return shard;
  }
}

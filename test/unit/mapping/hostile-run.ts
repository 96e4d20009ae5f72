import { compareSequences } from '../../../shared/source/position.ts';
import { createMapping } from '../../../shared/mapping/mapping.ts';
import type { MappingAction } from '../../../shared/mapping/mapping-action.ts';
import type { InvocationOutcome, MappingInput } from '../../../shared/mapping/mapping-input.ts';
import type { MappingSettings } from '../../../shared/mapping/mapping-settings.ts';
import type { ReadFrom } from '../../../shared/mapping/read-from.ts';
import type { ListedShard } from '../../../shared/mapping/shard-listing.ts';
import type { StreamRecord } from '../../../shared/mapping/stream-record.ts';
import { READ_AHEAD_BATCHES } from '../../../shared/mapping/mapped-shard.ts';
import { ARRIVAL_MS, record } from './example-settings.ts';

type Invoke = Extract<MappingAction, { kind: 'invoke' }>;
type Read = Extract<MappingAction, { kind: 'readShard' }>;

/** Gives whole numbers from 0 up to and without `below`; the same for the same seed (mulberry32). */
export function seededChance(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

interface ModelShard extends ListedShard {
  readonly records: readonly StreamRecord[];
  readonly closed: boolean;
}

/** Two shards that merge into a third, which is split into two: every shape that resharding gives. */
function shardsOf(chance: (below: number) => number): ModelShard[] {
  let number = 0;
  const some = () =>
    Array.from({ length: chance(12) }, () => record(++number, { partitionKey: `key-${chance(4)}` }));
  return [
    { shardId: 'a', records: some(), closed: true },
    { shardId: 'b', records: some(), closed: true },
    { shardId: 'ab', parentShardId: 'a', adjacentParentShardId: 'b', records: some(), closed: true },
    { shardId: 'ab-1', parentShardId: 'ab', records: some(), closed: false },
    { shardId: 'ab-2', parentShardId: 'ab', records: some(), closed: false },
  ];
}

/** The parents of each shard, itself included, to the roots. */
const LINEAGE: Readonly<Record<string, readonly string[]>> = {
  a: ['a'],
  b: ['b'],
  ab: ['a', 'b', 'ab'],
  'ab-1': ['a', 'b', 'ab', 'ab-1'],
  'ab-2': ['a', 'b', 'ab', 'ab-2'],
};

/** One life of a mapping, from its start or restore to its end: enough to play it again. */
export interface Life {
  readonly snapshotText: string | undefined;
  readonly inputs: { readonly input: MappingInput; readonly nowMs: number; readonly actions: string }[];
}

/**
 * Drives a mapping with endless retries through chance, and checks after every step what must always hold. Breaks off
 * with an error at the first violation.
 */
export class HostileRun {
  readonly lives: Life[] = [];
  readonly #settings: () => MappingSettings;
  readonly #chance: (below: number) => number;
  readonly #shards: readonly ModelShard[];
  /** By sequence number: the function has done its work. */
  readonly #processed = new Set<string>();
  #mapping;
  #nowMs = ARRIVAL_MS;
  #wakeAtMs = ARRIVAL_MS;
  #reads: Read[] = [];
  #running: Invoke[] = [];
  #zombies: Invoke[] = [];
  #mustList = false;

  constructor(settings: () => MappingSettings, chance: (below: number) => number) {
    this.#settings = settings;
    this.#chance = chance;
    this.#shards = shardsOf(chance);
    this.#mapping = createMapping(settings());
    this.lives.push({ snapshotText: undefined, inputs: [] });
    this.#give({ kind: 'tick' });
  }

  /** One thing happens, by chance. */
  step(): void {
    const kind = this.#chance(100);
    if (kind < 30) this.#answerRead(this.#chance(10) === 0);
    else if (kind < 65) this.#endInvocation(this.#anyOutcome());
    else if (kind < 80) this.#wake();
    else if (kind < 85) this.#answerListing();
    else if (kind < 89) this.#abandon();
    else if (kind < 93) this.#redeliver();
    else if (kind < 95) this.#give({ kind: this.#chance(2) === 0 ? 'disable' : 'enable' });
    else if (kind < 97) this.#endZombie();
    else if (kind < 98) this.#restart();
    else this.#nowMs += this.#chance(5000);
  }

  /** Everything goes well from here on, until all is acknowledged. */
  finish(): void {
    this.#give({ kind: 'enable' });
    for (let rounds = 0; rounds < 2000; rounds++) {
      this.#answerListing();
      while (this.#reads.length > 0) this.#answerRead(false);
      while (this.#running.length > 0) this.#endInvocation({ kind: 'response', payload: null });
      if (this.#processed.size === this.#recordCount() && this.#allAcknowledged()) return;
      this.#wake();
    }
    throw new Error(`Only ${this.#processed.size} of ${this.#recordCount()} records were delivered.`);
  }

  #recordCount(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.records.length, 0);
  }

  #allAcknowledged(): boolean {
    return this.#mapping
      .status()
      .shards.every((shard) => shard.queuedRecords === 0 && shard.inFlightRecords === 0);
  }

  #give(input: MappingInput): void {
    const actions = this.#mapping.handle(input, this.#nowMs);
    this.lives.at(-1)?.inputs.push({ input, nowMs: this.#nowMs, actions: JSON.stringify(actions) });
    for (const action of actions) {
      if (action.kind === 'wakeAt') this.#wakeAtMs = action.atMs;
      if (action.kind === 'listShards') this.#mustList = true;
      if (action.kind === 'readShard') this.#reads.push(action);
      if (action.kind === 'invoke') this.#invoked(action);
    }
    this.#check();
  }

  #invoked(action: Invoke): void {
    if (action.duplicate) {
      this.#zombies.push(action);
      return;
    }
    if (this.#running.some((other) => other.shardId === action.shardId && other.lane === action.lane)) {
      throw new Error(`Lane ${action.lane} of ${action.shardId} has two invocations that are waited for.`);
    }
    this.#checkOrder(action);
    this.#running.push(action);
  }

  /** Whatever stands before a record under its key must be processed, or stand before it in the same batch. */
  #checkOrder({ shardId, records }: Invoke): void {
    const before = new Set<string>();
    const lineage = LINEAGE[shardId] ?? [];
    for (const each of records) {
      for (const shard of this.#shards.filter((candidate) => lineage.includes(candidate.shardId))) {
        for (const earlier of shard.records) {
          if (earlier.partitionKey !== each.partitionKey && shard.shardId === shardId) continue;
          if (
            shard.shardId === shardId &&
            compareSequences(earlier.sequenceNumber, each.sequenceNumber) >= 0
          ) {
            continue;
          }
          if (this.#processed.has(earlier.sequenceNumber) || before.has(earlier.sequenceNumber)) continue;
          throw new Error(`${each.sequenceNumber} is delivered before ${earlier.sequenceNumber}.`);
        }
      }
      before.add(each.sequenceNumber);
    }
  }

  #check(): void {
    const { batchSize, parallelizationFactor } = this.#settings();
    for (const status of this.#mapping.status().shards) {
      const held = status.queuedRecords + status.inFlightRecords;
      if (held > READ_AHEAD_BATCHES * batchSize * parallelizationFactor) {
        throw new Error(`${status.shardId} holds ${held} records.`);
      }
      const last = status.lastAcknowledged;
      if (last === undefined) continue;
      for (const each of this.#modelShard(status.shardId).records) {
        if (compareSequences(each.sequenceNumber, last) > 0 || this.#processed.has(each.sequenceNumber))
          continue;
        throw new Error(`${each.sequenceNumber} is acknowledged by ${last} and was not processed.`);
      }
    }
  }

  #modelShard(shardId: string): ModelShard {
    const shard = this.#shards.find((candidate) => candidate.shardId === shardId);
    if (shard === undefined) throw new Error(`There is no shard ${shardId}.`);
    return shard;
  }

  #answerListing(): void {
    if (!this.#mustList) return;
    this.#mustList = false;
    if (this.#chance(10) === 0) this.#give({ kind: 'listingFailed' });
    else this.#give({ kind: 'shardsListed', shards: this.#shards });
  }

  #answerRead(fails: boolean): void {
    const [read] = this.#reads.splice(this.#chance(this.#reads.length), 1);
    if (read === undefined) return;
    const { readId } = read;
    if (fails) {
      this.#give({ kind: 'readFailed', readId, shardGone: false });
      return;
    }
    const { records, closed } = this.#modelShard(read.shardId);
    const start = records.findIndex((each) => isBehind(each, read.from));
    const left = start === -1 ? [] : records.slice(start);
    const page = left.slice(0, this.#chance(read.limit + 1));
    const exhausted = page.length === left.length;
    const millisBehindLatest = exhausted ? 0 : 1000;
    this.#give({
      kind: 'recordsRead',
      readId,
      records: page,
      endOfShard: closed && exhausted,
      millisBehindLatest,
    });
  }

  #anyOutcome(): (invocation: Invoke) => InvocationOutcome {
    const kind = this.#chance(8);
    return ({ records }) => {
      if (kind < 3) return { kind: 'response', payload: undefined };
      if (kind < 4) return { kind: 'functionError', errorType: 'Error', errorMessage: 'chance' };
      if (kind < 5) return { kind: 'notInvoked', reason: 'chance' };
      if (kind < 6) return { kind: 'response', payload: { batchItemFailures: [{ itemIdentifier: '' }] } };
      const itemIdentifier = records[this.#chance(records.length)]?.sequenceNumber;
      return { kind: 'response', payload: { batchItemFailures: [{ itemIdentifier }] } };
    };
  }

  #endInvocation(outcome: InvocationOutcome | ((invocation: Invoke) => InvocationOutcome)): void {
    const [invocation] = this.#running.splice(this.#chance(this.#running.length), 1);
    if (invocation === undefined) return;
    const end = typeof outcome === 'function' ? outcome(invocation) : outcome;
    // The model of the function: what it does not report has been done.
    if (end.kind === 'response') {
      const text = JSON.stringify(end.payload ?? null);
      const failed = invocation.records.findIndex((each) => text.includes(each.sequenceNumber));
      const all = !text.includes('itemIdentifier');
      const done = all ? invocation.records : invocation.records.slice(0, Math.max(0, failed));
      for (const each of done) this.#processed.add(each.sequenceNumber);
    }
    const { invocationId } = invocation;
    this.#give({ kind: 'invocationEnded', invocationId, outcome: end });
  }

  #abandon(): void {
    const [invocation] = this.#running.splice(this.#chance(this.#running.length), 1);
    if (invocation === undefined) return;
    this.#zombies.push(invocation);
    this.#give({ kind: 'abandon', invocationId: invocation.invocationId });
  }

  /** A zombie or a duplicate says that all is well: the mapping must not believe it. */
  #endZombie(): void {
    const [zombie] = this.#zombies.splice(this.#chance(this.#zombies.length), 1);
    if (zombie === undefined) return;
    const { invocationId } = zombie;
    this.#give({ kind: 'invocationEnded', invocationId, outcome: { kind: 'response', payload: null } });
  }

  #redeliver(): void {
    const { shardId } = this.#modelShard(this.#shards[this.#chance(this.#shards.length)]?.shardId ?? '');
    const lane = this.#chance(this.#settings().parallelizationFactor);
    this.#give({ kind: 'redeliver', shardId, lane, maximumRecords: 1 + this.#chance(8) });
  }

  #restart(): void {
    const snapshotText = JSON.stringify(this.#mapping.snapshot());
    this.#mapping = createMapping(this.#settings(), JSON.parse(snapshotText) as never);
    this.lives.push({ snapshotText, inputs: [] });
    this.#reads = [];
    this.#zombies.push(...this.#running);
    this.#running = [];
    this.#mustList = false;
    this.#give({ kind: 'tick' });
  }

  #wake(): void {
    this.#nowMs = Math.max(this.#nowMs, this.#wakeAtMs);
    this.#give({ kind: 'tick' });
  }
}

function isBehind(each: StreamRecord, from: ReadFrom): boolean {
  return from.kind !== 'after' || compareSequences(each.sequenceNumber, from.sequenceNumber) > 0;
}

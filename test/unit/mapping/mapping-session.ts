import { createMapping, type Mapping } from '../../../shared/mapping/mapping.ts';
import type { MappingAction } from '../../../shared/mapping/mapping-action.ts';
import type { InvocationOutcome, MappingInput } from '../../../shared/mapping/mapping-input.ts';
import type { MappingSettings } from '../../../shared/mapping/mapping-settings.ts';
import type { MappingSnapshot } from '../../../shared/mapping/mapping-snapshot.ts';
import type { ShardStatus } from '../../../shared/mapping/mapping-status.ts';
import type { ListedShard } from '../../../shared/mapping/shard-listing.ts';
import type { StreamRecord } from '../../../shared/mapping/stream-record.ts';
import { ARRIVAL_MS, numbersOf } from './example-settings.ts';

type Action<Kind extends MappingAction['kind']> = Extract<MappingAction, { kind: Kind }>;

export const SHARD = 'shardId-000000000000';
export const OK: InvocationOutcome = { kind: 'response', payload: null };
export const ERROR: InvocationOutcome = { kind: 'functionError', errorType: 'Error', errorMessage: 'no' };

export function failing(...identifiers: unknown[]): InvocationOutcome {
  return {
    kind: 'response',
    payload: { batchItemFailures: identifiers.map((itemIdentifier) => ({ itemIdentifier })) },
  };
}

/** A mapping under test with the time it lives in, and what it asked for that was not answered yet. */
export class MappingSession {
  readonly mapping: Mapping;
  nowMs: number;
  /** All actions so far, in order. */
  readonly actions: MappingAction[] = [];
  reads: Action<'readShard'>[] = [];
  invocations: Action<'invoke'>[] = [];
  listings = 0;
  wakeAtMs: number | undefined;

  constructor(settings: MappingSettings, snapshot?: MappingSnapshot, nowMs = ARRIVAL_MS) {
    this.mapping = createMapping(settings, snapshot);
    this.nowMs = nowMs;
  }

  give(input: MappingInput): this {
    const actions = this.mapping.handle(input, this.nowMs);
    this.wakeAtMs = undefined;
    for (const action of actions) {
      this.actions.push(action);
      if (action.kind === 'readShard') this.reads.push(action);
      if (action.kind === 'invoke') this.invocations.push(action);
      if (action.kind === 'listShards') this.listings += 1;
      if (action.kind === 'wakeAt') this.wakeAtMs = action.atMs;
    }
    return this;
  }

  /** Starts the mapping and answers its first listing. */
  start(shards: readonly ListedShard[] = [{ shardId: SHARD }]): this {
    return this.give({ kind: 'tick' }).list(shards);
  }

  list(shards: readonly ListedShard[]): this {
    return this.give({ kind: 'shardsListed', shards });
  }

  /** Answers the oldest read of the shard. */
  read(
    records: readonly StreamRecord[],
    { endOfShard = false, millisBehindLatest = 0, shardId = SHARD } = {},
  ): this {
    const index = this.reads.findIndex((read) => read.shardId === shardId);
    const [read] = index === -1 ? [] : this.reads.splice(index, 1);
    if (read === undefined) throw new Error(`The mapping asks for no read of ${shardId}.`);
    return this.give({ kind: 'recordsRead', readId: read.readId, records, endOfShard, millisBehindLatest });
  }

  /** Ends the oldest invocation that waits, and gives the numbers of the records it was given. */
  end(outcome: InvocationOutcome): number[] {
    const invocation = this.invocations.shift();
    if (invocation === undefined) throw new Error('No invocation waits for its end.');
    this.give({ kind: 'invocationEnded', invocationId: invocation.invocationId, outcome });
    return numbersOf(invocation.records);
  }

  /** Lets time pass until the mapping wants to be woken. */
  wake(): this {
    if (this.wakeAtMs === undefined) throw new Error('The mapping does not want to be woken.');
    this.nowMs = this.wakeAtMs;
    return this.give({ kind: 'tick' });
  }

  after(delayMs: number): this {
    this.nowMs += delayMs;
    return this.give({ kind: 'tick' });
  }

  /** Wakes the mapping until an invocation waits. */
  untilInvoked(): this {
    for (let wakes = 0; this.invocations.length === 0; wakes++) {
      if (wakes > 1000) throw new Error('The mapping was woken 1000 times and invoked nothing.');
      this.wake();
    }
    return this;
  }

  /** The numbers of the records of every invocation that waits. */
  get waiting(): number[][] {
    return this.invocations.map((invocation) => numbersOf(invocation.records));
  }

  get failureDocuments(): Action<'sendOnFailure'>[] {
    return this.actions.filter((action) => action.kind === 'sendOnFailure');
  }

  status(shardId = SHARD): ShardStatus {
    const status = this.mapping.status().shards.find((shard) => shard.shardId === shardId);
    if (status === undefined) throw new Error(`The mapping does not know ${shardId}.`);
    return status;
  }
}

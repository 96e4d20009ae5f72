import { readBatchResponse } from '../../mapping/batch-response.ts';
import { createKinesisEvent, type KinesisEvent } from '../../mapping/kinesis-event.ts';
import { createMapping, type Mapping } from '../../mapping/mapping.ts';
import type { MappingAction } from '../../mapping/mapping-action.ts';
import type { InvocationOutcome, MappingInput } from '../../mapping/mapping-input.ts';
import type { MappingSettings } from '../../mapping/mapping-settings.ts';
import type { MappingSnapshot } from '../../mapping/mapping-snapshot.ts';
import type { StreamRecord } from '../../mapping/stream-record.ts';
import type { FaultPlan } from './faults.ts';
import type { MemoryStream } from './memory-stream.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface SimulatedMappingOptions {
  readonly stream: MemoryStream;
  readonly settings: MappingSettings;
  /** Whether children wait for their parents, as Lambda is said to let them. */
  readonly parentsFirst: boolean;
  readonly time: VirtualTime;
  readonly faults: FaultPlan;
  readonly random: () => number;
  /** Starts an invocation; `ended` is called once at most. */
  readonly invoke: (event: KinesisEvent, ended: (outcome: InvocationOutcome) => void) => void;
  /** Lambda takes these records for done. */
  readonly acknowledged: (shardId: string, records: readonly StreamRecord[]) => void;
  readonly tell: (text: string) => void;
}

const LATENCY_MS = 20;
/** An invocation is given up within this time, and a second poller delivers again within it. */
const OVERLAP_MS = 3_000;

/** Drives the real state machine of the mapping from a stream in memory. */
export class SimulatedMapping {
  readonly #options: SimulatedMappingOptions;
  #settings: MappingSettings;
  #mapping: Mapping;
  /** What it goes on from when it restarts: not always the newest. */
  #kept: MappingSnapshot | undefined;
  /** Counts restarts: answers to an earlier one are nobody's. */
  #life = 0;
  #wakeAtMs = Infinity;
  #isEnabled = true;
  /** By the id of an invocation that is waited for: how to give it up. */
  readonly #outstanding = new Map<string, () => void>();

  constructor(options: SimulatedMappingOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#mapping = createMapping(options.settings);
  }

  disable(): void {
    this.#isEnabled = false;
    this.#handle({ kind: 'disable' });
  }

  enable(): void {
    this.#isEnabled = true;
    this.#handle({ kind: 'enable' });
  }

  start(): void {
    this.#handle({ kind: 'tick' });
  }

  /** Goes on from what was kept, or from where it stands, perhaps with other settings. */
  restart(settings: MappingSettings = this.#settings, isOrderly = false): void {
    this.#life += 1;
    this.#outstanding.clear();
    const snapshot = isOrderly ? this.#mapping.snapshot() : this.#kept;
    this.#settings = settings;
    this.#mapping = createMapping(settings, snapshot);
    this.#wakeAtMs = Infinity;
    // What was kept may be from before it was disabled or enabled.
    this.#handle({ kind: this.#isEnabled ? 'enable' : 'disable' });
    this.#handle({ kind: 'tick' });
  }

  /** Gives up every invocation that it waits for: what they do from here on is nobody's. */
  abandonAll(): void {
    for (const giveUp of [...this.#outstanding.values()]) giveUp();
  }

  #handle(input: MappingInput): void {
    for (const action of this.#mapping.handle(input, this.#options.time.nowMs)) this.#act(action);
  }

  /** Gives the mapping its input later, unless it has restarted by then. */
  #later(delayMs: number, input: () => MappingInput): void {
    const life = this.#life;
    this.#options.time.after(delayMs, () => {
      if (life === this.#life) this.#handle(input());
    });
  }

  #act(action: MappingAction): void {
    const { stream, time, faults, random, parentsFirst } = this.#options;
    switch (action.kind) {
      case 'listShards':
        this.#later(random() * LATENCY_MS, () => {
          const shards = stream.list();
          if (shards.length > 1 && faults.strikes('staleListing', 0.3)) shards.pop();
          return {
            kind: 'shardsListed',
            shards: parentsFirst ? shards : shards.map(({ shardId }) => ({ shardId })),
          };
        });
        return;
      case 'readShard': {
        const { readId, shardId, from, limit } = action;
        this.#later(random() * LATENCY_MS, () => {
          const read = stream.read(shardId, from, limit, time.nowMs);
          if (read.kind === 'gone') return { kind: 'readFailed', readId, shardGone: true };
          const { records, endOfShard, isAtTip } = read;
          return { kind: 'recordsRead', readId, records, endOfShard, millisBehindLatest: isAtTip ? 0 : 1 };
        });
        return;
      }
      case 'invoke':
        this.#invoke(action);
        return;
      case 'sendOnFailure':
        throw new Error('The mapping gives records up although its retries are endless.');
      case 'wakeAt': {
        const life = this.#life;
        const { atMs } = action;
        this.#wakeAtMs = atMs;
        time.at(atMs, () => {
          if (life !== this.#life || this.#wakeAtMs !== atMs) return;
          this.#wakeAtMs = Infinity;
          this.#handle({ kind: 'tick' });
        });
        return;
      }
    }
  }

  #invoke({
    invocationId,
    shardId,
    lane,
    records,
    duplicate,
  }: Extract<MappingAction, { kind: 'invoke' }>): void {
    const { time, faults, random, invoke, acknowledged, tell } = this.#options;
    const life = this.#life;
    let isGivenUp = false;
    tell(
      `${duplicate ? 'deliver again' : 'deliver'} ${shardId.slice(-2)}#${lane} ` +
        `[${records.map(({ sequenceNumber }) => sequenceNumber.slice(-3)).join()}]`,
    );
    const event = createKinesisEvent(this.#settings, shardId, records);
    invoke(event, (outcome) => {
      if (duplicate || life !== this.#life || isGivenUp) return;
      this.#outstanding.delete(invocationId);
      if (outcome.kind === 'response') {
        const verdict = readBatchResponse(outcome.payload, records);
        if (verdict.kind === 'succeeded') acknowledged(shardId, records);
        else if (verdict.kind === 'failedFrom') acknowledged(shardId, records.slice(0, verdict.index));
      }
      this.#handle({ kind: 'invocationEnded', invocationId, outcome });
      // What a poller keeps lies some way behind.
      if (random() < 0.3) this.#kept = this.#mapping.snapshot();
    });
    if (duplicate) return;
    const giveUp = (): void => {
      if (isGivenUp || life !== this.#life || !this.#outstanding.delete(invocationId)) return;
      isGivenUp = true;
      tell(`given up ${invocationId}`);
      this.#handle({ kind: 'abandon', invocationId });
    };
    this.#outstanding.set(invocationId, giveUp);
    if (faults.strikes('abandoned', 0.1)) {
      time.after(random() * OVERLAP_MS, giveUp);
    }
    if (faults.strikes('duplicated', 0.1)) {
      const maximumRecords = 1 + Math.floor(random() * (records.length + 2));
      this.#later(random() * OVERLAP_MS, () => ({ kind: 'redeliver', shardId, lane, maximumRecords }));
    }
    if (faults.strikes('restartedMapping', 0.05)) {
      time.after(random() * OVERLAP_MS, () => {
        tell('the mapping restarts');
        this.restart();
      });
    }
  }
}

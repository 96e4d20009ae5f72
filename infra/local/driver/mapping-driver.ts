import type { Clock } from '../../../shared/time/clock.ts';
import { createKinesisEvent } from '../../../shared/mapping/kinesis-event.ts';
import { createMapping } from '../../../shared/mapping/mapping.ts';
import type { MappingAction } from '../../../shared/mapping/mapping-action.ts';
import type { InvocationOutcome, MappingInput } from '../../../shared/mapping/mapping-input.ts';
import type { MappingSettings } from '../../../shared/mapping/mapping-settings.ts';
import type { MappingSnapshot } from '../../../shared/mapping/mapping-snapshot.ts';
import type { MappingStatus } from '../../../shared/mapping/mapping-status.ts';
import type { ReadFrom } from '../../../shared/mapping/read-from.ts';
import { batchSizeChooser, type Chaos } from './chaos.ts';
import type { FailureSender } from './failure-sender.ts';
import type { PageResult, ShardReader } from './shard-reader.ts';
import type { Timer } from '../timer.ts';

/** Invokes the function with an event and waits for its end; rejects when it could not be started. */
export type InvokeFunction = (event: unknown) => Promise<Exclude<InvocationOutcome, { kind: 'notInvoked' }>>;

export interface MappingDriverOptions {
  readonly settings: MappingSettings;
  readonly reader: ShardReader;
  readonly invoke: InvokeFunction;
  readonly failures: FailureSender;
  readonly clock: Clock;
  readonly timer: Timer;
  /** Where an earlier driver of the same mapping stopped. */
  readonly snapshot?: MappingSnapshot;
  readonly chaos?: Chaos;
  /** After every step of the mapping: `status` and `snapshot` may have changed. */
  readonly onProgress?: () => void;
  /** What went wrong around the mapping; it is tried again, except for a failure document, which is lost. */
  readonly onError?: (error: Error) => void;
}

/** Runs a mapping against a stream and a function. */
export interface MappingDriver {
  /** @throws Error when it was started or stopped before. */
  start(): void;
  /** @throws Error when the driver does not run. */
  enable(): void;
  /**
   * The state becomes `Disabled` once what is under way has ended.
   * @throws Error when the driver does not run.
   */
  disable(): void;
  status(): MappingStatus;
  snapshot(): MappingSnapshot;
  /**
   * Begins nothing new, breaks off reads, and waits for invocations and failure documents under way. What has not ended
   * after `limitMs` is abandoned: its records are not acknowledged, and how it ends is ignored.
   */
  stop(limitMs: number): Promise<void>;
}

type Action<Kind extends MappingAction['kind']> = Extract<MappingAction, { kind: Kind }>;

export function createMappingDriver(options: MappingDriverOptions): MappingDriver {
  return new Driver(options);
}

class Driver implements MappingDriver {
  readonly #options: MappingDriverOptions;
  readonly #mapping;
  /** The next iterator of a shard, by shard, with the read whose answer it came with. */
  readonly #iterators = new Map<string, { readonly readId: string; readonly iterator: string }>();
  readonly #pending = new Set<Promise<void>>();
  readonly #delayed = new Set<() => void>();
  readonly #abort = new AbortController();
  #cancelTick: (() => void) | undefined;
  #phase: 'new' | 'running' | 'stopping' | 'stopped' = 'new';

  constructor(options: MappingDriverOptions) {
    this.#options = options;
    const { settings, chaos } = options;
    const chooseBatchSize = chaos === undefined ? undefined : batchSizeChooser(chaos);
    this.#mapping = createMapping(
      chooseBatchSize === undefined ? settings : { ...settings, chooseBatchSize },
      options.snapshot,
    );
  }

  start(): void {
    if (this.#phase !== 'new') {
      throw new Error(
        `The mapping driver is ${this.#phase}; it starts once. Make another, with its snapshot.`,
      );
    }
    this.#phase = 'running';
    this.#handle({ kind: 'tick' });
  }

  enable(): void {
    this.#requireRunning('enabled');
    this.#handle({ kind: 'enable' });
  }

  disable(): void {
    this.#requireRunning('disabled');
    this.#handle({ kind: 'disable' });
  }

  status(): MappingStatus {
    return this.#mapping.status();
  }

  snapshot(): MappingSnapshot {
    return this.#mapping.snapshot();
  }

  async stop(limitMs: number): Promise<void> {
    this.#phase = 'stopping';
    this.#cancelTick?.();
    this.#abort.abort();
    for (const cancel of this.#delayed) cancel();
    this.#delayed.clear();
    let cancelLimit: () => void = () => undefined;
    const limit = new Promise<void>((resolve) => {
      cancelLimit = this.#options.timer.schedule(limitMs, resolve);
    });
    // What ends may leave a failure document to be sent, so that the set can grow while it is waited for.
    const drained = (async () => {
      while (this.#phase === 'stopping' && this.#pending.size > 0) await Promise.all(this.#pending);
    })();
    await Promise.race([drained, limit]);
    this.#phase = 'stopped';
    cancelLimit();
  }

  #requireRunning(wish: string): void {
    if (this.#phase !== 'running') {
      throw new Error(`The mapping driver is ${this.#phase}; it can be ${wish} between start() and stop().`);
    }
  }

  #handle(input: MappingInput): void {
    if (this.#phase === 'stopped') return;
    const actions = this.#mapping.handle(input, this.#options.clock.nowMs());
    if (this.#phase === 'running') for (const action of actions) this.#execute(action);
    // What a stopping driver does not begin stays unacknowledged, and comes again with the snapshot.
    else for (const action of actions) if (action.kind === 'sendOnFailure') this.#execute(action);
    this.#options.onProgress?.();
  }

  #execute(action: MappingAction): void {
    switch (action.kind) {
      case 'listShards':
        this.#track(this.#list());
        return;
      case 'readShard':
        this.#track(this.#read(action));
        return;
      case 'invoke':
        this.#deliver(action);
        return;
      case 'sendOnFailure':
        this.#track(this.#send(action));
        return;
      case 'wakeAt': {
        this.#cancelTick?.();
        const delayMs = Math.max(0, action.atMs - this.#options.clock.nowMs());
        this.#cancelTick = this.#options.timer.schedule(delayMs, () => this.#handle({ kind: 'tick' }));
        return;
      }
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#pending.delete(tracked));
    this.#pending.add(tracked);
  }

  #report(error: unknown, doing: string): void {
    if (this.#abort.signal.aborted && doing !== 'send a failure document') return;
    const { mappingId } = this.#options.settings;
    const reason = error instanceof Error ? error.message : String(error);
    this.#options.onError?.(
      new Error(`Mapping ${mappingId} could not ${doing}: ${reason}`, { cause: error }),
    );
  }

  async #list(): Promise<void> {
    let input: MappingInput;
    try {
      input = { kind: 'shardsListed', shards: await this.#options.reader.listShards(this.#abort.signal) };
    } catch (error) {
      this.#report(error, 'list the shards');
      input = { kind: 'listingFailed' };
    }
    this.#handle(input);
  }

  async #read(action: Action<'readShard'>): Promise<void> {
    let input: MappingInput;
    try {
      input = await this.#readPage(action);
    } catch (error) {
      this.#report(error, `read ${action.shardId}`);
      input = { kind: 'readFailed', readId: action.readId, shardGone: false };
    }
    this.#handle(input);
  }

  async #readPage({ readId, shardId, from, limit, continues }: Action<'readShard'>): Promise<MappingInput> {
    const known = this.#iterators.get(shardId);
    this.#iterators.delete(shardId);
    if (known !== undefined && known.readId === continues) {
      const page = await this.#options.reader.readPage(known.iterator, limit, this.#abort.signal);
      if (page.kind !== 'expiredIterator') return this.#pageInput(readId, shardId, page);
    }
    const iterator = await this.#openIterator(shardId, from);
    if (iterator === undefined) return { kind: 'readFailed', readId, shardGone: true };
    const page = await this.#options.reader.readPage(iterator, limit, this.#abort.signal);
    return this.#pageInput(readId, shardId, page);
  }

  /** @returns undefined where the shard is gone. */
  async #openIterator(shardId: string, from: ReadFrom): Promise<string | undefined> {
    const { reader } = this.#options;
    let opened = await reader.openIterator(shardId, from, this.#abort.signal);
    if (opened.kind === 'unknownPosition') {
      // From the beginning instead: the mapping skips what it has read before.
      opened = await reader.openIterator(shardId, { kind: 'trimHorizon' }, this.#abort.signal);
    }
    return opened.kind === 'iterator' ? opened.iterator : undefined;
  }

  #pageInput(readId: string, shardId: string, page: PageResult): MappingInput {
    switch (page.kind) {
      case 'shardGone':
        return { kind: 'readFailed', readId, shardGone: true };
      case 'expiredIterator':
        return { kind: 'readFailed', readId, shardGone: false };
      case 'page': {
        const { records, nextIterator, millisBehindLatest } = page;
        if (nextIterator !== undefined) this.#iterators.set(shardId, { readId, iterator: nextIterator });
        const endOfShard = nextIterator === undefined;
        return { kind: 'recordsRead', readId, records, endOfShard, millisBehindLatest };
      }
    }
  }

  #deliver(action: Action<'invoke'>): void {
    const { chaos } = this.#options;
    const late = chaos !== undefined && !action.duplicate && chaos.random() < chaos.abandonProbability;
    if (!late) this.#track(this.#invoke(action));
    if (chaos === undefined || action.duplicate) return;
    if (late) {
      const delayMs = chaos.random() * chaos.maximumDelayMs;
      const { invocationId } = action;
      chaos.onInjected?.('abandon');
      this.#later(delayMs / 2, () => this.#handle({ kind: 'abandon', invocationId }));
      this.#later(delayMs, () => this.#track(this.#invoke(action)));
    }
    if (chaos.random() < chaos.duplicateProbability) {
      const { shardId, lane } = action;
      const maximumRecords = 1 + Math.floor(chaos.random() * 2 * action.records.length);
      chaos.onInjected?.('duplicate');
      this.#later(chaos.random() * chaos.maximumDelayMs, () =>
        this.#handle({ kind: 'redeliver', shardId, lane, maximumRecords }),
      );
    }
  }

  #later(delayMs: number, call: () => void): void {
    const cancel = this.#options.timer.schedule(delayMs, () => {
      this.#delayed.delete(cancel);
      call();
    });
    this.#delayed.add(cancel);
  }

  async #invoke({ invocationId, shardId, records }: Action<'invoke'>): Promise<void> {
    let outcome: InvocationOutcome;
    try {
      outcome = await this.#options.invoke(createKinesisEvent(this.#options.settings, shardId, records));
    } catch (error) {
      this.#report(error, 'invoke its function');
      outcome = { kind: 'notInvoked', reason: String(error) };
    }
    this.#handle({ kind: 'invocationEnded', invocationId, outcome });
  }

  async #send(action: Action<'sendOnFailure'>): Promise<void> {
    try {
      await this.#options.failures.send(action);
    } catch (error) {
      this.#report(error, 'send a failure document');
    }
  }
}

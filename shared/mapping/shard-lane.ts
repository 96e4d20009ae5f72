import { compareSequences } from '../source/position.ts';
import { ENVELOPE_BYTES, MAXIMUM_PAYLOAD_BYTES } from './kinesis-event.ts';
import type { MappingSettings } from './mapping-settings.ts';
import type { StreamRecord } from './stream-record.ts';

/** A record that was read and is not acknowledged. */
export interface QueuedRecord {
  readonly record: StreamRecord;
  /** What it adds to an event. */
  readonly bytes: number;
  readonly readAtMs: number;
  /** The record read just before it in the shard, filtered or not; undefined for the first one ever read. */
  readonly previous: string | undefined;
}

/** Records that were or will be handed to the function together. */
interface Batch {
  readonly entries: readonly QueuedRecord[];
  /** Invocations that failed since the first of the records was reached. */
  readonly failures: number;
  /** Invocations that began with these records. */
  readonly invocations: number;
  /** How often Lambda could not start the function. */
  readonly refusals: number;
}

export type LaneStep =
  | { readonly kind: 'idle' }
  | { readonly kind: 'wait'; readonly untilMs: number }
  /** The records are in flight from here on, until `settle`. */
  | { readonly kind: 'invoke'; readonly entries: readonly QueuedRecord[] }
  /** These records are too old; they are gone from the lane. */
  | { readonly kind: 'expired'; readonly discarded: Discarded };

export interface Discarded {
  readonly entries: readonly QueuedRecord[];
  readonly invocations: number;
}

/** What an invocation's end means for its batch. */
export type LaneVerdict =
  | { readonly kind: 'succeeded' }
  | { readonly kind: 'failed' }
  /** Everything before `index` is done. */
  | { readonly kind: 'failedFrom'; readonly index: number }
  | { readonly kind: 'notInvoked' };

const FRESH = { failures: 0, invocations: 0, refusals: 0 };

/** One of the parallel sub-queues of a shard: keeps order, and has at most one invocation that it waits for. */
export class ShardLane {
  readonly #settings: MappingSettings;
  /** Batches that are cut already, because they failed together or stand behind such; the first one is next. */
  #batches: Batch[] = [];
  #queue: QueuedRecord[] = [];
  #head = 0;
  #queuedBytes = 0;
  #inFlight: Batch | undefined;
  #retryAtMs = 0;
  /** Attempts at records that went back into the queue to be cut anew. */
  #carried: Omit<Batch, 'entries'> | undefined;
  #chosenSize: number | undefined;
  #lastDelivered: readonly QueuedRecord[] = [];
  #unacknowledged = 0;
  #unacknowledgedBytes = 0;

  constructor(settings: MappingSettings) {
    this.#settings = settings;
  }

  /** Records read and not acknowledged, those in flight included. */
  get unacknowledged(): number {
    return this.#unacknowledged;
  }

  get unacknowledgedBytes(): number {
    return this.#unacknowledgedBytes;
  }

  /** Records of the invocation in flight; undefined where there is none. */
  get inFlight(): number | undefined {
    return this.#inFlight?.entries.length;
  }

  recordsInFlight(): StreamRecord[] {
    return this.#inFlight?.entries.map((entry) => entry.record) ?? [];
  }

  get firstUnacknowledged(): QueuedRecord | undefined {
    return this.#inFlight?.entries[0] ?? this.#batches[0]?.entries[0] ?? this.#queue[this.#head];
  }

  enqueue(entry: QueuedRecord): void {
    this.#queue.push(entry);
    this.#queuedBytes += entry.bytes;
    this.#unacknowledged += 1;
    this.#unacknowledgedBytes += entry.bytes;
  }

  /**
   * What the lane wants now. After `expired` it must be asked again.
   * @param noMoreRecords the shard is read to its end, so that waiting cannot fill a batch.
   */
  next(nowMs: number, noMoreRecords: boolean): LaneStep {
    if (this.#inFlight !== undefined) return { kind: 'idle' };
    if (nowMs < this.#retryAtMs) return { kind: 'wait', untilMs: this.#retryAtMs };
    if (this.#batches.length === 0) {
      const untilMs = this.#cut(nowMs, noMoreRecords);
      if (untilMs !== undefined) return { kind: 'wait', untilMs };
    }
    const expired = this.#takeExpired(nowMs);
    if (expired !== undefined) return { kind: 'expired', discarded: expired };
    const batch = this.#batches.shift();
    if (batch === undefined) return { kind: 'idle' };
    this.#inFlight = batch;
    this.#lastDelivered = batch.entries;
    return { kind: 'invoke', entries: batch.entries };
  }

  /**
   * The invocation in flight has ended.
   * @returns what is given up, its retries being used up.
   */
  settle(verdict: LaneVerdict, nowMs: number): Discarded | undefined {
    const ended = this.#inFlight;
    if (ended === undefined) throw new Error('An invocation ends although the lane has none in flight.');
    this.#inFlight = undefined;
    switch (verdict.kind) {
      case 'succeeded':
        this.#retryAtMs = 0;
        this.#release(ended.entries);
        return undefined;
      case 'notInvoked':
        this.#retryLater({ ...ended, refusals: ended.refusals + 1 }, ended.refusals + 1, nowMs);
        return undefined;
      case 'failedFrom': {
        // The records from there on were tried once, whatever was tried before: the counter starts again.
        const progress = verdict.index > 0;
        this.#release(ended.entries.slice(0, verdict.index));
        return this.#retryOrGiveUp(
          {
            entries: ended.entries.slice(verdict.index),
            failures: progress ? 1 : ended.failures + 1,
            invocations: progress ? 1 : ended.invocations + 1,
            refusals: 0,
          },
          nowMs,
        );
      }
      case 'failed': {
        if (this.#settings.bisectBatchOnFunctionError && ended.entries.length > 1) {
          // Splitting a batch does not use up a retry [AWS: "Retain discarded batch records for a Kinesis Data
          // Streams event source"].
          const middle = Math.ceil(ended.entries.length / 2);
          const halves = [ended.entries.slice(0, middle), ended.entries.slice(middle)];
          this.#batches.unshift(
            ...halves.map((entries) => ({ ...FRESH, entries, failures: ended.failures })),
          );
          this.#retryAtMs = nowMs + this.#retryDelayMs(ended.failures + 1);
          return undefined;
        }
        const tried = { failures: ended.failures + 1, invocations: ended.invocations + 1, refusals: 0 };
        return this.#retryOrGiveUp({ entries: ended.entries, ...tried }, nowMs);
      }
    }
  }

  /** What a second poller that starts where this one last did would deliver; empty where nothing was delivered yet. */
  redelivery(maximumRecords = this.#lastDelivered.length): StreamRecord[] {
    const last = this.#lastDelivered.at(-1);
    if (last === undefined) return [];
    const records: StreamRecord[] = [];
    let bytes = ENVELOPE_BYTES;
    const limit = Math.min(maximumRecords, this.#settings.batchSize);
    for (const entries of [
      this.#lastDelivered,
      ...this.#batches.map((batch) => batch.entries),
      this.#queue,
    ]) {
      for (let index = entries === this.#queue ? this.#head : 0; index < entries.length; index++) {
        const entry = entries[index];
        if (entry === undefined) continue;
        const repeated =
          entries !== this.#lastDelivered &&
          compareSequences(entry.record.sequenceNumber, last.record.sequenceNumber) <= 0;
        if (repeated) continue;
        bytes += entry.bytes;
        if (records.length >= limit || (records.length > 0 && bytes > MAXIMUM_PAYLOAD_BYTES)) return records;
        records.push(entry.record);
      }
    }
    return records;
  }

  /** Cuts the next batch from the queue, or tells when the batching window allows it; undefined where all is said. */
  #cut(nowMs: number, noMoreRecords: boolean): number | undefined {
    const first = this.#queue[this.#head];
    if (first === undefined) return undefined;
    this.#chosenSize ??= this.#chooseSize();
    const size = this.#chosenSize;
    const queued = this.#queue.length - this.#head;
    const mayGrow = queued < size && ENVELOPE_BYTES + this.#queuedBytes <= MAXIMUM_PAYLOAD_BYTES;
    const windowEndsMs = first.readAtMs + this.#settings.batchingWindowMs;
    if (mayGrow && !noMoreRecords && this.#carried === undefined && nowMs < windowEndsMs) return windowEndsMs;
    let end = this.#head;
    let bytes = ENVELOPE_BYTES;
    while (end < this.#queue.length && end - this.#head < size) {
      bytes += this.#queue[end]?.bytes ?? 0;
      // A record that is too large alone goes alone: leaving it in the queue would block the lane for ever.
      if (bytes > MAXIMUM_PAYLOAD_BYTES && end > this.#head) break;
      end += 1;
    }
    const entries = this.#queue.slice(this.#head, end);
    for (const entry of entries) this.#queuedBytes -= entry.bytes;
    this.#head = end;
    if (this.#head * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    this.#batches.push({ ...(this.#carried ?? FRESH), entries });
    this.#carried = undefined;
    this.#chosenSize = undefined;
    return undefined;
  }

  #chooseSize(): number {
    const { batchSize, chooseBatchSize } = this.#settings;
    if (chooseBatchSize === undefined) return batchSize;
    const size = chooseBatchSize(batchSize);
    if (!Number.isInteger(size) || size < 1 || size > batchSize) {
      throw new RangeError(`chooseBatchSize gave ${size}; allowed is a whole number from 1 to ${batchSize}.`);
    }
    return size;
  }

  /** Takes the expired records from the front of the next batch, and cuts it before the next expired one. */
  #takeExpired(nowMs: number): Discarded | undefined {
    const batch = this.#batches[0];
    const maximumAgeMs = this.#settings.maximumRecordAgeMs;
    if (batch === undefined || maximumAgeMs === undefined) return undefined;
    const isExpired = ({ record }: QueuedRecord) =>
      nowMs - record.approximateArrivalTimestampMs > maximumAgeMs;
    const firstLive = batch.entries.findIndex((entry) => !isExpired(entry));
    if (firstLive !== 0) {
      const end = firstLive === -1 ? batch.entries.length : firstLive;
      const entries = batch.entries.slice(0, end);
      const rest = batch.entries.slice(end);
      this.#batches.splice(0, 1, ...(rest.length > 0 ? [{ ...batch, entries: rest }] : []));
      this.#release(entries);
      return { entries, invocations: batch.invocations };
    }
    const nextExpired = batch.entries.findIndex(isExpired);
    if (nextExpired > 0) {
      const parts = [batch.entries.slice(0, nextExpired), batch.entries.slice(nextExpired)];
      this.#batches.splice(0, 1, ...parts.map((entries) => ({ ...batch, entries })));
    }
    return undefined;
  }

  #retryOrGiveUp(batch: Batch, nowMs: number): Discarded | undefined {
    const retries = this.#settings.maximumRetryAttempts;
    if (retries !== undefined && batch.failures > retries) {
      this.#retryAtMs = 0;
      this.#release(batch.entries);
      return batch;
    }
    this.#retryLater(batch, batch.failures, nowMs);
    return undefined;
  }

  #retryLater(batch: Batch, attempt: number, nowMs: number): void {
    this.#retryAtMs = nowMs + this.#retryDelayMs(attempt);
    this.#batches.unshift(batch);
    if (this.#settings.chooseBatchSize === undefined) return;
    const uncut = this.#batches.flatMap((cut) => cut.entries);
    for (const entry of uncut) this.#queuedBytes += entry.bytes;
    this.#queue = [...uncut, ...this.#queue.slice(this.#head)];
    this.#head = 0;
    this.#batches = [];
    const { failures, invocations, refusals } = batch;
    this.#carried = { failures, invocations, refusals };
    this.#chosenSize = undefined;
  }

  #retryDelayMs(attempt: number): number {
    const { firstRetryDelayMs, maximumRetryDelayMs } = this.#settings.timing;
    return Math.min(maximumRetryDelayMs, firstRetryDelayMs * 2 ** (attempt - 1));
  }

  #release(entries: readonly QueuedRecord[]): void {
    this.#unacknowledged -= entries.length;
    for (const entry of entries) this.#unacknowledgedBytes -= entry.bytes;
  }
}

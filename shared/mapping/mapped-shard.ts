import { compareSequences } from '../source/position.ts';
import { readBatchResponse } from './batch-response.ts';
import { deterministicUuid } from './deterministic-uuid.ts';
import { createFailureDocument, failureObjectKey } from './failure-document.ts';
import type { FailureCondition, ResponseContext } from './failure-document.ts';
import { createKinesisEvent, fixedRecordBytes, MAXIMUM_PAYLOAD_BYTES, recordBytes } from './kinesis-event.ts';
import type { MappingAction } from './mapping-action.ts';
import type { InvocationOutcome, MappingInput } from './mapping-input.ts';
import type { MappingSettings } from './mapping-settings.ts';
import type { ShardSnapshot } from './mapping-snapshot.ts';
import type { ShardStatus } from './mapping-status.ts';
import { laneOfPartitionKey } from './partition-lane.ts';
import type { ReadFrom } from './read-from.ts';
import { ShardLane, type Discarded, type LaneVerdict } from './shard-lane.ts';
import type { StreamRecord } from './stream-record.ts';

/** Batches per lane that a shard may hold unacknowledged: the one in flight, and one that is ready when it ends. */
export const READ_AHEAD_BATCHES = 2;

/** The most that one GetRecords gives [AWS: GetRecords]. */
const MAXIMUM_READ_RECORDS = 10_000;

/** What a shard reports to the mapping while it works on one input. */
export interface ShardWork {
  readonly nowMs: number;
  act(action: MappingAction): void;
  wakeAt(atMs: number): void;
  nextId(): number;
  /** Records that the filter dropped. */
  filtered(records: number): void;
  /** Records that were given up. */
  discarded(records: number): void;
}

type RecordsRead = Extract<MappingInput, { kind: 'recordsRead' }>;

/** Reads one shard and deals its records to its lanes. */
export class MappedShard {
  readonly shardId: string;
  readonly parentShardIds: readonly string[];
  readonly #settings: MappingSettings;
  readonly #lanes: readonly ShardLane[];
  readonly #fixedBytes: number;
  /** Where to read while no record was: `latest` only until the first read is asked for. */
  #start: ReadFrom;
  #lastRead: string | undefined;
  #pendingRead: string | undefined;
  #askedAtMs = 0;
  #answeredRead: string | undefined;
  #nextReadAtMs = 0;
  #ended: boolean;
  #millisBehindLatest: number | undefined;
  #caughtUpAtMs: number | undefined;
  #started = false;

  constructor(settings: MappingSettings, snapshot: ShardSnapshot) {
    this.shardId = snapshot.shardId;
    this.parentShardIds = snapshot.parentShardIds;
    this.#settings = settings;
    this.#start = snapshot.position;
    this.#lastRead = snapshot.position.kind === 'after' ? snapshot.position.sequenceNumber : undefined;
    this.#ended = snapshot.done;
    this.#lanes = Array.from({ length: settings.parallelizationFactor }, () => new ShardLane(settings));
    this.#fixedBytes = fixedRecordBytes(settings, this.shardId);
  }

  /** Closed, read to its end, and acknowledged: its children may be read. */
  get done(): boolean {
    return this.#ended && this.#unacknowledged() === 0;
  }

  /** Reads and invocations that are waited for. */
  get busy(): boolean {
    return this.#pendingRead !== undefined || this.#lanes.some((lane) => lane.inFlight !== undefined);
  }

  /** Does what can be done now; the mapping is enabled and every parent is done. */
  advance(work: ShardWork): void {
    this.#started = true;
    for (const [number, lane] of this.#lanes.entries()) this.#advanceLane(lane, number, work);
    this.#read(work);
  }

  recordsRead(input: RecordsRead, work: ShardWork): void {
    if (input.readId !== this.#pendingRead) return;
    this.#pendingRead = undefined;
    this.#answeredRead = input.readId;
    this.#ended = input.endOfShard;
    this.#millisBehindLatest = input.millisBehindLatest;
    if (input.records.length === 0 && input.millisBehindLatest === 0) this.#caughtUpAtMs = this.#askedAtMs;
    for (const record of input.records) this.#enqueue(record, work);
    const { pollIntervalMs, emptyPageIntervalMs } = this.#settings.timing;
    if (input.millisBehindLatest === 0) this.#nextReadAtMs = work.nowMs + pollIntervalMs;
    else if (input.records.length > 0) this.#nextReadAtMs = work.nowMs;
    else this.#nextReadAtMs = work.nowMs + Math.min(pollIntervalMs, emptyPageIntervalMs);
  }

  readFailed(readId: string, shardGone: boolean, work: ShardWork): void {
    if (readId !== this.#pendingRead) return;
    this.#pendingRead = undefined;
    this.#answeredRead = undefined;
    if (shardGone) this.#ended = true;
    this.#nextReadAtMs = work.nowMs + this.#settings.timing.pollIntervalMs;
  }

  /** @returns whether the function did its work. */
  invocationEnded(
    laneNumber: number,
    outcome: InvocationOutcome,
    requestId: string | undefined,
    work: ShardWork,
  ): boolean {
    const lane = this.#lane(laneNumber);
    const verdict = this.#verdict(lane, outcome);
    const discarded = lane.settle(verdict, work.nowMs);
    if (discarded !== undefined) {
      const functionError = outcome.kind === 'functionError' ? 'Unhandled' : null;
      const response = { statusCode: 200, executedVersion: '$LATEST', functionError };
      this.#giveUp(discarded, 'RetryAttemptsExhausted', requestId, response, work);
    }
    return verdict.kind === 'succeeded';
  }

  redeliver(laneNumber: number, maximumRecords: number | undefined, work: ShardWork): void {
    const records = this.#lane(laneNumber).redelivery(maximumRecords);
    if (records.length === 0) return;
    const invocationId = `i${work.nextId()}`;
    const { shardId } = this;
    work.act({ kind: 'invoke', invocationId, shardId, lane: laneNumber, records, duplicate: true });
  }

  snapshot(): ShardSnapshot {
    const { shardId, parentShardIds, done } = this;
    return { shardId, parentShardIds, position: this.#acknowledged(), done };
  }

  status(): ShardStatus {
    let inFlightRecords = 0;
    let inFlightInvocations = 0;
    for (const { inFlight } of this.#lanes) {
      if (inFlight === undefined) continue;
      inFlightRecords += inFlight;
      inFlightInvocations += 1;
    }
    const acknowledged = this.#acknowledged();
    const phase = this.#started ? 'reading' : 'waiting';
    return {
      shardId: this.shardId,
      phase: this.done ? 'done' : this.#ended ? 'draining' : phase,
      queuedRecords: this.#unacknowledged() - inFlightRecords,
      inFlightRecords,
      inFlightInvocations,
      lastAcknowledged: acknowledged.kind === 'after' ? acknowledged.sequenceNumber : undefined,
      lastRead: this.#lastRead,
      millisBehindLatest: this.#millisBehindLatest,
      caughtUpAtMs: this.#caughtUpAtMs,
    };
  }

  #advanceLane(lane: ShardLane, number: number, work: ShardWork): void {
    for (;;) {
      const step = lane.next(work.nowMs, this.#ended);
      switch (step.kind) {
        case 'expired':
          this.#giveUp(step.discarded, 'RecordAgeExceeded', undefined, undefined, work);
          continue;
        case 'wait':
          work.wakeAt(step.untilMs);
          return;
        case 'invoke': {
          const invocationId = `i${work.nextId()}`;
          const records = step.entries.map((entry) => entry.record);
          const { shardId } = this;
          work.act({ kind: 'invoke', invocationId, shardId, lane: number, records, duplicate: false });
          return;
        }
        case 'idle':
          return;
      }
    }
  }

  #read(work: ShardWork): void {
    if (this.#ended || this.#pendingRead !== undefined) return;
    const { batchSize, parallelizationFactor } = this.#settings;
    const lanesAhead = READ_AHEAD_BATCHES * parallelizationFactor;
    const room = batchSize * lanesAhead - this.#unacknowledged();
    let bytes = 0;
    for (const lane of this.#lanes) bytes += lane.unacknowledgedBytes;
    // A whole batch must fit, so that a slow function leads to few large reads and not to many small ones.
    if (room < batchSize || bytes >= MAXIMUM_PAYLOAD_BYTES * lanesAhead) return;
    if (work.nowMs < this.#nextReadAtMs) {
      work.wakeAt(this.#nextReadAtMs);
      return;
    }
    const readId = `r${work.nextId()}`;
    const from: ReadFrom =
      this.#lastRead === undefined ? this.#start : { kind: 'after', sequenceNumber: this.#lastRead };
    work.act({
      kind: 'readShard',
      readId,
      shardId: this.shardId,
      from,
      limit: Math.min(room, MAXIMUM_READ_RECORDS),
      continues: this.#answeredRead,
    });
    this.#pendingRead = readId;
    this.#askedAtMs = work.nowMs;
    // "Latest" means now and at no later time: what arrives between two tries, or while the mapping is restarted, counts.
    if (this.#start.kind === 'latest') this.#start = { kind: 'timestamp', timestampMs: work.nowMs };
  }

  #enqueue(record: StreamRecord, work: ShardWork): void {
    const { sequenceNumber } = record;
    // A reader that could not find its place starts over and comes by records that are read already.
    if (this.#lastRead !== undefined && compareSequences(sequenceNumber, this.#lastRead) <= 0) return;
    const previous = this.#lastRead;
    this.#lastRead = sequenceNumber;
    if (this.#settings.filter?.matches(record) === false) {
      work.filtered(1);
      return;
    }
    const lane = this.#lane(laneOfPartitionKey(record.partitionKey, this.#lanes.length));
    const bytes = recordBytes(this.#fixedBytes, record);
    lane.enqueue({ record, bytes, readAtMs: work.nowMs, previous });
  }

  #verdict(lane: ShardLane, outcome: InvocationOutcome): LaneVerdict {
    switch (outcome.kind) {
      case 'functionError':
        return { kind: 'failed' };
      case 'notInvoked':
        return { kind: 'notInvoked' };
      case 'response':
        if (!this.#settings.reportBatchItemFailures) return { kind: 'succeeded' };
        return readBatchResponse(outcome.payload, lane.recordsInFlight());
    }
  }

  #giveUp(
    discarded: Discarded,
    condition: FailureCondition,
    requestId: string | undefined,
    response: ResponseContext | undefined,
    work: ShardWork,
  ): void {
    work.discarded(discarded.entries.length);
    const destination = this.#settings.onFailure;
    if (destination === undefined) return;
    const { mappingId, functionArn, streamArn } = this.#settings;
    const { shardId } = this;
    const records = discarded.entries.map((entry) => entry.record);
    const uuid = deterministicUuid(mappingId, work.nextId());
    const isObject = destination.service === 's3';
    const event = isObject ? createKinesisEvent(this.#settings, shardId, records) : undefined;
    const document = createFailureDocument(
      {
        requestId: requestId ?? uuid,
        functionArn,
        streamArn,
        shardId,
        condition,
        invokeCount: discarded.invocations,
        response,
        records,
      },
      work.nowMs,
      event,
    );
    const objectKey = isObject ? failureObjectKey(mappingId, shardId, work.nowMs, uuid) : undefined;
    work.act({ kind: 'sendOnFailure', destination, document, objectKey });
  }

  /** Everything before it is acknowledged: the record before the first one, over all lanes, that is not. */
  #acknowledged(): ReadFrom {
    let first: { sequenceNumber: string; previous: string | undefined } | undefined;
    for (const lane of this.#lanes) {
      const entry = lane.firstUnacknowledged;
      if (entry === undefined) continue;
      const { sequenceNumber } = entry.record;
      if (first === undefined || compareSequences(sequenceNumber, first.sequenceNumber) < 0) {
        first = { sequenceNumber, previous: entry.previous };
      }
    }
    const last = first === undefined ? this.#lastRead : first.previous;
    return last === undefined ? this.#start : { kind: 'after', sequenceNumber: last };
  }

  #unacknowledged(): number {
    let records = 0;
    for (const lane of this.#lanes) records += lane.unacknowledged;
    return records;
  }

  #lane(number: number): ShardLane {
    const lane = this.#lanes[number];
    if (lane === undefined) {
      throw new RangeError(
        `Lane ${number} of ${this.shardId} does not exist; allowed is 0 to ${this.#lanes.length - 1}.`,
      );
    }
    return lane;
  }
}

import { createHash } from 'node:crypto';
import type { ReadFrom } from '../../mapping/read-from.ts';
import type { ListedShard } from '../../mapping/shard-listing.ts';
import type { StreamRecord } from '../../mapping/stream-record.ts';
import { shardLane } from '../../source/lane.ts';
import { compareSequences } from '../../source/position.ts';
import type { FoundBehind, SourceLane } from '../../time/source-lanes.ts';

/** A shard with its range of hash keys, both ends included. */
export interface MemoryShard extends ListedShard {
  readonly startingHashKey: bigint;
  readonly endingHashKey: bigint;
  readonly records: StreamRecord[];
  isClosed: boolean;
}

/** One record of an aggregate of the Kinesis Producer Library. */
export interface UserRecord {
  readonly partitionKey: string;
  readonly data: Buffer;
}

export type ReadResult =
  | {
      readonly kind: 'records';
      readonly records: readonly StreamRecord[];
      readonly endOfShard: boolean;
      readonly isAtTip: boolean;
    }
  | { readonly kind: 'gone' };

const HIGHEST_HASH_KEY = 2n ** 128n - 1n;
/** Sequence numbers get one digit longer after some records, so that comparing them as text would be found out. */
const FIRST_SEQUENCE = 10n ** 21n - 7n;

/** A Kinesis stream in memory: hash ranges, splits, merges, retention. Numbers rise over the whole stream, as on AWS. */
export class MemoryStream {
  readonly name: string;
  readonly retentionMs: number;
  readonly shards: MemoryShard[] = [];
  #nextSequence = FIRST_SEQUENCE;
  /** Of partition keys that were met. */
  readonly #hashKeys = new Map<string, bigint>();

  constructor(name: string, shardCount: number, retentionMs: number) {
    this.name = name;
    this.retentionMs = retentionMs;
    const width = (HIGHEST_HASH_KEY + 1n) / BigInt(shardCount);
    for (let number = 0; number < shardCount; number++) {
      const start = width * BigInt(number);
      this.#open(start, number === shardCount - 1 ? HIGHEST_HASH_KEY : start + width - 1n, []);
    }
  }

  get openShards(): MemoryShard[] {
    return this.shards.filter(({ isClosed }) => !isClosed);
  }

  /** @param arrivalMs milliseconds since the epoch. @returns the shard and the record as it can be read. */
  put(
    partitionKey: string,
    data: Uint8Array | string,
    arrivalMs: number,
  ): {
    readonly shard: MemoryShard;
    readonly record: StreamRecord;
  } {
    const shard = this.openShards.find((each) => this.takes(each, partitionKey)) as MemoryShard;
    const record = {
      sequenceNumber: String(this.#nextSequence++),
      partitionKey,
      data,
      approximateArrivalTimestampMs: arrivalMs,
    };
    shard.records.push(record);
    return { shard, record };
  }

  /** Whether the shard takes records of this partition key. */
  takes({ startingHashKey, endingHashKey }: MemoryShard, partitionKey: string): boolean {
    const hashKey = this.#hashKeyOf(partitionKey);
    return startingHashKey <= hashKey && hashKey <= endingHashKey;
  }

  /** Closes the shard and opens two in its place. */
  split(shard: MemoryShard): void {
    const middle = (shard.startingHashKey + shard.endingHashKey) / 2n;
    if (shard.isClosed || middle === shard.endingHashKey) return;
    shard.isClosed = true;
    this.#open(shard.startingHashKey, middle, [shard]);
    this.#open(middle + 1n, shard.endingHashKey, [shard]);
  }

  /** Closes an open shard and its neighbour above and opens one in their place; nothing where it has none. */
  merge(lower: MemoryShard): void {
    const upper = this.openShards.find(({ startingHashKey }) => startingHashKey === lower.endingHashKey + 1n);
    if (lower.isClosed || upper === undefined) return;
    lower.isClosed = true;
    upper.isClosed = true;
    this.#open(lower.startingHashKey, upper.endingHashKey, [lower, upper]);
  }

  list(): ListedShard[] {
    return this.shards.map(({ shardId, parentShardId, adjacentParentShardId }) => ({
      shardId,
      parentShardId,
      adjacentParentShardId,
    }));
  }

  /** Those that are open, and those that are closed and of which not all is gone: empty ones tell who came from whom. */
  lanes(nowMs: number): SourceLane[] {
    const oldestMs = nowMs - this.retentionMs;
    return this.shards
      .filter(
        ({ isClosed, records }) =>
          !isClosed ||
          records.length === 0 ||
          records.some((each) => each.approximateArrivalTimestampMs >= oldestMs),
      )
      .map((shard) => this.#laneOf(shard));
  }

  /** Those of all shards that there ever were. */
  allLanes(): SourceLane[] {
    return this.shards.map((shard) => this.#laneOf(shard));
  }

  #laneOf({ shardId, parentShardId, adjacentParentShardId }: MemoryShard): SourceLane {
    return {
      shard: shardLane(this.name, shardId),
      parents: [parentShardId, adjacentParentShardId].flatMap((parent) =>
        parent === undefined ? [] : [shardLane(this.name, parent)],
      ),
    };
  }

  /** What can be read behind a sequence number of the shard of a lane. */
  behind(lane: string, sequenceNumber: string | undefined, nowMs: number): FoundBehind {
    const shard = this.shards.find(({ shardId }) => shardLane(this.name, shardId) === lane);
    if (shard === undefined) return 'end';
    const from: ReadFrom =
      sequenceNumber === undefined ? { kind: 'trimHorizon' } : { kind: 'after', sequenceNumber };
    const page = this.read(shard.shardId, from, 1, nowMs);
    if (page.kind === 'records' && page.records.length > 0) return 'records';
    return shard.isClosed ? 'end' : 'nothing';
  }

  read(shardId: string, from: ReadFrom, limit: number, nowMs: number): ReadResult {
    const shard = this.shards.find((each) => each.shardId === shardId);
    if (shard === undefined) return { kind: 'gone' };
    const oldestMs = nowMs - this.retentionMs;
    const { records } = shard;
    let start = records.findIndex(
      (record) => record.approximateArrivalTimestampMs >= oldestMs && isBehind(record, from),
    );
    if (start === -1) start = records.length;
    const end = Math.min(records.length, start + limit);
    const isAtTip = end === records.length;
    return {
      kind: 'records',
      records: records.slice(start, end),
      endOfShard: shard.isClosed && isAtTip,
      isAtTip,
    };
  }

  #open(startingHashKey: bigint, endingHashKey: bigint, [parent, adjacent]: readonly MemoryShard[]): void {
    // A child's numbers exceed those of its parents.
    this.#nextSequence += 3n;
    this.shards.push({
      shardId: `shardId-${String(this.shards.length).padStart(12, '0')}`,
      parentShardId: parent?.shardId,
      adjacentParentShardId: adjacent?.shardId,
      startingHashKey,
      endingHashKey,
      records: [],
      isClosed: false,
    });
  }

  #hashKeyOf(partitionKey: string): bigint {
    let hashKey = this.#hashKeys.get(partitionKey);
    if (hashKey === undefined) {
      hashKey = BigInt(`0x${createHash('md5').update(partitionKey).digest('hex')}`);
      this.#hashKeys.set(partitionKey, hashKey);
    }
    return hashKey;
  }
}

function isBehind({ sequenceNumber, approximateArrivalTimestampMs }: StreamRecord, from: ReadFrom): boolean {
  switch (from.kind) {
    case 'trimHorizon':
      return true;
    case 'latest':
      return false;
    case 'timestamp':
      return approximateArrivalTimestampMs >= from.timestampMs;
    case 'after':
      return compareSequences(sequenceNumber, from.sequenceNumber) > 0;
  }
}

import {
  ExpiredIteratorException,
  GetRecordsCommand,
  GetShardIteratorCommand,
  InvalidArgumentException,
  ResourceNotFoundException,
  type GetShardIteratorCommandInput,
  type KinesisClient,
} from '@aws-sdk/client-kinesis';
import type { StreamRecord } from '../mapping/stream-record.ts';
import { KinesisStreamShards } from '../source/kinesis-stream-shards.ts';
import { shardLane, streamTag } from '../source/lane.ts';
import { compareSequences } from '../source/position.ts';
import type { ReplayPage, ReplayReader, ReplaySource, SourceShard } from './replay-source.ts';

export interface KinesisReplaySourceOptions {
  readonly client: Pick<KinesisClient, 'send'>;
  /** ARNs of all streams that the pipeline reads; each ends with the stream's name. */
  readonly streamArns: readonly string[];
  /** With a repartition: the name of the one whose records are kept as state. The others are passed on into it. */
  readonly repartitioned?: string;
  readonly wait: (ms: number) => Promise<void>;
}

/** Kinesis gives a shard 2 MB and five reads a second, and after a page of 10 MB nothing for five seconds. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;

/** What says that a shard, an account or a key is asked too often. */
const THROTTLING: ReadonlySet<string> = new Set([
  'ProvisionedThroughputExceededException',
  'LimitExceededException',
  'KMSThrottlingException',
]);

/** Kinesis, as a replay reads it. */
export class KinesisReplaySource implements ReplaySource {
  readonly #options: KinesisReplaySourceOptions;
  readonly #relayedTags: ReadonlySet<string>;

  constructor(options: KinesisReplaySourceOptions) {
    this.#options = options;
    const { streamArns, repartitioned } = options;
    const relayed = repartitioned === undefined ? [] : streamArns.map(streamOf);
    this.#relayedTags = new Set(relayed.filter((stream) => stream !== repartitioned).map(streamTag));
  }

  async shards(): Promise<readonly SourceShard[]> {
    const { client, streamArns } = this.#options;
    const listing = new KinesisStreamShards(client);
    const found: SourceShard[] = [];
    for (const streamArn of streamArns) {
      const stream = streamOf(streamArn);
      for (const { shardId, parentShardId, adjacentParentShardId } of await listing.shardsOf(stream)) {
        const parents = [parentShardId, adjacentParentShardId].filter((parent) => parent !== undefined);
        found.push({
          stream,
          streamArn,
          shardId,
          shard: shardLane(stream, shardId),
          parents: parents.map((parent) => shardLane(stream, parent)),
        });
      }
    }
    return found;
  }

  reader(shard: SourceShard, from: string | undefined): ReplayReader {
    return new KinesisReplayReader(this.#options, shard, from);
  }

  isRelayed(shard: string): boolean {
    return this.#relayedTags.has(shard.slice(0, shard.indexOf('/')));
  }
}

class KinesisReplayReader implements ReplayReader {
  readonly #options: KinesisReplaySourceOptions;
  readonly #shard: SourceShard;
  readonly #from: string | undefined;
  /** Of the record that was given out last. */
  #last: string | undefined;
  #iterator: string | undefined;
  #isClosedAndRead = false;
  #throttled = 0;

  constructor(options: KinesisReplaySourceOptions, shard: SourceShard, from: string | undefined) {
    this.#options = options;
    this.#shard = shard;
    this.#from = from;
  }

  /** Where Kinesis is asked too often, a page without records comes after a pause: whoever reads looks at the clock. */
  async next(limit: number): Promise<ReplayPage> {
    // A shard that no listing has any more is handed in without a name.
    if (this.#shard.shardId === '') return { kind: 'gone' };
    if (this.#isClosedAndRead) return page([], true, true);
    try {
      this.#iterator ??= await this.#open();
      const { Records, NextShardIterator, MillisBehindLatest } = await this.#options.client.send(
        new GetRecordsCommand({ ShardIterator: this.#iterator, Limit: limit }),
      );
      this.#throttled = 0;
      this.#iterator = NextShardIterator;
      this.#isClosedAndRead = NextShardIterator === undefined;
      const records = (Records ?? [])
        .map((record): StreamRecord => ({
          sequenceNumber: record.SequenceNumber ?? '',
          partitionKey: record.PartitionKey ?? '',
          data: record.Data ?? new Uint8Array(),
          approximateArrivalTimestampMs: record.ApproximateArrivalTimestamp?.getTime() ?? 0,
        }))
        .filter((record) => this.#isWanted(record));
      this.#last = records.at(-1)?.sequenceNumber ?? this.#last;
      // Beside records the time behind the latest says little: two records may have arrived in one millisecond.
      const isAtTip = (Records ?? []).length === 0 && MillisBehindLatest === 0;
      return page(records, this.#isClosedAndRead || isAtTip, this.#isClosedAndRead);
    } catch (error) {
      return this.#pageInstead(error);
    }
  }

  async #pageInstead(error: unknown): Promise<ReplayPage> {
    if (error instanceof ExpiredIteratorException) {
      this.#iterator = undefined;
      return page([], false);
    }
    if (error instanceof ResourceNotFoundException) return { kind: 'gone' };
    if (!(error instanceof Error) || !THROTTLING.has(error.name)) throw error;
    await this.#options.wait(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#throttled));
    this.#throttled += 1;
    return page([], false);
  }

  /** Records before the place where it begins are there where it had to begin with the oldest. */
  #isWanted({ sequenceNumber }: StreamRecord): boolean {
    if (this.#last !== undefined) return compareSequences(sequenceNumber, this.#last) > 0;
    return this.#from === undefined || compareSequences(sequenceNumber, this.#from) >= 0;
  }

  /** @throws ResourceNotFoundException where the shard is gone. */
  async #open(): Promise<string> {
    const begin = this.#last ?? this.#from;
    if (begin === undefined) return this.#iteratorOf({ ShardIteratorType: 'TRIM_HORIZON' });
    const ShardIteratorType = this.#last === undefined ? 'AT_SEQUENCE_NUMBER' : 'AFTER_SEQUENCE_NUMBER';
    try {
      return await this.#iteratorOf({ ShardIteratorType, StartingSequenceNumber: begin });
    } catch (error) {
      // AWS finds fault with a number that is gone, kinesis-mock finds nothing. The shard's beginning tells whether it
      // is the shard that is gone, and is what stands behind the number where it is not.
      const isUnknown =
        error instanceof InvalidArgumentException || error instanceof ResourceNotFoundException;
      if (!isUnknown) throw error;
      return this.#iteratorOf({ ShardIteratorType: 'TRIM_HORIZON' });
    }
  }

  async #iteratorOf(
    where: Required<Pick<GetShardIteratorCommandInput, 'ShardIteratorType'>> &
      Pick<GetShardIteratorCommandInput, 'StartingSequenceNumber'>,
  ): Promise<string> {
    const { stream, shardId } = this.#shard;
    const { ShardIterator } = await this.#options.client.send(
      new GetShardIteratorCommand({ StreamName: stream, ShardId: shardId, ...where }),
    );
    if (ShardIterator === undefined) throw new TypeError('GetShardIterator gave no iterator.');
    return ShardIterator;
  }
}

function streamOf(streamArn: string): string {
  return streamArn.slice(streamArn.lastIndexOf('/') + 1);
}

function page(records: readonly StreamRecord[], isAtEnd: boolean, isClosed = false): ReplayPage {
  return { kind: 'records', records, isAtEnd, ...(isClosed && { isClosed }) };
}

import { createKinesisEvent } from '../mapping/kinesis-event.ts';
import type { StreamRecord } from '../mapping/stream-record.ts';
import { readKinesisEvent } from '../source/kinesis-event.ts';
import { compareSequences, type Position } from '../source/position.ts';
import type { RecordBatch } from '../source/record.ts';
import type { ShardRecords } from '../source/shard-records.ts';
import type { ReplaySource } from './replay-source.ts';

const PAGE_RECORDS = 1_000;
/** A page without records that is not the end is asked for again so often: a shard may give some before it gives any. */
const PAGES = 100;

/** Records of a shard, read as a replay reads them. */
export class ReplayShardRecords implements ShardRecords {
  readonly #source: Pick<ReplaySource, 'reader'>;

  constructor(source: Pick<ReplaySource, 'reader'>) {
    this.#source = source;
  }

  async from(
    { stream, streamArn, shardId, shard }: Parameters<ShardRecords['from']>[0],
    from: Position | undefined,
    until: Position,
    keepGoing: () => boolean,
  ): Promise<RecordBatch | undefined> {
    const reader = this.#source.reader({ stream, streamArn, shardId, shard, parents: [] }, from?.sequence);
    const found: StreamRecord[] = [];
    for (let pages = 0; pages < PAGES && (pages === 0 || keepGoing()); pages++) {
      const page = await reader.next(PAGE_RECORDS);
      if (page.kind === 'records') found.push(...page.records);
      const wanted = found.filter(
        ({ sequenceNumber }) => compareSequences(sequenceNumber, until.sequence) <= 0,
      );
      const isAtEnd = page.kind === 'gone' || page.isAtEnd || wanted.length < found.length;
      const last = wanted.at(-1)?.sequenceNumber;
      // The record where it begins says nothing new by itself.
      const isMore = last !== undefined && (from === undefined || compareSequences(last, from.sequence) > 0);
      if (last !== undefined && (isMore || isAtEnd || compareSequences(last, until.sequence) === 0)) {
        const event = createKinesisEvent({ streamArn, region: '', invokeIdentityArn: '' }, shardId, wanted);
        return readKinesisEvent(event);
      }
      if (isAtEnd) return undefined;
    }
    throw new Error(
      `Kinesis gives no records of shard ${shardId} of ${stream} now, and does not say that it has none.`,
    );
  }
}

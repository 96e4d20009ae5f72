import type { IteratorResult, PageResult, ShardReader } from '../../../infra/local/driver/shard-reader.ts';
import type { ReadFrom } from '../../../shared/mapping/read-from.ts';
import type { ListedShard } from '../../../shared/mapping/shard-listing.ts';
import type { StreamRecord } from '../../../shared/mapping/stream-record.ts';
import { compareSequences } from '../../../shared/source/position.ts';

interface MemoryShard extends ListedShard {
  readonly records: StreamRecord[];
  closed: boolean;
}

/** A stream in memory that can be made to fail as Kinesis does. */
export class MemoryStream implements ShardReader {
  readonly shards: MemoryShard[] = [];
  /** Every iterator that was opened: shard and position. */
  readonly opened: (readonly [string, ReadFrom])[] = [];
  /** The next calls of each kind fail with these. */
  listErrors: Error[] = [];
  readErrors: Error[] = [];
  areIteratorsExpired = false;
  isTrimmed = false;
  isGone = false;

  add(shard: ListedShard, records: readonly StreamRecord[], closed = false): this {
    this.shards.push({ ...shard, records: [...records], closed });
    return this;
  }

  async listShards(): Promise<ListedShard[]> {
    const error = this.listErrors.shift();
    if (error !== undefined) throw error;
    return this.shards.map(({ shardId, parentShardId, adjacentParentShardId }) => ({
      shardId,
      parentShardId,
      adjacentParentShardId,
    }));
  }

  async openIterator(shardId: string, from: ReadFrom): Promise<IteratorResult> {
    this.opened.push([shardId, from]);
    if (this.isGone) return { kind: 'shardGone' };
    if (from.kind === 'after' && this.isTrimmed) return { kind: 'unknownPosition' };
    this.areIteratorsExpired = false;
    const { records } = this.#shard(shardId);
    const behind =
      from.kind === 'after'
        ? records.findIndex((each) => compareSequences(each.sequenceNumber, from.sequenceNumber) > 0)
        : from.kind === 'latest'
          ? -1
          : 0;
    return { kind: 'iterator', iterator: `${shardId} ${behind === -1 ? records.length : behind}` };
  }

  async readPage(iterator: string, limit: number, signal: AbortSignal): Promise<PageResult> {
    signal.throwIfAborted();
    const error = this.readErrors.shift();
    if (error !== undefined) throw error;
    if (this.areIteratorsExpired) return { kind: 'expiredIterator' };
    const [shardId = '', index] = iterator.split(' ');
    const { records, closed } = this.#shard(shardId);
    const start = Number(index);
    const page = records.slice(start, start + limit);
    const end = start + page.length;
    const isLast = end === records.length;
    return {
      kind: 'page',
      records: page,
      nextIterator: closed && isLast ? undefined : `${shardId} ${end}`,
      millisBehindLatest: isLast ? 0 : 1000,
    };
  }

  #shard(shardId: string): MemoryShard {
    const shard = this.shards.find((each) => each.shardId === shardId);
    if (shard === undefined) throw new Error(`The stream has no shard ${shardId}.`);
    return shard;
  }
}

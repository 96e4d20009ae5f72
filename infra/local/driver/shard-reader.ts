import type { ReadFrom } from '../../../shared/mapping/read-from.ts';
import type { ListedShard } from '../../../shared/mapping/shard-listing.ts';
import type { StreamRecord } from '../../../shared/mapping/stream-record.ts';

export type IteratorResult =
  | { readonly kind: 'iterator'; readonly iterator: string }
  /** The stream holds no such sequence number (any more). */
  | { readonly kind: 'unknownPosition' }
  | { readonly kind: 'shardGone' };

export type PageResult =
  | {
      readonly kind: 'page';
      readonly records: readonly StreamRecord[];
      /** Undefined at the end of a closed shard, also on the page that holds its last records. */
      readonly nextIterator: string | undefined;
      readonly millisBehindLatest: number;
    }
  | { readonly kind: 'expiredIterator' }
  | { readonly kind: 'shardGone' };

/** How one Kinesis stream is read. Every call throws what is neither listed here nor worth a reaction of its own. */
export interface ShardReader {
  /** Every shard, closed ones within the retention included. */
  listShards(signal: AbortSignal): Promise<ListedShard[]>;
  openIterator(shardId: string, from: ReadFrom, signal: AbortSignal): Promise<IteratorResult>;
  readPage(iterator: string, limit: number, signal: AbortSignal): Promise<PageResult>;
}

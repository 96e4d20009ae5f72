import type { FailureDocument } from './failure-document.ts';
import type { FailureDestination } from './mapping-settings.ts';
import type { ReadFrom } from './read-from.ts';
import type { StreamRecord } from './stream-record.ts';

/** What a mapping asks its driver to do. */
export type MappingAction =
  /** Answer with `shardsListed` (every shard, closed ones included) or `listingFailed`. */
  | { readonly kind: 'listShards' }
  /** Answer with `recordsRead` or `readFailed`. */
  | {
      readonly kind: 'readShard';
      readonly readId: string;
      readonly shardId: string;
      readonly from: ReadFrom;
      /** At most this many records. */
      readonly limit: number;
      /**
       * The read that this one goes on from. Whoever still has the iterator that came with its answer uses that:
       * `from` leads to the same records, and perhaps over empty pages that are already behind.
       */
      readonly continues: string | undefined;
    }
  /** Answer with `invocationEnded`. */
  | {
      readonly kind: 'invoke';
      readonly invocationId: string;
      readonly shardId: string;
      readonly lane: number;
      readonly records: readonly StreamRecord[];
      /** By a second poller: the mapping does not wait for it. */
      readonly duplicate: boolean;
    }
  | {
      readonly kind: 'sendOnFailure';
      readonly destination: FailureDestination;
      readonly document: FailureDocument;
      /** Where it goes in S3; undefined for the other services. */
      readonly objectKey: string | undefined;
    }
  /** Give a `tick` at this time, milliseconds since the epoch; replaces every earlier one. */
  | { readonly kind: 'wakeAt'; readonly atMs: number };

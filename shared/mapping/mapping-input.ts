import type { ListedShard } from './shard-listing.ts';
import type { StreamRecord } from './stream-record.ts';

/** How an invocation ended. */
export type InvocationOutcome =
  | { readonly kind: 'response'; readonly payload: unknown }
  | { readonly kind: 'functionError'; readonly errorType: string; readonly errorMessage: string }
  /** Lambda could not start it (throttled, unavailable): tried again without an end, whatever the retry quota says. */
  | { readonly kind: 'notInvoked'; readonly reason: string };

/** What happens to a mapping. */
export type MappingInput =
  /** Time has passed. The first input starts the mapping. */
  | { readonly kind: 'tick' }
  | { readonly kind: 'enable' }
  | { readonly kind: 'disable' }
  | { readonly kind: 'shardsListed'; readonly shards: readonly ListedShard[] }
  | { readonly kind: 'listingFailed' }
  | {
      readonly kind: 'recordsRead';
      /** Of the read that this answers; an answer to any other is ignored. */
      readonly readId: string;
      /** In the shard's order. */
      readonly records: readonly StreamRecord[];
      /** The shard is closed and these are its last records. */
      readonly endOfShard: boolean;
      readonly millisBehindLatest: number;
    }
  | {
      readonly kind: 'readFailed';
      readonly readId: string;
      /** The shard does not exist any more: there will never be a further record of it. */
      readonly shardGone: boolean;
    }
  | {
      readonly kind: 'invocationEnded';
      readonly invocationId: string;
      readonly outcome: InvocationOutcome;
      /** Lambda's own id of the invocation, for failure documents; one is made where it is absent. */
      readonly requestId?: string;
    }
  /** For fault injection: the poller gives up on an invocation; how it ends later is ignored (a zombie). */
  | { readonly kind: 'abandon'; readonly invocationId: string }
  /**
   * For fault injection: a second poller delivers the batch that a lane was given last once more; how that ends is
   * ignored. `maximumRecords` cuts it shorter, or longer by records that stand behind it. A lane that was given
   * nothing, and a mapping that is not enabled, do nothing.
   */
  | {
      readonly kind: 'redeliver';
      readonly shardId: string;
      /** 0 to ParallelizationFactor - 1. */
      readonly lane: number;
      readonly maximumRecords?: number;
    };

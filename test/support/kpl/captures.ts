/** A record as it was given to a producer library. */
export interface SentRecord {
  readonly partitionKey: string;
  readonly explicitHashKey?: string;
  /** Base64. */
  readonly data: string;
}

/** What a producer library was given, and what it made of it in a stream. */
export interface Capture {
  readonly shards: readonly {
    readonly shardId: string;
    readonly startingHashKey: string;
    readonly endingHashKey: string;
  }[];
  /** In the order in which they were sent. */
  readonly sent: readonly SentRecord[];
  /** In the order of their shards and sequence numbers. */
  readonly records: readonly {
    readonly shardId: string;
    readonly sequenceNumber: string;
    readonly partitionKey: string;
    /** Base64. */
    readonly data: string;
  }[];
}

/** Which checkpoints stay. Those that a person has named always do. */
export interface Retention {
  /** So many of the newest; at least 1. */
  readonly keepLast: number;
  /** The newest of each of so many days, of those in which one was taken. */
  readonly keepDaily: number;
}

/** What holds for every setting of checkpoints that a pipeline does not give. */
export const CHECKPOINT_DEFAULTS = {
  /** A day of hours, and a week of days. */
  retention: { keepLast: 24, keepDaily: 7 },
  /**
   * Read units a second that a scan may use: 12 MB. A quarter of what a new table on demand gives (DynamoDB, "on-demand
   * capacity mode"), and, dealt over four segments, a quarter of what one partition gives: batches go on at full speed.
   */
  readUnitsPerSecond: 3_000,
  /** Parts of the table that are scanned side by side: what one processor can pack, and DynamoDB gives, without a queue. */
  segments: 4,
  /** Every so many checkpoints one is full: what is lost with one damaged object is bounded by that. */
  fullEvery: 8,
} as const;

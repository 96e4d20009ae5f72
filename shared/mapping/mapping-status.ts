/** How a mapping is doing, for people and for tests. */
export interface MappingStatus {
  /** `Disabling`: no new work is begun, and some is still under way. */
  readonly state: 'Enabled' | 'Disabling' | 'Disabled';
  /** In AWS's words. */
  readonly lastProcessingResult: 'No records processed' | 'OK' | 'PROBLEM: Function call failed';
  /** Batches whose every record the function took, however often they were handed in; halves count as batches. */
  readonly completedBatches: number;
  /** Invocations after which records were handed in again (or given up): failed ones, and partly failed ones. */
  readonly failedInvocations: number;
  /** Records dropped by the filter since the mapping was made. */
  readonly filteredRecords: number;
  /** Records given up on since the mapping was made: too many retries, or too old. */
  readonly discardedRecords: number;
  /** When the newest listing of shards was asked for that is known: shards made before it are among `shards`. */
  readonly listedAtMs: number | undefined;
  readonly shards: readonly ShardStatus[];
}

export interface ShardStatus {
  readonly shardId: string;
  /**
   * `waiting`: for its parents. `reading`: there may be more records. `draining`: closed and read to its end, not all
   * acknowledged. `done`: all acknowledged.
   */
  readonly phase: 'waiting' | 'reading' | 'draining' | 'done';
  /** Records read and neither in flight nor acknowledged. */
  readonly queuedRecords: number;
  readonly inFlightRecords: number;
  readonly inFlightInvocations: number;
  /** Everything at or below it is acknowledged; undefined where nothing is known to be. */
  readonly lastAcknowledged: string | undefined;
  /** Read, filtered ones included. */
  readonly lastRead: string | undefined;
  /** As the last read told; undefined before the first. */
  readonly millisBehindLatest: number | undefined;
  /** When the newest read was asked for that found nothing left: all that was put there before is read. */
  readonly caughtUpAtMs: number | undefined;
}

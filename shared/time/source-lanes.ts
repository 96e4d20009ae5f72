import type { Position } from '../source/position.ts';

/** A lane of the source: a shard, by the name of its progress row. */
export interface SourceLane {
  readonly shard: string;
  /** The shards that it came from; they may be gone. */
  readonly parents: readonly string[];
}

/** The shards of the stream that a pipeline with a time reads. */
export interface SourceLanes {
  /** Those that are open, and those that are closed and still have records. @throws when it cannot be learnt. */
  lanes(): Promise<readonly SourceLane[]>;

  /**
   * Whether nothing stands behind a position, by a read that came to the shard's latest; never by silence.
   * @param position of the last record that is known; the shard's beginning where there is none.
   * @throws when reading fails.
   */
  isIdle(shard: string, position: Position | undefined): Promise<boolean>;
}

import type { Position } from '../source/position.ts';

/** A lane of the source: a shard, by the name of its progress row. */
export interface SourceLane {
  readonly shard: string;
  /** The shards that it came from; they may be gone. */
  readonly parents: readonly string[];
}

/**
 * What a read from behind a position finds. `records`: something, or it did not come to the shard's latest. `nothing`: the
 * shard is open, and what is put from now on comes behind it. `end`: nothing, and the shard is closed: what comes next is in
 * its children.
 */
export type FoundBehind = 'records' | 'nothing' | 'end';

/** The shards of the stream that a pipeline with a time reads. */
export interface SourceLanes {
  /**
   * Those that are open, and those that are closed and of which not all is beyond retention: those among them that never
   * had a record tell who came from whom. @throws when it cannot be learnt.
   */
  lanes(): Promise<readonly SourceLane[]>;

  /**
   * What stands behind a position, by a read that came to the shard's latest; never by silence.
   * @param position of the last record that is known; the shard's beginning where there is none.
   * @throws when reading fails.
   */
  behind(shard: string, position: Position | undefined): Promise<FoundBehind>;
}

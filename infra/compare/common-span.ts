import type { ManifestShard } from '../../shared/checkpoint/manifest.ts';
import { comparePositions, decodePosition, type Position } from '../../shared/source/position.ts';

/** What of a shard both pipelines have processed since the fork: what lies behind `from`, up to `upTo`. */
export interface ShardSpan {
  readonly stream: string;
  readonly shardId: string;
  /** Where the fork's checkpoint is; absent where it has nothing of the shard. */
  readonly from?: Position;
  /** Where the one is that is less far; absent where one has processed nothing of the shard. */
  readonly upTo?: Position;
}

type Standing = Pick<ManifestShard, 'stream' | 'shardId' | 'shard' | 'position'>;

/** The records that a pipeline and its fork have both processed, and that the fork did not inherit. */
export class CommonSpan {
  /** By shard, as ids and marks name it. */
  readonly shards: ReadonlyMap<string, ShardSpan>;
  /** Lanes are by partition key: what lies below a position may still be under way. */
  readonly isByPartition: boolean;

  /**
   * @param forked where the fork's checkpoint is. @param standings how far each is, the shards of one stream.
   */
  constructor(
    forked: readonly Standing[],
    standings: readonly (readonly Standing[])[],
    isByPartition = false,
  ) {
    const shards = new Map<string, ShardSpan>();
    const [first = [], ...others] = standings;
    const positionIn = (all: readonly Standing[], shard: string): Position | undefined => {
      const position = all.find((each) => each.shard === shard)?.position;
      return position === undefined ? undefined : decodePosition(position);
    };
    for (const { stream, shardId, shard } of first) {
      const from = positionIn(forked, shard);
      const reached = [first, ...others].map((all) => positionIn(all, shard));
      const known = reached.filter((position) => position !== undefined);
      const upTo = known.length < reached.length ? undefined : known.toSorted(comparePositions)[0];
      shards.set(shard, { stream, shardId, ...(from && { from }), ...(upTo && { upTo }) });
    }
    this.shards = shards;
    this.isByPartition = isByPartition;
  }

  /** `inherited`: the fork began behind it. `beyond`: one of them has not come there yet. */
  sideOf(shard: string, position: Position): 'inherited' | 'common' | 'beyond' {
    const { from, upTo } = this.shards.get(shard) ?? {};
    if (from !== undefined && comparePositions(position, from) <= 0) return 'inherited';
    return upTo !== undefined && comparePositions(position, upTo) <= 0 ? 'common' : 'beyond';
  }

  /** Whether both have processed a position: all of its shard up to there is in both. */
  covers(shard: string, position: Position): boolean {
    const upTo = this.shards.get(shard)?.upTo;
    return upTo !== undefined && comparePositions(position, upTo) <= 0;
  }

  /** Whether there is any record that both have processed since the fork. */
  get isEmpty(): boolean {
    return ![...this.shards.values()].some(
      ({ from, upTo }) => upTo !== undefined && (from === undefined || comparePositions(upTo, from) > 0),
    );
  }
}

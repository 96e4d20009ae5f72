import type { Progress, StateStore } from '../state/state-store.ts';
import { reachedMs, type LaneTime } from '../time/lane-time.ts';
import type { SourceLane } from '../time/source-lanes.ts';
import { inParallel } from '../state/in-parallel.ts';
import type { Runtime } from './runtime.ts';

/** Times of all lanes at some moment. */
export interface KnownLaneTimes {
  readonly generation: number;
  /** When they were read, milliseconds since the epoch. */
  readonly readMs: number;
  /** By shard: the event time that it has reached; -Infinity where it holds all back. */
  readonly reached: ReadonlyMap<string, number>;
}

/** A lane with its progress. */
export interface LaneStanding extends SourceLane {
  readonly progress: Progress | undefined;
  readonly reachedMs: number;
  /** Whether it has children, all of which are known, and which hold its time for it. */
  readonly hasChildren: boolean;
}

/** For how long a container goes by what it has read of other lanes, for each of them: the reads of one stay few. */
const LANE_TIME_KEPT_MS = 500;
const READS_IN_FLIGHT = 16;

/** How far each lane is. A new shard is as far as its parents were, and holds their time for them. */
export async function readLaneStandings(
  store: Pick<StateStore, 'readProgress'>,
  generation: number,
  lanes: readonly SourceLane[],
): Promise<LaneStanding[]> {
  const progress = new Map<string, Progress>();
  await inParallel(lanes, READS_IN_FLIGHT, async ({ shard }) => {
    const row = await store.readProgress(generation, shard);
    if (row !== undefined) progress.set(shard, row);
  });
  const byShard = new Map(lanes.map((lane) => [lane.shard, lane]));
  return lanes.map((lane) => ({
    ...lane,
    progress: progress.get(lane.shard),
    reachedMs: laneReachedMs(lane.shard, byShard, progress),
    hasChildren: areChildrenKnown(lane.shard, lanes),
  }));
}

/** A listing may lack the newest shard: one of the two of a split. A merge has but one child, which has two parents. */
function areChildrenKnown(shard: string, lanes: readonly SourceLane[]): boolean {
  const children = lanes.filter(({ parents }) => parents.includes(shard));
  return children.length > 1 || children.some(({ parents }) => parents.length > 1);
}

function laneReachedMs(
  shard: string,
  lanes: ReadonlyMap<string, SourceLane>,
  progress: ReadonlyMap<string, Progress>,
): number {
  const row = progress.get(shard);
  const own = reachedMs(row?.time, row?.liftedMs);
  if (row?.position !== undefined) return own;
  const parents = (lanes.get(shard)?.parents ?? []).filter((parent) => lanes.has(parent));
  if (parents.length === 0) return own;
  return Math.max(own, Math.min(...parents.map((parent) => laneReachedMs(parent, lanes, progress))));
}

/**
 * Where a lane's time begins: at that of its parents, of which everything is processed before it begins. What they have
 * reached does not change any more, and so a replay begins alike.
 * @returns `unknown` where the shard is not listed yet.
 */
export async function firstLaneTime(
  { store, lanes, program }: Runtime,
  generation: number,
  shard: string,
): Promise<LaneTime | undefined | 'unknown'> {
  const all = (await lanes?.lanes()) ?? [];
  const progress = new Map<string, Progress>();
  const byShard = new Map(all.map((lane) => [lane.shard, lane]));
  if (!byShard.has(shard)) return 'unknown';
  for (let open = [shard]; open.length > 0;) {
    const parents = open
      .flatMap((each) => byShard.get(each)?.parents ?? [])
      .filter((each) => byShard.has(each));
    for (const parent of parents) {
      const row = await store.readProgress(generation, parent);
      if (row !== undefined) progress.set(parent, row);
    }
    open = parents.filter((parent) => progress.get(parent)?.position === undefined);
  }
  const highestMs = laneReachedMs(shard, byShard, progress);
  if (highestMs === -Infinity) return undefined;
  const isByInterval = program.definition.time?.batchIntervalMs !== undefined;
  return isByInterval ? { highestMs, beforeMs: highestMs, interval: 0 } : { highestMs };
}

/**
 * The event time that all lanes but one have reached, by what was read a moment ago: lanes never go back.
 * @returns Infinity where there is no other, -Infinity where one holds all back.
 */
export async function othersReachedMs(runtime: Runtime, generation: number, shard: string): Promise<number> {
  const { lanes, store, clock } = runtime;
  if (lanes === undefined) return -Infinity;
  const nowMs = clock.nowMs();
  let known = runtime.laneTimes;
  if (known?.generation !== generation || nowMs - known.readMs > known.reached.size * LANE_TIME_KEPT_MS) {
    const standings = await readLaneStandings(store, generation, await lanes.lanes());
    const holding = standings.filter(({ hasChildren }) => !hasChildren);
    const reached = new Map(holding.map((lane) => [lane.shard, lane.reachedMs]));
    known = runtime.laneTimes = { generation, readMs: nowMs, reached };
  }
  let least = Infinity;
  for (const [other, reached] of known.reached) if (other !== shard) least = Math.min(least, reached);
  return least;
}

import type { PipelineTime } from '../pipeline/definition.ts';
import { inParallel } from '../state/in-parallel.ts';
import type { Control } from '../state/state-store.ts';
import { fireDue, type FireReport } from './fire-due.ts';
import { readLaneStandings, type LaneStanding } from './lane-times.ts';
import type { SourceLanes } from '../time/source-lanes.ts';
import type { Runtime } from './runtime.ts';

export interface TimerSweep extends FireReport {
  /** Up to where event time is over in all lanes, milliseconds since the epoch; absent where one holds all back. */
  readonly overMs?: number;
  /** Idle lanes whose event time was lifted to that of the others. */
  readonly lifted: number;
}

const NOTHING = { items: 0, fired: 0, published: 0, left: 0, lifted: 0 };
const LANES_IN_FLIGHT = 8;
/** How far a record's approximate arrival may lie before the clock by which it is put. */
const ARRIVAL_SLACK_MS = 5_000;

/**
 * Fires what no record fires: what is due by the clock; then it lifts lanes that are proven idle to the event time of the
 * others, and fires what is due by that. Two at once do no harm.
 * @throws where the lanes or an index cannot be read; what is due by the clock has fired before the lanes are asked.
 */
export async function sweepTimers(runtime: Runtime, keepGoing: () => boolean): Promise<TimerSweep> {
  const { store, lanes, program } = runtime;
  const { time } = program.definition;
  if (time === undefined || lanes === undefined) return NOTHING;
  const control = await store.readControl();
  // A replay goes by its own lanes, whose records are all there: none of them is idle before its end.
  if (control.phase !== 'live') return NOTHING;
  const processing = runtime.clock.nowMs();
  const byClock =
    program.clocked.length === 0
      ? NOTHING
      : await fireDue(runtime, control, { event: -Infinity, processing }, keepGoing);
  const { reachedMs, lifted } = await liftIdle(runtime, lanes, time, control, keepGoing);
  if (!Number.isFinite(reachedMs)) return { ...byClock, lifted };
  const overMs = reachedMs - time.latenessMs;
  const reached = { event: overMs, processing: -Infinity };
  const byEvent = await fireDue(runtime, control, reached, keepGoing);
  return { ...together(byClock, byEvent), overMs, lifted };
}

function together(a: FireReport, b: FireReport): FireReport {
  return {
    items: a.items + b.items,
    fired: a.fired + b.fired,
    published: a.published + b.published,
    left: a.left + b.left,
  };
}

/**
 * Lifts lanes that are proven idle. With event time of the records' own: to that of the furthest lane, for nothing stands
 * behind any that could say otherwise. By arrival: to the clock, for what comes arrives later.
 * @returns what all lanes have reached then.
 */
async function liftIdle(
  { store, clock }: Runtime,
  lanes: SourceLanes,
  { of, batchIntervalMs }: PipelineTime,
  { generation, rank, epoch }: Control,
  keepGoing: () => boolean,
): Promise<{ readonly reachedMs: number; readonly lifted: number }> {
  // Before any read: what is put behind it arrives later.
  const nowMs = clock.nowMs() - ARRIVAL_SLACK_MS;
  const standings = await readLaneStandings(store, generation, await lanes.lanes());
  /** Records of an interval that is not over are judged by what was before it. */
  const isOpen = ({ progress }: LaneStanding): boolean =>
    batchIntervalMs !== undefined && ((progress?.time?.interval ?? -1) + 1) * batchIntervalMs > nowMs;
  const settledMs = (lane: LaneStanding): number =>
    isOpen(lane) ? lane.reachedMs : Math.max(lane.reachedMs, lane.progress?.time?.highestMs ?? -Infinity);
  const targetMs = of === undefined ? nowMs : Math.max(-Infinity, ...standings.map(settledMs));
  const holding = standings.filter(({ hasChildren }) => !hasChildren);
  const reached = new Map(holding.map((lane) => [lane.shard, lane.reachedMs]));
  const byShard = new Map(standings.map((lane) => [lane.shard, lane]));
  let lifted = 0;
  const behind = holding.filter((lane) => lane.reachedMs < targetMs && (of === undefined || !isOpen(lane)));
  await inParallel(behind, LANES_IN_FLIGHT, async (lane) => {
    const { shard, progress } = lane;
    if (!keepGoing() || !(await isIdle(lanes, lane, byShard))) return;
    const isLifted =
      progress === undefined
        ? (await store.createProgress(generation, shard, {
            liftedMs: targetMs,
            ...(rank !== undefined && { rank }),
            ...(epoch !== undefined && { epoch }),
          })) === 'created'
        : await store.liftTime(generation, shard, progress.position, targetMs);
    if (!isLifted) return;
    reached.set(shard, targetMs);
    lifted += 1;
  });
  return { reachedMs: Math.min(Infinity, ...reached.values()), lifted };
}

/**
 * Whether nothing is left of a lane, nor of those that it came from while it has nothing processed itself. One that is
 * closed is not idle: it has children that were not listed yet.
 */
async function isIdle(
  lanes: SourceLanes,
  { shard, parents, progress }: LaneStanding,
  byShard: ReadonlyMap<string, LaneStanding>,
): Promise<boolean> {
  if (progress?.position === undefined && !(await haveEnded(lanes, parents, byShard))) return false;
  return (await lanes.behind(shard, progress?.position)) === 'nothing';
}

async function haveEnded(
  lanes: SourceLanes,
  shards: readonly string[],
  byShard: ReadonlyMap<string, LaneStanding>,
): Promise<boolean> {
  for (const shard of shards) {
    const lane = byShard.get(shard);
    if (lane === undefined) continue;
    const position = lane.progress?.position;
    if (position === undefined && !(await haveEnded(lanes, lane.parents, byShard))) return false;
    if ((await lanes.behind(shard, position)) !== 'end') return false;
  }
  return true;
}

import type { PipelineTime } from '../pipeline/definition.ts';

/**
 * How far event time has come in a lane at a position: a function of the lane's records up to there and of nothing else,
 * so that a retry and a replay judge the same.
 */
export interface LaneTime {
  /** The highest event time of these records, milliseconds since the epoch. */
  readonly highestMs: number;
  /** With a batch interval: that of the records of earlier intervals; absent where there were none. */
  readonly beforeMs?: number;
  /** With a batch interval: the number of the one in which the last of these records arrived. */
  readonly interval?: number;
}

/**
 * The event time that a lane has reached: nothing older than this less the lateness is waited for. With a batch
 * interval it moves between intervals alone, so that all records of one are judged alike, as Spark judges a batch.
 * @param liftedMs what the lane was lifted to while it was idle.
 * @returns -Infinity where nothing is known.
 */
export function reachedMs(time: LaneTime | undefined, liftedMs: number | undefined): number {
  const own = time?.interval === undefined ? time?.highestMs : time.beforeMs;
  return Math.max(own ?? -Infinity, liftedMs ?? -Infinity);
}

/** A lane's time behind one more record. @param eventMs the highest of its event times; none where it has no values. */
export function withRecord(
  before: LaneTime | undefined,
  time: PipelineTime,
  arrivalMs: number,
  eventMs: number | undefined,
): LaneTime | undefined {
  const highestMs = Math.max(before?.highestMs ?? -Infinity, eventMs ?? -Infinity);
  if (highestMs === -Infinity) return undefined;
  const begun = beginInterval(before, time, arrivalMs);
  if (begun !== undefined) return begun.highestMs === highestMs ? begun : { ...begun, highestMs };
  const { batchIntervalMs } = time;
  if (batchIntervalMs === undefined) return { highestMs };
  return { highestMs, ...intervalAt(time, batchIntervalMs, arrivalMs, undefined) };
}

/** With a batch interval: a lane's time when a record arrives, before the record itself. Arrivals are not monotonic. */
export function beginInterval(
  before: LaneTime | undefined,
  time: PipelineTime,
  arrivalMs: number,
): LaneTime | undefined {
  const { batchIntervalMs } = time;
  if (before === undefined || batchIntervalMs === undefined) return before;
  if (Math.floor(arrivalMs / batchIntervalMs) <= (before.interval ?? -1)) return before;
  return { highestMs: before.highestMs, ...intervalAt(time, batchIntervalMs, arrivalMs, before.highestMs) };
}

/** What event time has reached when an interval begins: by arrival, the end of the one before, with or without records. */
function intervalAt(
  { of }: PipelineTime,
  batchIntervalMs: number,
  arrivalMs: number,
  highestMs: number | undefined,
): Pick<LaneTime, 'beforeMs' | 'interval'> {
  const interval = Math.floor(arrivalMs / batchIntervalMs);
  const beforeMs = of === undefined ? interval * batchIntervalMs : highestMs;
  return { interval, ...(beforeMs !== undefined && { beforeMs }) };
}

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
  time: LaneTime | undefined,
  { batchIntervalMs }: PipelineTime,
  arrivalMs: number,
  eventMs: number | undefined,
): LaneTime | undefined {
  const highestMs = Math.max(time?.highestMs ?? -Infinity, eventMs ?? -Infinity);
  if (highestMs === -Infinity) return undefined;
  if (batchIntervalMs === undefined) return time?.highestMs === highestMs ? time : { highestMs };
  const begun = beginInterval(time, batchIntervalMs, arrivalMs);
  const interval = begun?.interval ?? Math.floor(arrivalMs / batchIntervalMs);
  const beforeMs = begun?.beforeMs;
  return { highestMs, interval, ...(beforeMs !== undefined && { beforeMs }) };
}

/** With a batch interval: a lane's time when a record arrives, before the record itself. Arrivals are not monotonic. */
export function beginInterval(
  time: LaneTime | undefined,
  batchIntervalMs: number | undefined,
  arrivalMs: number,
): LaneTime | undefined {
  if (time === undefined || batchIntervalMs === undefined) return time;
  const interval = Math.floor(arrivalMs / batchIntervalMs);
  if (time.interval !== undefined && interval <= time.interval) return time;
  return { highestMs: time.highestMs, beforeMs: time.highestMs, interval };
}

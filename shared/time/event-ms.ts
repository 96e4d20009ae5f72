/** Date's own limit. */
const LATEST_MS = 8.64e15;

/** An event time in whole milliseconds since the epoch; `undefined` for what is no Date and no number from 1970 on. */
export function eventMsOf(time: unknown): number | undefined {
  const ms = time instanceof Date ? time.getTime() : time;
  return typeof ms === 'number' && ms >= 0 && ms <= LATEST_MS ? Math.floor(ms) : undefined;
}

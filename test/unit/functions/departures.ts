import { BUILT_IN } from '../../../infra/cli/built-in-data.ts';

export interface Departure {
  readonly origin: string;
  readonly date: string;
  readonly delay: number;
}

const HOUR_MS = 3_600_000;
const SIZE_MS = 6 * HOUR_MS;
const SLIDE_MS = 3 * HOUR_MS;
const LATENESS_MS = HOUR_MS / 2;
const DELAYED_MINUTES = 15;

/** The first lines of the input that `npm start` gives airport-traffic. */
export function departures(count: number): Departure[] {
  const lines = BUILT_IN.get('airport-traffic')?.lines() ?? [];
  return lines.slice(0, count).map((line) => JSON.parse(line) as Departure);
}

/** One row of the table, as an application reads it. */
export interface TrafficRow {
  readonly flights: number;
  readonly delayed: number;
  readonly meanDelay: number;
}

/** What airport-traffic makes of departures in one shard, reckoned by hand, flight by flight and window by window. */
export function trafficOf(flights: readonly Departure[]): {
  readonly closed: Map<string, TrafficRow>;
  readonly open: Map<string, TrafficRow>;
  readonly late: number;
} {
  const windows = new Map<string, number[]>();
  let reached = -Infinity;
  let late = 0;
  for (const { origin, date, delay } of flights) {
    const [year = 0, month = 0, day, hour, minute] = date.split(/[/ :]/).map(Number);
    const at = Date.UTC(year, month - 1, day, hour, minute);
    let isTaken = false;
    for (let start = Math.floor(at / SLIDE_MS) * SLIDE_MS; start > at - SIZE_MS; start -= SLIDE_MS) {
      if (start + SIZE_MS <= reached - LATENESS_MS) continue;
      isTaken = true;
      const key = `${origin}@${new Date(start).toISOString()}`;
      windows.set(key, [...(windows.get(key) ?? []), delay]);
    }
    if (!isTaken) late += 1;
    reached = Math.max(reached, at);
  }
  const closed = new Map<string, TrafficRow>();
  const open = new Map<string, TrafficRow>();
  for (const [key, delays] of windows) {
    const end = Date.parse(key.slice(key.indexOf('@') + 1)) + SIZE_MS;
    (end <= reached - LATENESS_MS ? closed : open).set(key, {
      flights: delays.length,
      delayed: delays.filter((delay) => delay > DELAYED_MINUTES).length,
      meanDelay: delays.reduce((sum, delay) => sum + delay, 0) / delays.length,
    });
  }
  return { closed, open, late };
}

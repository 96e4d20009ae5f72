import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

interface Flight {
  readonly origin: string;
  readonly delay: number;
}

/** The first flights of a real data set, each as a line. */
export function flightLines(count: number): string[] {
  const catalogue = createRequire(import.meta.url).resolve('vega-datasets');
  const file = path.resolve(path.dirname(catalogue), '../data/flights-2k.json');
  const flights = JSON.parse(readFileSync(file, 'utf8')) as Flight[];
  return flights.slice(0, count).map((flight) => JSON.stringify(flight));
}

export function text(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

/** The state dump that the airport-delays pipeline should give for these lines, each of them a flight. */
export function expectedDump(lines: readonly string[]): string {
  const byOrigin = new Map<string, { flights: number; late: number; mean: number; largest: number }>();
  for (const line of lines) {
    const { origin, delay } = JSON.parse(line) as Flight;
    const stats = byOrigin.get(origin) ?? { flights: 0, late: 0, mean: 0, largest: -Infinity };
    stats.flights += 1;
    stats.late += delay > 15 ? 1 : 0;
    stats.mean += (delay - stats.mean) / stats.flights;
    stats.largest = Math.max(stats.largest, delay);
    byOrigin.set(origin, stats);
  }
  return text(
    [...byOrigin.keys()].sort().map((key) => {
      const { flights, late, mean, largest } = byOrigin.get(key)!;
      const state = { flights, largestDelay: largest, late, lateShare: late / flights, meanDelay: mean };
      return JSON.stringify({ key, state });
    }),
  );
}

export function originsOf(lines: readonly string[]): number {
  return new Set(lines.map((line) => (JSON.parse(line) as Flight).origin)).size;
}

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { clickLines } from './click-stream.ts';

/** Data that comes with the packages. */
export interface BuiltInData {
  /** For people. */
  readonly title: string;
  /** By which a kept run knows it again. */
  readonly id: string;
  readonly lines: () => readonly string[];
}

type Entry = Readonly<Record<string, unknown>>;

const FLIGHTS = 'flights-20k.json';
const FLIGHTS_TITLE = `20,000 US flights of 2001 (vega-datasets, ${FLIGHTS})`;

const FLIGHTS_AS_THEY_STAND: BuiltInData = {
  title: FLIGHTS_TITLE,
  id: FLIGHTS,
  lines: () => flights().map((flight) => JSON.stringify(flight)),
};

/** By the pipeline that reads the input. */
export const BUILT_IN: ReadonlyMap<string, BuiltInData> = new Map([
  ['airport-delays', FLIGHTS_AS_THEY_STAND],
  ['arrivals', FLIGHTS_AS_THEY_STAND],
  [
    'airport-traffic',
    {
      title: `${FLIGHTS_TITLE}, each when it left`,
      id: `${FLIGHTS} by departure`,
      lines: () =>
        flights()
          .toSorted((a, b) => leftMs(a) - leftMs(b))
          .map((flight) => JSON.stringify(flight)),
    },
  ],
  [
    'earthquake-watch',
    {
      title: '1,707 earthquakes of a week in 2018 (vega-datasets, earthquakes.json)',
      id: 'earthquakes.json',
      lines: () => earthquakes().map((quake) => JSON.stringify(quake)),
    },
  ],
  [
    'click-sessions',
    {
      title: '6,000 clicks of 900 made-up visitors to a shop in three days',
      id: 'clicks',
      lines: clickLines,
    },
  ],
  [
    'word-count',
    {
      title: 'titles of 3,200 films (vega-datasets, movies.json)',
      id: 'movies.json',
      lines: () =>
        (dataset('movies.json') as readonly Entry[]).flatMap(({ Title: title }) =>
          typeof title === 'string' || typeof title === 'number' ? [String(title)] : [],
        ),
    },
  ],
]);

function flights(): readonly Entry[] {
  return dataset(FLIGHTS) as readonly Entry[];
}

/** When a flight left, and was reported: its delay behind its time. */
function leftMs({ date, delay }: Entry): number {
  return Date.parse(`${String(date).replaceAll('/', '-').replace(' ', 'T')}Z`) + Number(delay) * 60_000;
}

/** In the order in which they happened; the feed has the newest first. */
function earthquakes(): readonly Entry[] {
  const { features } = dataset('earthquakes.json') as {
    readonly features: readonly (Entry & { readonly properties: { readonly time: number } })[];
  };
  return features.toSorted((a, b) => a.properties.time - b.properties.time);
}

/** The package exports its catalogue only; the data lies beside it. */
function dataset(file: string): unknown {
  const catalogue = createRequire(import.meta.url).resolve('vega-datasets');
  return JSON.parse(readFileSync(path.resolve(path.dirname(catalogue), '../data', file), 'utf8'));
}

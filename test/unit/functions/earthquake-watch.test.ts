import { beforeAll, describe, expect, it } from 'vitest';
import earthquakeWatch, { type Alert } from '../../../functions/earthquake-watch/pipeline.ts';
import { BUILT_IN } from '../../../infra/cli/built-in-data.ts';
import { testPipeline } from '../../../shared/testing/index.ts';

interface Quake {
  readonly properties: { readonly mag: number | null; readonly place: string; readonly time: number };
}

const MINUTE_MS = 60_000;
const GAP_MS = 30 * MINUTE_MS;

const quake = (minute: number, mag: number | null = 1, place = '3km N of Nowhere, CA'): Quake => ({
  properties: { mag, place, time: 1_517_000_000_000 + minute * MINUTE_MS },
});
const kinds = (test: { outputs(): readonly { readonly value: unknown }[] }): string[] =>
  test.outputs().map(({ value }) => `${(value as Alert).region} ${(value as Alert).kind}`);

/** Mean and standard deviation from all values at once, where the pipeline goes from value to value. */
function spread(values: readonly number[]): { readonly mean: number; readonly deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    mean,
    deviation: Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length),
  };
}

/** The alerts of a region from its whole list of sequences. @param overMs up to where event time has come. */
function alertsOf(region: string, quakes: readonly Quake[], overMs: number): Alert[] {
  const sequences: { end: number; magnitudes: number[] }[] = [];
  for (const { properties } of quakes) {
    const last = sequences.at(-1);
    const magnitudes = properties.mag === null ? [] : [properties.mag];
    if (last === undefined || properties.time > last.end) {
      sequences.push({ end: properties.time + GAP_MS, magnitudes });
    } else {
      last.end = properties.time + GAP_MS;
      last.magnitudes.push(...magnitudes);
    }
  }
  const over = sequences.filter(({ end }) => end <= overMs);
  const counts = over.map(({ magnitudes }) => magnitudes.length);
  const strongest = over.map(({ magnitudes }) => Math.max(...magnitudes));
  const pauses = over.slice(1).map(({ end }, place) => end - (over[place]?.end ?? 0));
  const alerts: Alert[] = [];
  for (const [place, { end }] of over.entries()) {
    const raise = (kind: Alert['kind'], atMs: number, value: number, usual: number): void =>
      void alerts.push({ region, kind, at: new Date(atMs).toISOString(), value, usual });
    if (place >= 10) {
      const normal = spread(counts.slice(0, place));
      const count = counts[place] ?? 0;
      if (count > normal.mean + 3 * Math.max(1, normal.deviation)) raise('swarm', end, count, normal.mean);
      const usual = spread(strongest.slice(0, place));
      const magnitude = strongest[place] ?? 0;
      if (magnitude > usual.mean + 3 * Math.max(0.3, usual.deviation)) {
        raise('strong', end, magnitude, usual.mean);
      }
    }
    if (place < 10) continue;
    const { mean } = spread(pauses.slice(0, place));
    const silentAt = Math.floor(end + 4 * mean);
    const next = over[place + 1]?.end ?? Infinity;
    if (silentAt >= next || silentAt > overMs) continue;
    raise('silent', silentAt, (silentAt - end) / 3_600_000, mean / 3_600_000);
    if (next < Infinity) raise('active', next, (next - end) / 3_600_000, mean / 3_600_000);
  }
  return alerts;
}

const byTime = (a: Alert, b: Alert): number =>
  `${a.at} ${a.region} ${a.kind}` < `${b.at} ${b.region} ${b.kind}` ? -1 : 1;
const rounded = (alert: Alert) => ({
  ...alert,
  value: Number(alert.value.toFixed(6)),
  usual: Number(alert.usual.toFixed(6)),
});

describe('earthquake-watch on a week of earthquakes', () => {
  const quakes = (BUILT_IN.get('earthquake-watch')?.lines() ?? []).map((line) => JSON.parse(line) as Quake);
  let test: ReturnType<typeof testPipeline<Quake>>;
  beforeAll(async () => {
    test = testPipeline<Quake>(earthquakeWatch);
    await test.send(...quakes);
    await test.advance({ minutes: 2 });
  });

  it('raises the alerts that follow from each region’s own list of sequences', () => {
    const regions = new Map<string, Quake[]>();
    for (const each of quakes) {
      const region = (each.properties.place.split(',').at(-1) ?? '')
        .trim()
        .replace(/^CA$/, 'California')
        .replace(/^NV$/, 'Nevada')
        .replace(/^MX$/, 'Mexico');
      regions.set(region, [...(regions.get(region) ?? []), each]);
    }
    const overMs = Math.max(...quakes.map(({ properties }) => properties.time)) - 5 * MINUTE_MS;
    const expected = [...regions].flatMap(([region, own]) => alertsOf(region, own, overMs));
    const raised = test.outputs<Alert>('earthquake-alerts').map(({ value }) => value);
    expect(raised.toSorted(byTime).map(rounded)).toEqual(expected.toSorted(byTime).map(rounded));
    expect(new Set(raised.map(({ kind }) => kind))).toEqual(new Set(['swarm', 'strong', 'silent', 'active']));
  });

  it('gives each alert an item of its own, by time and region', () => {
    const keys = test.outputs('earthquake-alerts').map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys.every((key) => /^2018-0\d-\d\dT[\d:.]+Z \S.* (swarm|strong|silent|active)$/.test(key))).toBe(
      true,
    );
  });
});

describe('earthquake-watch', () => {
  /** One quake an hour: eleven sequences. */
  const usual = Array.from({ length: 11 }, (_, hour) => quake(hour * 60));

  it('knows what is strong for a region, and takes unknown magnitudes for no news', async () => {
    const test = testPipeline<Quake>(earthquakeWatch);
    await test.send(...usual, quake(660, null), quake(720, 2.5), quake(780), quake(840, 1, 'Fiji'));
    expect(kinds(test)).toEqual(['California strong']);
  });

  it('does not judge before it knows a region', async () => {
    const test = testPipeline<Quake>(earthquakeWatch);
    await test.send(...usual.slice(0, 9), quake(600, 6), quake(900));
    expect(kinds(test)).toEqual([]);
  });

  it('tells of a region that is silent while others go on, and that it is active again', async () => {
    const test = testPipeline<Quake>(earthquakeWatch);
    await test.send(...usual, quake(800, 1, 'Fiji'), quake(1_200, 1, 'Fiji'));
    expect(kinds(test)).toEqual(['California silent']);
    await test.send(quake(1_300), quake(1_400, 1, 'Fiji'));
    expect(kinds(test)).toEqual(['California silent', 'California active']);
  });
});

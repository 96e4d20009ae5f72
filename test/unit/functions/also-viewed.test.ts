import { beforeAll, describe, expect, it } from 'vitest';
import alsoViewed, { type AlsoViewed } from '../../../functions/also-viewed/pipeline.ts';
import clickSessions, { type Visit } from '../../../functions/click-sessions/pipeline.ts';
import viewedTogether, { type Company } from '../../../functions/viewed-together/pipeline.ts';
import { clickLines } from '../../../infra/cli/click-stream.ts';
import { testPipeline } from '../../../shared/testing/index.ts';

interface Click {
  readonly user: string;
  readonly item: string;
  readonly at: string;
}

const MINUTE_MS = 60_000;
const GAP_MS = 30 * MINUTE_MS;
const LATENESS_MS = 2 * MINUTE_MS;
const HALF_LIFE_MS = 12 * 60 * MINUTE_MS;

/** The visits that are over, from each user's clicks sorted by time; what comes too late is left out. */
function visitsOf(clicks: readonly Click[]): Visit[] {
  const byUser = new Map<string, Click[]>();
  let reached = -Infinity;
  for (const click of clicks) {
    const at = Date.parse(click.at);
    if (at + GAP_MS > reached - LATENESS_MS)
      byUser.set(click.user, [...(byUser.get(click.user) ?? []), click]);
    reached = Math.max(reached, at);
  }
  const visits: Visit[] = [];
  for (const [user, own] of byUser) {
    const sorted = own.toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
    let visit: Click[] = [];
    for (const [place, click] of sorted.entries()) {
      visit.push(click);
      const next = sorted[place + 1];
      const at = Date.parse(click.at);
      if (next !== undefined && Date.parse(next.at) <= at + GAP_MS) continue;
      const items = [...new Set(visit.map(({ item }) => item))].sort();
      if (items.length > 1 && at + GAP_MS <= reached - LATENESS_MS) visits.push({ user, items, at });
      visit = [];
    }
  }
  return visits;
}

/** Of each item: in how many visits it was, and what weighs how much beside it, at its own last visit. */
function neighboursOf(
  visits: readonly Visit[],
): Map<string, { visits: number; weights: Map<string, number> }> {
  const items = new Set(visits.flatMap((visit) => visit.items));
  return new Map(
    [...items].map((item) => {
      const own = visits.filter((visit) => visit.items.includes(item));
      const last = Math.max(...own.map(({ at }) => at));
      const weights = new Map<string, number>();
      for (const visit of own) {
        for (const other of visit.items.filter((each) => each !== item)) {
          weights.set(other, (weights.get(other) ?? 0) + 0.5 ** ((last - visit.at) / HALF_LIFE_MS));
        }
      }
      return [item, { visits: own.length, weights }];
    }),
  );
}

const byUserAndTime = (a: Visit, b: Visit): number =>
  (a.user < b.user ? -1 : Number(a.user > b.user)) || a.at - b.at;

describe('the click stream', () => {
  it('is the same each time, and has clicks that come hours late', () => {
    const clicks = clickLines().map((line) => JSON.parse(line) as Click);
    expect(clickLines()).toEqual(clickLines());
    expect(clicks).toHaveLength(6_000);
    const late = clicks.filter(
      ({ at }, place) => Date.parse(at) < Date.parse(clicks[Math.max(0, place - 1)]?.at ?? at) - 3_600_000,
    );
    expect(late.length).toBeGreaterThan(0);
  });
});

describe('click-sessions, viewed-together and also-viewed, one behind the other', () => {
  const clicks = clickLines()
    .slice(0, 1_000)
    .map((line) => JSON.parse(line) as Click);
  const visits = visitsOf(clicks);
  let published: Visit[];
  let companies: Company[];
  let rows: Map<string, AlsoViewed>;
  let shop: ReturnType<typeof testPipeline<Company>>;
  beforeAll(async () => {
    const sessions = testPipeline<Click>(clickSessions);
    await sessions.send(...clicks);
    await sessions.advance({ minutes: 2 });
    published = sessions.outputs<Visit>('visits').map(({ value }) => value);
    const pairs = testPipeline<Visit>(viewedTogether);
    await pairs.send(...published);
    companies = pairs.outputs<Company>('viewed-together').map(({ value }) => value);
    shop = testPipeline<Company>(alsoViewed);
    await shop.send(...companies);
    rows = new Map(shop.outputs<AlsoViewed>('also-viewed').map(({ key, value }) => [key, value]));
  });

  it('give the visits of each user, once each', () => {
    expect(visits.length).toBeGreaterThan(100);
    expect(published.toSorted(byUserAndTime)).toEqual(visits.toSorted(byUserAndTime));
  });

  it('give each item of a visit its company', () => {
    expect(companies).toHaveLength(visits.reduce((sum, { items }) => sum + items.length, 0));
  });

  it('remember of each item what was seen with it, the more the later', () => {
    const expected = neighboursOf(visits);
    expect(new Set(rows.keys())).toEqual(new Set(expected.keys()));
    for (const [item, { visits: count, weights }] of expected) {
      const state = shop.state<{ neighbours: { visits: number; weights: [string, number][] } }>(
        item,
      )?.neighbours;
      expect(state?.visits).toBe(count);
      expect(state?.weights.map(([other]) => other).toSorted()).toEqual([...weights.keys()].toSorted());
      for (const [other, weight] of state?.weights ?? [])
        expect(weight).toBeCloseTo(weights.get(other) ?? 0, 9);
    }
  });

  it('recommend the five that weigh most', () => {
    for (const [item, { visits: count, weights }] of neighboursOf(visits)) {
      const row = rows.get(item);
      expect(row?.visits).toBe(count);
      expect(row?.alsoViewed).toHaveLength(Math.min(5, weights.size));
      const least = Math.min(...(row?.alsoViewed ?? []).map((other) => weights.get(other) ?? 0));
      const better = [...weights].filter(([, weight]) => weight > least + 1e-9);
      expect(better.every(([other]) => row?.alsoViewed.includes(other))).toBe(true);
    }
  });

  it('do not depend on the order in which visits come to an item', async () => {
    const other = testPipeline<Company>(alsoViewed);
    const item = companies[0]?.item ?? '';
    await other.send(...companies.filter((company) => company.item === item).toReversed());
    expect(other.outputs<AlsoViewed>('also-viewed').at(-1)?.value).toEqual(rows.get(item));
  });

  it('take names for items that are none of an object', async () => {
    const other = testPipeline<Company>(alsoViewed);
    await other.send({ item: '__proto__', others: ['constructor', '__proto__'], at: 1 });
    expect(other.outputs('also-viewed')).toMatchObject([
      { key: '__proto__', value: { visits: 1, alsoViewed: ['__proto__', 'constructor'] } },
    ]);
  });
});

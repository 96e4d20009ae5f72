import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import airportTraffic from '../../functions/airport-traffic/pipeline.ts';
import { invokeFunction } from '../../infra/cli/invoke-function.ts';
import { LambdaMappingSwitch, listMappings } from '../../infra/cli/mapping-switch.ts';
import { accessPipeline } from '../../infra/cli/pipeline-access.ts';
import type { TimerSweep } from '../../shared/engine/sweep-timers.ts';
import { departures, type Departure } from '../unit/functions/departures.ts';
import { json, operate } from '../support/operate.ts';
import { CANARY_DELAYED_ABOVE, canaryTraffic } from './fixtures/canary-traffic.ts';
import { deployed, OperatedCloud } from './operated-cloud.ts';
import { temporaryFolder } from './temporary-folder.ts';

const [OLD, NEW] = ['airport-traffic', 'canary-traffic'];
const FLIGHTS = departures(500);
const FORKED = 250;
/** One that is idle holds event time back, until a sweep lifts it: in each pipeline when its own comes. */
const SHARDS = 2;
const LIMIT_MS = 240_000;
const PAUSE_MS = 100;
const HOUR_MS = 3_600_000;
/** In minutes: the rule of airport-traffic. */
const DELAYED_ABOVE = 15;

const folder = temporaryFolder();

/** The windows that a flight is in, by their keys in the table. */
function windowsOf({ origin, date }: Departure): string[] {
  const atMs = Date.parse(`${date.replaceAll('/', '-').replace(' ', 'T')}Z`);
  const last = Math.floor(atMs / (3 * HOUR_MS)) * 3 * HOUR_MS;
  return [last, last - 3 * HOUR_MS].map((startMs) => `${origin}@${new Date(startMs).toISOString()}`);
}

/** Flights of a day behind all of the others, which only a sweep's timers end the windows of, but for those of the last. */
function flightsOfDay(day: number): string[] {
  return ['AAA', 'BBB', 'CCC'].map((origin, place) =>
    JSON.stringify({ origin, date: `2001/03/${10 + day + place} 05:00`, delay: 0 }),
  );
}

/** Rounds of a test that the local cloud's own sweep, once a minute, may come between. */
const ATTEMPTS = 4;

interface Comparison {
  readonly outcome: string;
  readonly outputs: readonly {
    readonly equal: number;
    readonly differing: number;
    readonly onlyOld: number;
    readonly onlyNew: number;
    readonly open: number;
    readonly first: readonly { readonly key: string }[];
  }[];
  readonly states: { readonly apart: number; readonly operators: readonly { readonly differing: number }[] };
}

describe('a comparison of windows and their table', () => {
  const here = new OperatedCloud(folder, SHARDS);
  const lines = FLIGHTS.map((flight) => JSON.stringify(flight));

  async function fireTimers(pipeline: string): Promise<number> {
    const access = await accessPipeline(pipeline, { local: true });
    try {
      let fired = 0;
      for (;;) {
        const outcome = await invokeFunction<TimerSweep>(access.lambda, access.functionName, {
          tidemark: 'timers',
        });
        if ('failure' in outcome) throw new Error(outcome.failure);
        const { answer } = outcome;
        fired += answer.fired;
        if (answer.fired === 0 && answer.published === 0 && answer.lifted === 0) return fired;
      }
    } finally {
      access.close();
    }
  }

  /** Not as the local cloud waits, which fires what is due in all. */
  async function untilThrough(pipeline: string): Promise<void> {
    for (;;) {
      const { out } = await operate(['positions', pipeline]);
      const waiting = out.map(
        (line) => JSON.parse(line) as { readonly behind?: { readonly records: number } },
      );
      if (waiting.every(({ behind }) => behind?.records === 0)) return;
      await wait(PAUSE_MS);
    }
  }

  async function compare(...args: readonly string[]): Promise<Comparison & { readonly isDone: boolean }> {
    const said = await operate(['compare', OLD, NEW, '--limit', '100000', ...args]);
    return { ...(json(said) as unknown as Comparison), isDone: said.isDone };
  }

  beforeAll(async () => {
    await here.deploy(
      deployed(airportTraffic, 'functions/airport-traffic/handler.ts'),
      deployed(canaryTraffic, 'test/e2e/fixtures/canary-traffic.ts', airportTraffic),
    );
    await here.send(lines.slice(0, FORKED));
    await here.untilDrained(OLD);
    await fireTimers(OLD);
    expect((await operate(['checkpoint', 'take', OLD])).isDone).toBe(true);
    const fork = await operate(['fork', OLD, '--to', NEW, '--yes']);
    expect(json(fork)).toMatchObject({ outcome: 'done' });
    await here.send(lines.slice(FORKED));
    await here.untilDrained();
  }, LIMIT_MS);
  afterAll(() => here.stop(), LIMIT_MS);

  it(
    'tells results that a timer has made in one, and not yet in the other, from differences',
    async () => {
      let before: Awaited<ReturnType<typeof compare>> | undefined;
      for (let attempt = 0; attempt < ATTEMPTS && before?.outcome !== 'incomplete'; attempt++) {
        await here.send(flightsOfDay(3 * attempt));
        await untilThrough(OLD);
        await untilThrough(NEW);
        await fireTimers(OLD);
        before = await compare('--wait', '0', '--ignore', 'value.delayed', '--ignore', 'delayed');
        expect(before.outputs[0]).toMatchObject({ differing: 0, onlyOld: 0, onlyNew: 0 });
      }
      expect(before?.isDone).toBe(false);
      expect(before?.outcome).toBe('incomplete');
      expect(before?.outputs[0]?.open).toBeGreaterThan(0);
      expect(before?.states.apart).toBeGreaterThan(0);
    },
    LIMIT_MS,
  );

  it(
    'finds the windows of which a changed rule says something else, and no other',
    async () => {
      await fireTimers(OLD);
      await fireTimers(NEW);
      const touched = new Set(
        FLIGHTS.slice(FORKED)
          .filter(({ delay }) => delay > DELAYED_ABOVE && delay <= CANARY_DELAYED_ABOVE)
          .flatMap(windowsOf),
      );

      const { outcome, outputs, states, isDone } = await compare();

      const [rows] = outputs;
      expect({ isDone, outcome }).toEqual({ isDone: false, outcome: 'different' });
      expect(rows).toMatchObject({ onlyOld: 0, onlyNew: 0, open: 0 });
      expect(states.apart).toBe(0);
      const keys = (rows?.first ?? []).map(({ key }) => key);
      expect(keys.length).toBeGreaterThan(3);
      expect(rows?.equal).toBeGreaterThan(0);
      expect(keys.filter((key) => !touched.has(key))).toEqual([]);
      // What is not over is in the state, and what is over and differs is in the table.
      const [old, now] = await Promise.all([here.rows(OLD), here.rows(NEW)]);
      const differing = [...now].filter(([key, value]) => old.get(key) !== value).map(([key]) => key);
      expect(keys).toEqual(differing.sort());
    },
    LIMIT_MS,
  );

  it(
    'calls states apart where one is behind, and compares no output beyond it',
    async () => {
      const access = await accessPipeline(NEW, { local: true });
      const { lambda, functionName } = access;
      const enabled = (await listMappings(lambda, functionName)).map(({ id }) => id);
      const mapping = new LambdaMappingSwitch({
        lambda,
        functionName,
        wait: (ms) => wait(ms),
        say: () => undefined,
        remembered: () => enabled,
      });
      const before = await compare();
      await mapping.disable();
      await here.send(flightsOfDay(3 * ATTEMPTS));
      await untilThrough(OLD);

      const behind = await compare('--wait', '0');
      expect(behind.states.apart).toBeGreaterThan(0);
      const [counts] = behind.outputs;
      // Of what the old one's timers may have made since, nothing can be said.
      expect({ ...counts, open: 0 }).toEqual(before.outputs[0]);

      await mapping.enable();
      await here.untilDrained();
      access.close();
      await fireTimers(OLD);
      await fireTimers(NEW);
      expect((await compare()).states.apart).toBe(0);
    },
    LIMIT_MS,
  );
});

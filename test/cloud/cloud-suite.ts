import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import airportDelays from '../../functions/airport-delays/pipeline.ts';
import airportGrades from '../../functions/airport-grades/pipeline.ts';
import airportTraffic from '../../functions/airport-traffic/pipeline.ts';
import { expectedDump, flightLines, originsOf, text } from '../e2e/flights.ts';
import { departures, trafficOf, type Departure, type TrafficRow } from '../unit/functions/departures.ts';
import { ABILITIES, type Ability, type Cloud } from './cloud.ts';
import { DeployedPipeline } from './deployed-pipeline.ts';
import { tidemark, type Answer } from './operator.ts';

const DELAYS = 'airport-delays';
/** Flights that each test sends behind those of the tests before it. */
const FLIGHTS_PER_TEST = 150;
const SHARDS = 2;
/** A cloud on the other side of a network takes minutes to deploy. */
const LIMIT_MS = 1_800_000;
/** By the limits of airport-grades. */
const GRADED_FROM_FLIGHTS = 20;

/** Describes what holds on every cloud: the tests share one deployment, and each goes on with what the stream holds. */
export function describeCloud(cloud: Cloud): void {
  describe(`pipelines on ${cloud.name}`, () => {
    const flights = flightLines(2_000);
    const sent: string[] = [];
    let delays: DeployedPipeline;
    let grades: DeployedPipeline;
    let traffic: DeployedPipeline;

    function able(ability: Ability, test: () => Promise<void>): void {
      const reason = cloud.cannot[ability];
      if (reason === undefined) it(ABILITIES[ability], test, LIMIT_MS);
      else it.skip(`${ABILITIES[ability]} (not on ${cloud.name}: ${reason})`, test);
    }

    function operate(...args: readonly string[]): Promise<Answer> {
      return tidemark(cloud.where, ...args);
    }

    /** Flights that have not been sent yet. */
    function next(): string[] {
      return flights.slice(sent.length, sent.length + FLIGHTS_PER_TEST);
    }

    async function send(lines: readonly string[]): Promise<void> {
      await delays.send(lines);
      sent.push(...lines);
    }

    beforeAll(async () => {
      await cloud.up({
        pipelines: [airportGrades.definition.name, airportTraffic.definition.name],
        overrides: { shardCount: SHARDS, batchSize: 40 },
      });
      delays = await DeployedPipeline.at(cloud.where, airportDelays);
      grades = await DeployedPipeline.at(cloud.where, airportGrades);
      traffic = await DeployedPipeline.at(cloud.where, airportTraffic);
    }, LIMIT_MS);
    afterAll(async () => {
      for (const pipeline of [delays, grades, traffic]) (pipeline as DeployedPipeline | undefined)?.close();
      await cloud.down();
    }, LIMIT_MS);

    able('flights', async () => {
      await send(next());
      await delays.settled();

      expect(await delays.dump()).toBe(expectedDump(sent));
      expect((await operate('status', DELAYS)).lines).toEqual([
        expect.objectContaining({ phase: 'live', deadLetters: 0, running: [] }),
      ]);
    });

    able('chain', async () => {
      // Enough of some airports that they have a grade.
      while (sent.length < 3 * FLIGHTS_PER_TEST) await send(next());
      await delays.settled();
      await grades.settled();

      const expected = gradesOf(expectedDump(sent));
      expect(expected.length).toBeGreaterThan(0);
      expect(await grades.dump()).toBe(text(expected));
      const rows = await grades.rows('airport-grades');
      expect(rows.map(({ key }) => key)).toEqual(
        expected.map((line) => (JSON.parse(line) as { readonly key: string }).key),
      );
    });

    able('poison', async () => {
      const [first = '', ...others] = next();
      await send([first]);
      await delays.send(['not json', '{"origin":3,"delay":1}']);
      await send(others);
      await delays.settled();

      expect(await delays.dump()).toBe(expectedDump(sent));
      const list = await operate('deadletters', 'list', DELAYS);
      expect(list.lines.map(({ stage }) => stage).sort()).toEqual(['decode', 'schema']);
      // The code has not changed, so they are as wrong as they were.
      const redriven = await operate('deadletters', 'redrive', DELAYS, '--all', '--yes');
      expect(redriven.isDone).toBe(false);
      expect(redriven.lines).toEqual([expect.objectContaining({ letters: 2 })]);
      const dropped = await operate('deadletters', 'drop', DELAYS, '--all', '--yes');
      expect(dropped.lines).toEqual([expect.objectContaining({ outcomes: { dropped: 2 } })]);
      expect((await operate('deadletters', 'list', DELAYS)).lines).toEqual([]);
      expect(await delays.dump()).toBe(expectedDump(sent));
    });

    able('redrive', async () => {
      const [first = '', ...others] = next();
      const mended = JSON.stringify({ origin: 'ORD', delay: 45 });
      await send([first]);
      await delays.send(['{"origin":"ORD","delay":"45 minutes"}']);
      await send(others);
      await delays.settled();
      const { lines } = await operate('deadletters', 'list', DELAYS);
      expect(lines).toEqual([expect.objectContaining({ stage: 'schema' })]);
      const before = expectedDump(sent);
      expect((await operate('deadletters', 'redrive', DELAYS, '--all', '--yes')).isDone).toBe(false);
      expect(await delays.dump()).toBe(before);

      await delays.mend(String(lines[0]?.['name']), mended);
      const redriven = await operate('deadletters', 'redrive', DELAYS, '--all', '--yes');

      expect(redriven.isDone).toBe(true);
      expect(redriven.lines).toEqual([expect.objectContaining({ letters: 1, outcomes: { redriven: 1 } })]);
      // It comes behind what was sent after it.
      sent.push(mended);
      expect(await delays.dump()).toBe(expectedDump(sent));
      expect(await delays.dump()).not.toBe(before);
      expect((await operate('deadletters', 'list', DELAYS)).lines).toEqual([]);
      // Nothing of it comes twice: neither by another redrive nor where the bad record is delivered again.
      await operate('deadletters', 'redrive', DELAYS, '--all', '--yes');
      await delays.deliverAgain(50);
      expect(await delays.dump()).toBe(expectedDump(sent));
      expect((await operate('deadletters', 'list', DELAYS)).lines).toEqual([]);
    });

    able('checkpoint', async () => {
      await send(next());
      await delays.settled();

      const [taken] = (await operate('checkpoint', 'take', DELAYS, '--savepoint', 'before')).lines;
      expect(taken).toMatchObject({ status: 'taken', savepoint: 'before' });
      const items = Number(taken?.['items']);
      // A shard that had dead letters has an item too.
      expect(items).toBeGreaterThanOrEqual(originsOf(sent));
      const id = String(taken?.['id']);
      expect((await operate('checkpoint', 'verify', DELAYS, 'before')).lines).toEqual([
        expect.objectContaining({ id, items, problems: [] }),
      ]);
      const exported = await operate('state', 'export', DELAYS, '--at', 'before');
      const states = exported.lines
        .map(({ key, states }) => ({ key: String(key), state: (states as { delays: unknown }).delays }))
        .sort((a, b) => (a.key < b.key ? -1 : 1));
      expect(text(states.map((state) => JSON.stringify(state)))).toBe(expectedDump(sent));
      const now = await operate('state', 'get', DELAYS, 'ORD');
      expect((await operate('state', 'get', DELAYS, 'ORD', '--at', id)).lines).toEqual(now.lines);
      expect((await operate('state', 'get', DELAYS, 'no such key')).isDone).toBe(false);

      expect((await operate('checkpoint', 'take', DELAYS, '--savepoint', 'before')).isDone).toBe(false);
      expect((await operate('checkpoint', 'diff', DELAYS, 'before', 'latest')).lines).toEqual([]);

      // Of a delta, what has not changed lies in the parts of the one that is deleted.
      const [delta] = (await operate('checkpoint', 'take', DELAYS)).lines;
      expect(delta).toMatchObject({ status: 'taken', items, kept: items });
      const deltaId = String(delta?.['id']);
      const listed = (await operate('checkpoint', 'list', DELAYS)).lines;
      expect(listed.find((each) => each['id'] === deltaId)).toMatchObject({ kind: 'delta', base: id });
      const deleted = await operate('checkpoint', 'delete', DELAYS, 'before', '--yes');
      expect(deleted.lines).toEqual([{ deleted: id, isGone: false }]);
      expect((await operate('checkpoint', 'list', DELAYS)).lines.map((each) => each['id'])).not.toContain(id);
      expect((await operate('checkpoint', 'verify', DELAYS, deltaId)).lines).toEqual([
        expect.objectContaining({ id: deltaId, items, problems: [] }),
      ]);
      expect((await operate('state', 'get', DELAYS, 'ORD', '--at', deltaId)).lines).toEqual(now.lines);
      const [full] = (await operate('checkpoint', 'take', DELAYS, '--full')).lines;
      expect(full).toMatchObject({ status: 'taken', items });
      expect(full).not.toHaveProperty('kept');
    });

    able('rewind', async () => {
      await operate('checkpoint', 'take', DELAYS, '--savepoint', 'good');
      const [delta] = (await operate('checkpoint', 'take', DELAYS)).lines;
      expect(Number(delta?.['kept'])).toBeGreaterThan(0);
      await send(next());
      await delays.settled();

      const to = String(delta?.['id']);
      const rewound = await operate('rewind', DELAYS, '--to', to, '--outputs', 'same', '--yes');

      expect(rewound.lines.at(-1)).toMatchObject({ outcome: 'done' });
      expect(await delays.dump()).toBe(expectedDump(sent));
      const [status] = (await operate('status', DELAYS)).lines;
      expect(status).toMatchObject({ phase: 'live', running: [] });
      expect(status?.['generation']).toBeGreaterThan(1);
      await send(next());
      await delays.settled();
      expect(await delays.dump()).toBe(expectedDump(sent));
    });

    able('chaos', async () => {
      const [one, two, three] = [next().slice(0, 50), next().slice(50, 100), next().slice(100)];
      await send(one);
      await delays.reshard({ kind: 'split', ofChildren: false, choice: 0 });
      await send(two);
      await delays.reshard({ kind: 'merge', ofChildren: true, choice: 0 });
      await send(three);
      await delays.settled();

      expect(await delays.dump()).toBe(expectedDump(sent));
      // At least what was sent: dead letters' records are in the stream too.
      expect(await delays.deliverAgain(33)).toBeGreaterThanOrEqual(sent.length);
      expect(await delays.dump()).toBe(expectedDump(sent));
    });

    able('timers', async () => {
      // The last is reported so late that all of its windows are over, and no record closes them.
      const late: Departure = { origin: 'ORD', date: '2001/01/01 05:00', delay: 1_440 };
      const all = [...departures(200), late];
      const { closed } = trafficOf(all);

      await traffic.send(
        all.map((departure) => JSON.stringify(departure)),
        'one lane',
      );
      await traffic.settled();
      await traffic.fireTimers();

      const rows = await traffic.rows('airport-traffic');
      const values = rows.map(
        ({ key, state }) => [key, (state as unknown as { readonly value: TrafficRow }).value] as const,
      );
      expect(new Map(values)).toEqual(closed);
    });
  });
}

/** What airport-grades should know, by the limits that it has, of a dump of airport-delays. */
function gradesOf(dump: string): string[] {
  return dump
    .trimEnd()
    .split('\n')
    .flatMap((line) => {
      const { key, state } = JSON.parse(line) as {
        readonly key: string;
        readonly state: { readonly flights: number; readonly lateShare: number };
      };
      if (state.flights < GRADED_FROM_FLIGHTS) return [];
      const grade = ['A', 'B', 'C', 'D'][Math.max(0, Math.ceil(state.lateShare * 20) - 2)] ?? 'E';
      return [JSON.stringify({ key, state: { flights: state.flights, grade } })];
    });
}

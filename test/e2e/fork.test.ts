import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import airportDelays from '../../functions/airport-delays/pipeline.ts';
import { countedFlights } from './fixtures/counted-flights.ts';
import { stagingDelays } from './fixtures/staging-delays.ts';
import { expectedDump, flightLines, originsOf } from './flights.ts';
import { Death, json, operate } from '../support/operate.ts';
import { deployed, OperatedCloud } from './operated-cloud.ts';
import { temporaryFolder } from './temporary-folder.ts';

const [OLD, NEW, OTHER] = ['airport-delays', 'staging-delays', 'counted-flights'];
const FLIGHTS = flightLines(2_000);
const CHECKPOINTED = 300;
const SHARDS = 2;
const LIMIT_MS = 240_000;
/** Lines that are put before they are waited for: the source has something to do all the while, and gets on. */
const BURST = 10;

const folder = temporaryFolder();

interface Counted {
  readonly state: number | { readonly count?: number };
}

describe('a fork on the local cloud', () => {
  const here = new OperatedCloud(folder, SHARDS);
  const { sent } = here;

  /** Sends flights, round and round, for as long as something is under way. */
  async function whileSending<Result>(work: Promise<Result>): Promise<Result> {
    let isOver = false;
    const over = work.finally(() => (isOver = true));
    over.catch(() => undefined);
    while (!isOver) {
      const from = sent.length % FLIGHTS.length;
      await here.send(FLIGHTS.slice(from, from + BURST));
    }
    return over;
  }

  beforeAll(async () => {
    await here.deploy(
      deployed(airportDelays, 'functions/airport-delays/handler.ts'),
      deployed(stagingDelays, 'test/e2e/fixtures/staging-delays.ts', airportDelays),
      deployed(countedFlights, 'test/e2e/fixtures/counted-flights.ts', airportDelays),
    );
    await here.send(FLIGHTS.slice(0, CHECKPOINTED));
    await here.untilDrained(OLD);
    expect((await operate(['checkpoint', 'take', OLD, '--savepoint', 'good'])).isDone).toBe(true);
    await here.send(FLIGHTS.slice(CHECKPOINTED, 2 * CHECKPOINTED));
    await here.untilDrained(OLD);
  }, LIMIT_MS);
  afterAll(() => here.stop(), LIMIT_MS);

  it(
    'is refused into itself, into a pipeline at work, from what is not there, and to code that knows no such state',
    async () => {
      const itself = await operate(['fork', OLD, '--to', OLD, '--yes']);
      expect(String(itself.error)).toContain('not forked into itself: rewind it');
      const busy = await operate(['fork', NEW, '--to', OLD, '--yes']);
      expect(busy).toMatchObject({ isDone: false, error: undefined });
      expect(busy.people.join()).toContain(`${OLD} processes records by itself, in generation 1`);
      expect(String((await operate(['fork', OLD, '--to', 'nobody', '--yes'])).error)).toContain('nobody');
      const missing = await operate(['fork', OLD, '--to', NEW, '--from', 'bad', '--yes']);
      expect(missing.isDone).toBe(false);
      expect(String(missing.error)).toContain('bad');
      const foreign = await operate(['fork', OLD, '--to', OTHER, '--yes']);
      expect(json(foreign)).toMatchObject({ outcome: 'refused' });
      expect(foreign.people.join()).toContain("state of operator 'delays', which the code does not have");

      // None of this has written anything.
      for (const pipeline of [NEW, OTHER]) {
        expect(await here.status(pipeline)).toMatchObject({
          generation: 1,
          phase: 'awaitsFork',
          records: 0,
          behind: { records: sent.length, isAtLeast: false },
        });
        expect((await operate(['checkpoint', 'list', pipeline])).out).toEqual([]);
      }
      expect(await here.dump(stagingDelays)).toBe('');
    },
    LIMIT_MS,
  );

  it(
    'gives what its source has, which goes on all the while, also where the command dies at every stage',
    async () => {
      const fork = ['fork', OLD, '--to', NEW, '--yes'];
      const ended = await whileSending(
        (async () => {
          expect((await operate(fork, 'Copying')).error).toBeInstanceOf(Death);
          // Taken back behind its restore, it awaits its fork again.
          expect((await operate(fork, 'Processing')).error).toBeInstanceOf(Death);
          expect(json(await operate(['rewind', NEW, '--undo', '--yes']))).toMatchObject({
            outcome: 'undone',
            generation: 1,
          });
          expect(await here.status(NEW)).toMatchObject({ generation: 1, phase: 'awaitsFork', running: [] });

          expect((await operate(fork, 'Sealing')).error).toBeInstanceOf(Death);
          const second = await operate(fork);
          expect(second.isDone).toBe(false);
          expect(second.people.join()).toContain(`rewind ${NEW} --resume`);
          for (const stage of ['Restoring', 'Processing', 'Live again']) {
            expect((await operate(['rewind', NEW, '--resume'], stage)).error).toBeInstanceOf(Death);
          }
          return operate(['rewind', NEW, '--resume']);
        })(),
      );
      expect(json(ended)).toMatchObject({ outcome: 'done' });
      await here.untilDrained(OLD, NEW);
      expect(sent.length).toBeGreaterThan(2 * CHECKPOINTED);
      expect(await here.dump(airportDelays)).toBe(expectedDump(sent));
      expect(await here.dump(stagingDelays)).toBe(expectedDump(sent));
      expect(await here.status(NEW)).toMatchObject({ phase: 'live', running: [], records: sent.length });

      const again = await operate(fork);
      expect(again.isDone).toBe(false);
      expect(again.people.join()).toContain(`${NEW} processes records by itself`);
    },
    LIMIT_MS,
  );

  it(
    'leaves what the other pipeline has by itself where that is said, and goes on with what comes then',
    async () => {
      const done = await operate(['fork', OLD, '--to', NEW, '--from', 'good', '--replace', '--yes']);
      expect(json(done)).toMatchObject({ outcome: 'done', items: originsOf(FLIGHTS.slice(0, CHECKPOINTED)) });
      await here.send(FLIGHTS.slice(0, BURST));
      await here.untilDrained(OLD, NEW);
      expect(await here.dump(stagingDelays)).toBe(expectedDump(sent));
    },
    LIMIT_MS,
  );

  it(
    'begins at the checkpoint with no state where that is not wanted',
    async () => {
      const done = await operate(['fork', OLD, '--to', OTHER, '--drop-operator', 'delays', '--yes']);
      expect(json(done)).toMatchObject({ outcome: 'done' });
      await here.untilDrained();
      // What is not wanted is carried along, unused.
      const states = (await here.dump(countedFlights))
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Counted);
      const countOf = ({ state }: Counted): number =>
        typeof state === 'number' ? state : (state.count ?? 0);
      const sum = states.reduce((all, state) => all + countOf(state), 0);
      expect(sum).toBe(sent.length - CHECKPOINTED);
    },
    LIMIT_MS,
  );
});

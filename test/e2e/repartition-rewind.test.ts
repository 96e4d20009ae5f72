import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Death, json, operate } from '../support/operate.ts';
import type { Arrivals } from './fixtures/arrivals-front.ts';
import { tableArrivals } from './fixtures/table-arrivals.ts';
import { flightLines, text } from './flights.ts';
import { deployed, OperatedCloud } from './operated-cloud.ts';
import { temporaryFolder } from './temporary-folder.ts';

const NAME = 'table-arrivals';
const FLIGHTS = flightLines(500);
const [CHECKPOINTED, WRONG] = [200, 400];
/** No flights: the front rejects them, before it has a destination. */
const BAD = ['no JSON', '{"origin":"ATL","delay":1}', '{"origin":"DFW","destination":7,"delay":1}', '[]'];
const SHARDS = 2;
const LIMIT_MS = 120_000;

/** By destination, what a plain fold of the lines gives. */
function arrivalsOf(lines: readonly string[]): Map<string, Arrivals> {
  const all = new Map<string, Arrivals>();
  for (const line of lines) {
    const { destination, delay } = JSON.parse(line) as { destination: string; delay: number };
    const { flights, totalDelay } = all.get(destination) ?? { flights: 0, totalDelay: 0 };
    all.set(destination, { flights: flights + 1, totalDelay: totalDelay + delay });
  }
  return new Map([...all].sort(([one], [other]) => (one < other ? -1 : 1)));
}

function dumpOf(lines: readonly string[]): string {
  return text([...arrivalsOf(lines)].map(([key, state]) => JSON.stringify({ key, state })));
}

describe('a rewind of a pipeline with a repartition, on the local cloud', () => {
  const here = new OperatedCloud(temporaryFolder(), SHARDS);
  const mended = deployed(tableArrivals, 'test/e2e/fixtures/table-arrivals.ts');
  const wrong = deployed(tableArrivals, 'test/e2e/fixtures/wrong-arrivals.ts');

  async function process(lines: readonly string[]): Promise<void> {
    await here.send(lines);
    await here.untilDrained();
  }

  /** What the sink's table holds, in the form of a dump. */
  async function published(): Promise<string> {
    return text([...(await here.rows(NAME))].sort().map(([, row]) => row));
  }

  /** Dead letters of a generation, without it: those that the front has rejected, and those of the fold. */
  async function letters(generation: number): Promise<{ readonly front: string[]; readonly fold: string[] }> {
    const { out } = await operate(['deadletters', 'list', NAME]);
    const own = out
      .map((line) => JSON.parse(line) as { readonly id: string; readonly stage: string })
      .filter(({ id }) => id.startsWith(`${generation}/`))
      .map(({ id, stage }) => ({ id: id.slice(id.indexOf('/') + 1), stage }));
    const of = (isFold: boolean): string[] =>
      own.filter(({ stage }) => (stage === 'fold') === isFold).map(({ id }) => id);
    return { front: of(false), fold: of(true) };
  }

  beforeAll(async () => {
    await here.deploy(mended);
    await process([...FLIGHTS.slice(0, CHECKPOINTED), ...BAD.slice(0, 2)]);
    expect((await operate(['checkpoint', 'take', NAME, '--savepoint', 'good'])).isDone).toBe(true);
    await here.deploy(wrong);
    await process([...BAD.slice(2), ...FLIGHTS.slice(CHECKPOINTED, WRONG)]);
    await here.deploy(mended);
  }, LIMIT_MS);
  afterAll(() => here.stop(), LIMIT_MS);

  it(
    'gives the state and the outputs of a run that was never wrong, and keeps what the front has rejected',
    async () => {
      const good = FLIGHTS.slice(0, WRONG);
      expect(await here.dump(tableArrivals)).not.toBe(dumpOf(good));
      expect(await published()).not.toBe(dumpOf(good));
      const before = await letters(1);
      expect(before.front).toHaveLength(BAD.length);
      expect(before.fold.length).toBeGreaterThan(0);

      // It dies behind the restore, and another goes on.
      const rewind = ['rewind', NAME, '--to', 'good', '--outputs', 'again', '--yes'];
      expect((await operate(rewind, 'Processing')).error).toBeInstanceOf(Death);
      const done = await operate(['rewind', NAME, '--resume']);
      // A replay hands in the record at a position too, which is skipped: of the shards of both streams.
      expect(json(done)).toMatchObject({ outcome: 'done', records: WRONG - CHECKPOINTED + 2 * SHARDS });

      expect(await here.dump(tableArrivals)).toBe(dumpOf(good));
      expect(await published()).toBe(dumpOf(good));
      expect(await letters(2)).toEqual({ front: before.front, fold: [] });
      expect(await here.status(NAME)).toMatchObject({ generation: 2, phase: 'live', running: [] });

      await process(FLIGHTS.slice(WRONG));
      expect(await here.dump(tableArrivals)).toBe(dumpOf(FLIGHTS));
      expect(await published()).toBe(dumpOf(FLIGHTS));
      // They are letters as any others: those from before the checkpoint, and those from behind it.
      expect((await operate(['deadletters', 'drop', NAME, '2/no-key', '--yes'])).isDone).toBe(true);
      expect(await letters(2)).toEqual({ front: [], fold: [] });
    },
    LIMIT_MS,
  );
});

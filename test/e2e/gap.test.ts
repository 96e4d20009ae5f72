import {
  CreateStreamCommand,
  DeleteStreamCommand,
  DescribeStreamSummaryCommand,
  type KinesisClient,
} from '@aws-sdk/client-kinesis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import airportDelays from '../../functions/airport-delays/pipeline.ts';
import { untilActive } from '../../infra/local/provision/until-active.ts';
import { keptFlights } from './fixtures/kept-flights.ts';
import { expectedDump, flightLines } from './flights.ts';
import { json, operate } from '../support/operate.ts';
import { deployed, OperatedCloud } from './operated-cloud.ts';
import { temporaryFolder } from './temporary-folder.ts';

const NAME = 'airport-delays';
const FLIGHTS = flightLines(700);
const [CHECKPOINTED, EXPIRED] = [300, 600];
const SHARDS = 2;
const LIMIT_MS = 120_000;

const folder = temporaryFolder();

/** What expiry leaves of a stream: the same shards, and none of their records. */
async function expireAll(kinesis: KinesisClient, StreamName: string): Promise<void> {
  const status = async (): Promise<string | undefined> => {
    try {
      const { StreamDescriptionSummary } = await kinesis.send(
        new DescribeStreamSummaryCommand({ StreamName }),
      );
      return StreamDescriptionSummary?.StreamStatus;
    } catch (error) {
      if (error instanceof Error && error.name === 'ResourceNotFoundException') return 'ACTIVE';
      throw error;
    }
  };
  await kinesis.send(new DeleteStreamCommand({ StreamName }));
  await untilActive(`The end of ${StreamName}`, status);
  await kinesis.send(new CreateStreamCommand({ StreamName, ShardCount: SHARDS }));
  await untilActive(`Stream ${StreamName}`, status);
}

describe('a rewind beyond what the stream holds, on the local cloud', () => {
  const here = new OperatedCloud(folder, SHARDS);
  const own = deployed(airportDelays, 'functions/airport-delays/handler.ts');

  beforeAll(async () => {
    await here.deploy(own);
    await here.send(FLIGHTS.slice(0, CHECKPOINTED));
    await here.untilDrained();
    expect((await operate(['checkpoint', 'take', NAME, '--savepoint', 'good'])).isDone).toBe(true);
    await here.send(FLIGHTS.slice(CHECKPOINTED, EXPIRED));
    await here.untilDrained();
    const { streamName } = here;
    await here.withdraw();
    await expireAll(here.engines.clients().kinesis, streamName);
    await here.deploy(own);
    await here.send(FLIGHTS.slice(EXPIRED));
    await here.untilDrained();
  }, LIMIT_MS);
  afterAll(() => here.stop(), LIMIT_MS);

  it(
    'says per shard what is missing, and does nothing, unless it may leave that out',
    async () => {
      expect(await here.dump(airportDelays)).toBe(expectedDump(FLIGHTS));
      const rewind = ['rewind', NAME, '--to', 'good', '--outputs', 'same', '--yes'];
      const before = await here.status(NAME);
      const refused = await operate(rewind);
      expect(refused).toMatchObject({ isDone: false, error: undefined });
      const { outcome, gaps } = json(refused) as {
        readonly outcome: string;
        readonly gaps: readonly Record<string, unknown>[];
      };
      expect(outcome).toBe('gaps');
      expect(gaps).toHaveLength(SHARDS);
      for (const gap of gaps) {
        expect(gap).toMatchObject({
          from: { sequence: expect.any(String) as string },
          oldest: expect.any(String) as string,
        });
        expect(Number(gap['fromMs'])).toBeLessThanOrEqual(Number(gap['oldestMs']));
      }
      // It cannot tell which of those since the checkpoint are missing, and says how many there were.
      const records = gaps.reduce((sum, gap) => sum + Number(gap['records']), 0);
      expect(records).toBe(FLIGHTS.length - CHECKPOINTED);
      expect(refused.people.join('\n')).toContain('--allow-gap goes on without');
      expect(refused.people.join('\n')).toMatch(/shardId-000000000001.*\d{4}-\d\d-\d\dT/);
      expect(await here.status(NAME)).toEqual({
        ...before,
        behind: expect.anything() as unknown,
        shards: expect.anything() as unknown,
      });
      expect(await here.dump(airportDelays)).toBe(expectedDump(FLIGHTS));

      expect(json(await operate([...rewind, '--allow-gap']))).toMatchObject({ outcome: 'done' });
      const held = [...FLIGHTS.slice(0, CHECKPOINTED), ...FLIGHTS.slice(EXPIRED)];
      expect(await here.dump(airportDelays)).toBe(expectedDump(held));
      await here.send(FLIGHTS.slice(0, 50));
      await here.untilDrained();
      expect(await here.dump(airportDelays)).toBe(expectedDump([...held, ...FLIGHTS.slice(0, 50)]));
    },
    LIMIT_MS,
  );

  it(
    'leaves state out that the code does not know, where that is said',
    async () => {
      expect((await operate(['checkpoint', 'take', NAME, '--savepoint', 'before'])).isDone).toBe(true);
      await here.deploy(deployed(keptFlights, 'test/e2e/fixtures/kept-flights.ts'));
      const restore = ['rewind', NAME, '--to', 'before', '--yes'];
      const refused = await operate(restore);
      expect(json(refused)).toMatchObject({
        outcome: 'refused',
        reasons: [expect.stringContaining("state of operator 'delays', which the code does not have")],
      });
      expect(await here.status(NAME)).toMatchObject({ generation: 2, phase: 'live' });
      const done = await operate([...restore, '--drop-operator', 'delays']);
      expect(json(done)).toMatchObject({ outcome: 'done', generation: 3 });
      const more = FLIGHTS.slice(0, 40);
      await here.send(more);
      await here.untilDrained();
      const states = (await here.dump(keptFlights))
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { state: number | { count?: number } });
      const sum = states.reduce(
        (all, { state }) => all + (typeof state === 'number' ? state : (state.count ?? 0)),
        0,
      );
      expect(sum).toBe(more.length);
    },
    LIMIT_MS,
  );
});

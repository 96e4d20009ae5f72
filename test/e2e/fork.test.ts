import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import airportDelays from '../../functions/airport-delays/pipeline.ts';
import { keyStates, stateLine } from '../../infra/cli/state-lines.ts';
import { scanStates } from '../../infra/cli/state-scan.ts';
import { startEngines, type Engines } from '../../infra/local/engines/engines.ts';
import { startLocalCloud, type LocalCloud } from '../../infra/local/local-cloud.ts';
import { OrderedProducer } from '../../infra/local/producer/ordered-producer.ts';
import { routeOf } from '../../infra/local/producer/partition-key.ts';
import { synthesizePipelines } from '../../infra/synthesis.ts';
import type { StatefulPipelineProps } from '../../infra/constructs/stateful-pipeline-props.ts';
import type { Pipeline } from '../../shared/pipeline/definition.ts';
import { MemoryBlobStore } from '../../shared/state/memory-blob-store.ts';
import { systemClock } from '../../shared/time/clock.ts';
import { countedFlights } from './fixtures/counted-flights.ts';
import { stagingDelays } from './fixtures/staging-delays.ts';
import { expectedDump, flightLines, originsOf } from './flights.ts';
import { Death, json, operate } from './operate.ts';
import { temporaryFolder } from './temporary-folder.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
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

function deployed(pipeline: Pipeline, file: string, forkOf?: Pipeline): StatefulPipelineProps {
  return { pipeline, handlerFile: path.join(ROOT, file), ...(forkOf && { forkOf }) };
}

describe('a fork on the local cloud', () => {
  let engines: Engines;
  let cloud: LocalCloud;
  const sent: string[] = [];
  const temporaryBefore = process.env['TMPDIR'];
  let producer: OrderedProducer;

  async function send(lines: readonly string[]): Promise<void> {
    for (const line of lines) {
      const data = Buffer.from(line);
      await producer.send({ data, partitionKey: routeOf(airportDelays.definition, data).partitionKey });
      sent.push(line);
    }
    await producer.flush();
  }

  async function dump(pipeline: Pipeline): Promise<string> {
    const { name } = pipeline.definition;
    const found = cloud.pipelines.find((each) => each.name === name);
    const table = found?.resources.stateTableName ?? '';
    const states = await scanStates(engines.clients().dynamodb, table, new MemoryBlobStore());
    return keyStates(pipeline.definition, states)
      .map((state) => `${stateLine(state)}\n`)
      .join('');
  }

  async function status(pipeline: string): Promise<Record<string, unknown>> {
    return json(await operate(['status', pipeline]));
  }

  /** Sends flights, round and round, for as long as something is under way. */
  async function whileSending<Result>(work: Promise<Result>): Promise<Result> {
    let isOver = false;
    const over = work.finally(() => (isOver = true));
    over.catch(() => undefined);
    while (!isOver) {
      const from = sent.length % FLIGHTS.length;
      await send(FLIGHTS.slice(from, from + BURST));
    }
    return over;
  }

  beforeAll(async () => {
    // The operator's command finds clouds by it.
    process.env['TMPDIR'] = folder;
    mkdirSync(path.join(folder, 'kept'));
    engines = await startEngines({ dynamo: 'dynalite', onNotice: () => undefined });
    const assemblyDirectory = path.join(folder, 'assembly');
    const all = [
      deployed(airportDelays, 'functions/airport-delays/handler.ts'),
      deployed(stagingDelays, 'test/e2e/fixtures/staging-delays.ts', airportDelays),
      deployed(countedFlights, 'test/e2e/fixtures/counted-flights.ts', airportDelays),
    ];
    synthesizePipelines(all, {
      checkSchemas: false,
      outdir: assemblyDirectory,
      overrides: { shardCount: SHARDS },
    });
    cloud = await startLocalCloud({
      pipelines: all.map(({ pipeline }) => pipeline.definition.name),
      dynamo: 'dynalite',
      ground: { engines, assemblyDirectory, release: async () => undefined },
      clock: systemClock,
      onNotice: () => undefined,
      onLog: () => undefined,
      onFailure: () => undefined,
    });
    producer = new OrderedProducer({
      client: engines.clients().kinesis,
      streamName: cloud.pipelines[0]?.resources.streamName ?? '',
      wait: (ms) => wait(ms),
    });
    await send(FLIGHTS.slice(0, CHECKPOINTED));
    await cloud.untilDrained(producer.lastSent, [OLD]);
    expect((await operate(['checkpoint', 'take', OLD, '--savepoint', 'good'])).isDone).toBe(true);
    await send(FLIGHTS.slice(CHECKPOINTED, 2 * CHECKPOINTED));
    await cloud.untilDrained(producer.lastSent, [OLD]);
  }, LIMIT_MS);
  afterAll(async () => {
    await cloud.stop();
    await engines.stop();
    if (temporaryBefore === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = temporaryBefore;
  }, LIMIT_MS);

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
        expect(await status(pipeline)).toMatchObject({ generation: 1, phase: 'awaitsFork', records: 0 });
        expect((await operate(['checkpoint', 'list', pipeline])).out).toEqual([]);
      }
      expect(await dump(stagingDelays)).toBe('');
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
          expect(await status(NEW)).toMatchObject({ generation: 1, phase: 'awaitsFork', running: [] });

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
      await cloud.untilDrained(producer.lastSent, [OLD, NEW]);
      expect(sent.length).toBeGreaterThan(2 * CHECKPOINTED);
      expect(await dump(airportDelays)).toBe(expectedDump(sent));
      expect(await dump(stagingDelays)).toBe(expectedDump(sent));
      expect(await status(NEW)).toMatchObject({ phase: 'live', running: [], records: sent.length });

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
      await send(FLIGHTS.slice(0, BURST));
      await cloud.untilDrained(producer.lastSent, [OLD, NEW]);
      expect(await dump(stagingDelays)).toBe(expectedDump(sent));
    },
    LIMIT_MS,
  );

  it(
    'begins at the checkpoint with no state where that is not wanted',
    async () => {
      const done = await operate(['fork', OLD, '--to', OTHER, '--drop-operator', 'delays', '--yes']);
      expect(json(done)).toMatchObject({ outcome: 'done' });
      await cloud.untilDrained(producer.lastSent);
      // What is not wanted is carried along, unused.
      const states = (await dump(countedFlights))
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

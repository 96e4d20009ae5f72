import { spawn } from 'node:child_process';
import { once } from 'node:events';
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
import { MemoryBlobStore } from '../../shared/state/memory-blob-store.ts';
import { systemClock } from '../../shared/time/clock.ts';
import { expectedDump, flightLines, originsOf } from './flights.ts';
import { Death, json, operate } from '../support/operate.ts';
import { temporaryFolder } from './temporary-folder.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const NAME = 'airport-delays';
const FLIGHTS = flightLines(600);
const HALF = 300;
const SHARDS = 2;
const LIMIT_MS = 180_000;
const HANDLERS = {
  mended: 'functions/airport-delays/handler.ts',
  wrong: 'test/e2e/fixtures/wrong-delays.ts',
} as const;

const folder = temporaryFolder();

describe('a bad deployment on the local cloud', () => {
  let engines: Engines;
  let cloud: LocalCloud;
  const temporaryBefore = process.env['TMPDIR'];

  /** Deploys the code over whatever is there, as a second `npm start` over a kept folder does. */
  async function deploy(code: keyof typeof HANDLERS): Promise<void> {
    await (cloud as LocalCloud | undefined)?.stop();
    const assemblyDirectory = path.join(folder, code);
    synthesizePipelines([{ pipeline: airportDelays, handlerFile: path.join(ROOT, HANDLERS[code]) }], {
      checkSchemas: false,
      outdir: assemblyDirectory,
      overrides: { shardCount: SHARDS },
    });
    cloud = await startLocalCloud({
      pipelines: [NAME],
      dynamo: 'dynalite',
      persistDirectory: path.join(folder, 'kept'),
      ground: { engines, assemblyDirectory, release: async () => undefined },
      clock: systemClock,
      onNotice: () => undefined,
      onLog: () => undefined,
      onFailure: () => undefined,
    });
  }

  async function send(lines: readonly string[]): Promise<void> {
    const producer = new OrderedProducer({
      client: engines.clients().kinesis,
      streamName: cloud.pipelines[0]?.resources.streamName ?? '',
      wait: (ms) => wait(ms),
    });
    for (const line of lines) {
      const data = Buffer.from(line);
      await producer.send({ data, partitionKey: routeOf(airportDelays.definition, data).partitionKey });
    }
    await producer.flush();
    await cloud.untilDrained(producer.lastSent);
  }

  async function dump(): Promise<string> {
    const table = cloud.pipelines[0]?.resources.stateTableName ?? '';
    const states = await scanStates(engines.clients().dynamodb, table, new MemoryBlobStore());
    return keyStates(airportDelays.definition, states)
      .map((state) => `${stateLine(state)}\n`)
      .join('');
  }

  async function status(): Promise<Record<string, unknown>> {
    return json(await operate(['status', NAME, '--over', '0']));
  }

  function mappingStates(): string[] {
    return cloud.pipelines[0]?.mappingStatuses().map(({ state }) => state) ?? [];
  }

  beforeAll(async () => {
    // The operator's command finds clouds by it.
    process.env['TMPDIR'] = folder;
    mkdirSync(path.join(folder, 'kept'));
    engines = await startEngines({ dynamo: 'dynalite', onNotice: () => undefined });
    await deploy('mended');
    await send(FLIGHTS.slice(0, HALF));
    expect((await operate(['checkpoint', 'take', NAME, '--savepoint', 'good'])).isDone).toBe(true);
    await deploy('wrong');
    await send(FLIGHTS.slice(HALF));
    await deploy('mended');
  }, LIMIT_MS);
  afterAll(async () => {
    await cloud.stop();
    await engines.stop();
    if (temporaryBefore === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = temporaryBefore;
  }, LIMIT_MS);

  it(
    'is mended by a rewind, also where its driver dies at the restore and at the replay, or it was undone before',
    async () => {
      const wrong = await dump();
      expect(wrong).not.toBe(expectedDump(FLIGHTS));

      // Nothing is begun where nobody has said what becomes of the outputs, or nobody can be asked.
      const unchosen = await operate(['rewind', NAME, '--to', 'good', '--yes']);
      expect(String(unchosen.error)).toContain('Choose with --outputs');
      expect((await operate(['rewind', NAME, '--to', 'good', '--outputs', 'same'])).isDone).toBe(false);
      expect((await operate(['rewind', NAME, '--to', 'bad', '--outputs', 'same', '--yes'])).isDone).toBe(
        false,
      );
      expect((await operate(['rewind', NAME, '--resume'])).isDone).toBe(false);
      expect(await status()).toMatchObject({ generation: 1, phase: 'live', running: [] });

      // One that dies at the replay is undone.
      const rewind = ['rewind', NAME, '--to', 'good', '--outputs', 'again', '--yes'];
      expect((await operate(rewind, 'Processing')).error).toBeInstanceOf(Death);
      expect(await status()).toMatchObject({ generation: 2, phase: 'replay', rewind: { step: 'replay' } });
      expect(mappingStates()).toEqual(['Disabled']);
      expect((await operate(rewind)).people.join()).toContain('--resume');
      const undone = await operate(['rewind', NAME, '--undo', '--yes']);
      expect(json(undone)).toMatchObject({ outcome: 'undone', generation: 1 });
      expect(await dump()).toBe(wrong);
      expect(await status()).toMatchObject({ generation: 1, phase: 'live', running: [] });
      expect(mappingStates()).toEqual(['Enabled']);

      // Another dies at the restore and, gone on with, at the replay.
      expect((await operate(rewind, 'Restoring')).error).toBeInstanceOf(Death);
      expect(await status()).toMatchObject({ generation: 1, phase: 'replay', rewind: { step: 'restore' } });
      expect((await operate(['rewind', NAME, '--resume'], 'About 300 records')).error).toBeInstanceOf(Death);
      const done = await operate(['rewind', NAME, '--resume']);
      // A replay hands in the record at a shard's position too, which is skipped.
      expect(json(done)).toMatchObject({ outcome: 'done', records: FLIGHTS.length - HALF + SHARDS });
      expect(await dump()).toBe(expectedDump(FLIGHTS));
      expect(await status()).toMatchObject({ phase: 'live', running: [] });
      expect(mappingStates()).toEqual(['Enabled']);

      // It goes on with what comes now.
      const more = flightLines(700).slice(600);
      await send(more);
      expect(await dump()).toBe(expectedDump([...FLIGHTS, ...more]));
    },
    LIMIT_MS,
  );

  it(
    'is rewound by a command that is killed, and again by another',
    async () => {
      const all = flightLines(700);
      const killed = spawn(
        process.execPath,
        [
          '--import',
          'tsx',
          'infra/cli/tidemark.ts',
          'rewind',
          NAME,
          '--to',
          'good',
          '--outputs',
          'suppress',
        ].concat('--yes', '--local'),
        { cwd: ROOT, env: { ...process.env, TMPDIR: folder }, stdio: ['ignore', 'ignore', 'pipe'] },
      );
      killed.stderr.on('data', (text: Buffer) => {
        if (text.includes('Sealing')) killed.kill('SIGKILL');
      });
      await once(killed, 'close');
      expect(killed.signalCode).toBe('SIGKILL');
      expect(await status()).toMatchObject({ phase: 'replay' });
      const done = await operate(['rewind', NAME, '--resume']);
      expect(json(done)).toMatchObject({ outcome: 'done', items: originsOf(FLIGHTS.slice(0, HALF)) });
      expect(await dump()).toBe(expectedDump(all));
    },
    LIMIT_MS,
  );

  it(
    'loses what came since the checkpoint by a restore, which is what that says',
    async () => {
      const restored = await operate(['restore', NAME, '--to', 'good', '--yes']);
      expect(json(restored)).toMatchObject({ outcome: 'done', records: 0 });
      expect(await dump()).toBe(expectedDump(FLIGHTS.slice(0, HALF)));
    },
    LIMIT_MS,
  );
});

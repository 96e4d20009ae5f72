import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectedDump, flightLines, originsOf, text } from './flights.ts';
import { StartCommand } from './start-command.ts';
import { temporaryFolder } from './temporary-folder.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const folder = temporaryFolder();
const FLIGHTS = flightLines(300);
const LIMIT_MS = 180_000;

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The operator's command, in a process of its own, on the local cloud of this test. */
async function tidemark(...args: readonly string[]): Promise<Answer> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['--import', 'tsx', 'infra/cli/tidemark.ts', ...args, '--local', '--json'],
      { cwd: ROOT, env: { ...process.env, TMPDIR: folder }, timeout: LIMIT_MS },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
    );
  });
}

/** The same with a reader that is gone before anything is written. */
async function unread(...args: readonly string[]): Promise<Omit<Answer, 'stdout'>> {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', 'infra/cli/tidemark.ts', ...args, '--local', '--json'],
    {
      cwd: ROOT,
      env: { ...process.env, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, stderr };
}

function lines(stdout: string): string[] {
  return stdout.trimEnd().split('\n');
}

describe('the operator of a pipeline on the local cloud', () => {
  let cloud: StartCommand;

  beforeAll(async () => {
    const input = path.join(folder, 'flights.ndjson');
    writeFileSync(input, text(FLIGHTS));
    cloud = new StartCommand(['--input', input, '--shards', '2'], { environment: { TMPDIR: folder } });
    await cloud.untilSays('stays up');
  }, LIMIT_MS);
  afterAll(async () => {
    cloud.interrupt();
    await cloud.ended();
  }, LIMIT_MS);

  it(
    'takes a savepoint, and reads, verifies, compares and deletes it',
    async () => {
      const taken = await tidemark('checkpoint', 'take', 'airport-delays', '--savepoint', 'before');
      expect(taken.stderr).toBe('');
      const { id } = JSON.parse(taken.stdout) as { id: string };
      expect(JSON.parse(taken.stdout)).toMatchObject({
        status: 'taken',
        savepoint: 'before',
        items: originsOf(FLIGHTS),
      });

      const verified = await tidemark('checkpoint', 'verify', 'airport-delays', 'before');
      expect(JSON.parse(verified.stdout)).toMatchObject({ id, items: originsOf(FLIGHTS), problems: [] });

      const exported = await tidemark('state', 'export', 'airport-delays', '--at', 'before');
      const dump = lines(exported.stdout)
        .map((line) => JSON.parse(line) as { key: string; states: { delays: unknown } })
        .map(({ key, states }) => ({ key, state: states.delays }))
        .sort((a, b) => (a.key < b.key ? -1 : 1));
      expect(`${dump.map((each) => JSON.stringify(each)).join('\n')}\n`).toBe(expectedDump(FLIGHTS));

      // A reader that has had enough, as `head` has.
      const exportUnread = await unread('state', 'export', 'airport-delays');
      expect(exportUnread.code).toBe(0);
      expect(exportUnread.stderr).not.toContain('EPIPE');
      expect(await unread('status', 'airport-delays')).toEqual({ code: 0, stderr: '' });

      const [now, then] = await Promise.all([
        tidemark('state', 'get', 'airport-delays', 'ORD'),
        tidemark('state', 'get', 'airport-delays', 'ORD', '--at', id),
      ]);
      expect(now.stdout).toBe(then.stdout);
      expect((await tidemark('state', 'get', 'airport-delays', 'no such key')).code).toBe(1);

      const status = JSON.parse((await tidemark('status', 'airport-delays')).stdout) as object;
      expect(status).toMatchObject({
        generation: 1,
        phase: 'live',
        records: 300,
        behind: { records: 0, isAtLeast: false, oldestMs: 0 },
        throughput: { recordsPerSecond: 0 },
        lastCheckpoint: id,
        running: [],
      });
      const positions = lines((await tidemark('positions', 'airport-delays', '--at', 'latest')).stdout);
      expect(positions).toHaveLength(2);

      const again = await tidemark('checkpoint', 'take', 'airport-delays', '--savepoint', 'before');
      expect(again.code).toBe(1);
      const diff = await tidemark('checkpoint', 'diff', 'airport-delays', 'before', 'latest');
      expect(diff.stdout).toBe('');
      expect((await tidemark('checkpoint', 'delete', 'airport-delays', 'before')).code).toBe(2);
      expect((await tidemark('checkpoint', 'delete', 'airport-delays', 'before', '--yes')).code).toBe(0);
      expect((await tidemark('checkpoint', 'list', 'airport-delays')).stdout).toBe('');
    },
    LIMIT_MS,
  );
});

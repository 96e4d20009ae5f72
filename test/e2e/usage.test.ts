import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { start } from './start-command.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

describe('npm start, used wrongly', () => {
  it.each([
    {
      args: ['--pipeline', 'nope'],
      says: 'there are: airport-delays, airport-grades, airport-traffic, also-viewed, ',
    },
    { args: ['--shards', '0'], says: 'whole numbers from 1 to 100' },
    { args: ['--batch-size', '10001'], says: 'whole numbers from 1 to 10000' },
    { args: ['--parallelization-factor', 'two'], says: 'whole numbers from 1 to 10' },
    { args: ['--chaos', '-1'], says: '--chaos' },
    { args: ['--chaos', '1', '--persist', 'kept'], says: 'leave --persist out' },
    { args: ['--input', 'no-such-file.ndjson'], says: 'no-such-file.ndjson cannot be read' },
    { args: ['--input', 'test'], says: 'it is a folder' },
    { args: ['--unknown'], says: '--unknown' },
    { args: ['surplus'], says: 'too many arguments' },
  ])('exits with 2 and says what is allowed: $args', async ({ args, says }) => {
    const { exitCode, stdout, stderr } = await start(args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(says);
  });

  it('refuses an engine that it does not know', async () => {
    const { exitCode, stderr } = await start([], { environment: { TIDEMARK_DYNAMODB: 'mongo' } });
    expect(exitCode).toBe(2);
    expect(stderr).toContain('allowed are auto, java, dynalite');
  });

  it.each(['start.ts', 'chaos.ts', 'tidemark.ts'])(
    '%s lets a reader go who has had enough',
    async (command) => {
      const child = spawn(process.execPath, ['--import', 'tsx', `infra/cli/${command}`, '--help'], {
        cwd: ROOT,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      child.stdout.destroy();
      let stderr = '';
      child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
      const [code] = (await once(child, 'close')) as [number];
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    },
  );

  it('explains itself', async () => {
    const { exitCode, stdout } = await start(['--help']);
    expect(exitCode).toBe(0);
    for (const option of ['--pipeline', '--input', '--chaos', '--persist', '--until-drained', '--json'])
      expect(stdout).toContain(option);
  });
});

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Nothing listens at port 1, which only root may open. */
const NOBODY = 'http://127.0.0.1:1';

function run(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number; readonly said: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['--import', 'tsx', 'test/cloud/run.ts', ...args],
      { cwd: ROOT, env: { ...process.env, ...environment } },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code), said: stdout + stderr }),
    );
  });
}

describe('the suite for other clouds', () => {
  it('exits with 3 and says what is missing where no LocalStack answers', async () => {
    const { code, said } = await run(['localstack'], { LOCALSTACK_ENDPOINT: NOBODY });
    expect(code).toBe(3);
    expect(said).toContain(`LOCALSTACK_ENDPOINT is "${NOBODY}", and no LocalStack answers there`);
    expect(said).toContain('No test was run.');
  });

  it('deploys to no account unasked', async () => {
    const { code, said } = await run(['aws']);
    expect(code).toBe(2);
    expect(said).toContain('Say --yes');
  });

  it('refuses functions that it does not know', async () => {
    const { code, said } = await run(['localstack'], { LOCALSTACK_LAMBDA: 'docker' });
    expect(code).toBe(2);
    expect(said).toContain('LOCALSTACK_LAMBDA is "docker"; allowed is local, or nothing.');
  });
});

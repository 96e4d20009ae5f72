import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { NoLocalStackError, openLocalStack } from '../../infra/deploy/localstack.ts';

/** Exit codes; a run of tests gives `fine` or `failed`. */
const EXIT = { fine: 0, failed: 1, badUsage: 2, noCloud: 3 } as const;

const HELP = `npm run test:localstack   the suite on LocalStack: in Docker, or at LOCALSTACK_ENDPOINT
npm run test:aws -- --yes the suite on the AWS account of your credentials; it costs money, and removes what it made

LOCALSTACK_ENDPOINT       a LocalStack that runs already, such as http://127.0.0.1:4566
LOCALSTACK_LAMBDA=local   functions and mappings run in this process, on LocalStack's streams, tables and buckets
LOCALSTACK_IMAGE          another image than the pinned one
LOCALSTACK_AUTH_TOKEN     for images that ask for one

Exit codes: 0 all passed, 1 some failed, 2 bad usage, 3 there is no cloud to run on.
`;

/** @returns the exit code. */
async function main([which, ...options]: readonly string[]): Promise<number> {
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  if (which === 'localstack' && options.length === 0) return onLocalStack(say);
  if (which === 'aws' && options.join() === '--yes') return onAws(say);
  say(
    which === 'aws' && options.length === 0
      ? `This deploys stacks to an AWS account and runs them for some minutes, which costs money. Say --yes.\n\n${HELP}`
      : HELP,
  );
  return EXIT.badUsage;
}

async function onLocalStack(say: (text: string) => void): Promise<number> {
  const functions = process.env['LOCALSTACK_LAMBDA'];
  if (functions !== undefined && functions !== 'local' && functions !== '') {
    say(`LOCALSTACK_LAMBDA is ${JSON.stringify(functions)}; allowed is local, or nothing.`);
    return EXIT.badUsage;
  }
  let localStack: Awaited<ReturnType<typeof openLocalStack>>;
  try {
    localStack = await openLocalStack(process.env, say);
  } catch (error) {
    if (!(error instanceof NoLocalStackError)) throw error;
    say(`${error.message}\nNo test was run.`);
    return EXIT.noCloud;
  }
  try {
    return await vitest('localstack', { LOCALSTACK_ENDPOINT: localStack.endpoint });
  } finally {
    await localStack.stop();
  }
}

async function onAws(say: (text: string) => void): Promise<number> {
  const region = process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'];
  if (region === undefined) {
    say('AWS_REGION is not set: say in which region the suite may deploy. No test was run.');
    return EXIT.noCloud;
  }
  // Two runs in one account do not meet.
  const environment = `test${process.pid}`;
  say(
    `Deploying to ${region} as environment ${environment}; its stacks are named Tidemark-${environment}-…, to be deleted by hand where this is killed.`,
  );
  return vitest('aws', { TIDEMARK_AWS_ENVIRONMENT: environment, AWS_REGION: region });
}

async function vitest(suite: string, environment: Readonly<Record<string, string>>): Promise<number> {
  const manifest = createRequire(import.meta.url).resolve('vitest/package.json');
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const child = spawn(
    process.execPath,
    [
      path.join(path.dirname(manifest), 'vitest.mjs'),
      'run',
      '--config',
      'test/cloud/vitest.config.ts',
      '--reporter=verbose',
      `${suite}.suite`,
    ],
    { cwd: root, stdio: 'inherit', env: { ...process.env, ...environment } },
  );
  // Ctrl-C reaches the tests too; this waits for their end and stops what it has started.
  process.on('SIGINT', () => undefined);
  const [code] = (await once(child, 'close')) as [number | null];
  return code === 0 ? EXIT.fine : EXIT.failed;
}

process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
process.exitCode = await main(process.argv.slice(2));

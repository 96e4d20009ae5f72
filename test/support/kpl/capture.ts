import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
  SplitShardCommand,
  type Shard,
} from '@aws-sdk/client-kinesis';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { LOCAL_CREDENTIALS, LOCAL_REGION } from '../../../infra/local/engines/local-account.ts';
import { untilAnswering } from '../../../infra/local/engines/until-answering.ts';
import type { Capture, SentRecord } from './captures.ts';

/** Makes the captures of the Kinesis Producer Library anew; README.md beside this file says how to run it. */
const PLAIN_PORT = 24_568;
const TLS_PORT = 24_567;
const HALF = 2n ** 127n;

const [classPathFile = ''] = process.argv.slice(2);
const requireEngine = createRequire(import.meta.url);
const engineFile = requireEngine.resolve('kinesis-local');
const engine = spawn(process.execPath, [engineFile], {
  stdio: 'ignore',
  env: {
    ...process.env,
    KINESIS_MOCK_CERT_PATH: path.join(path.dirname(engineFile), 'server.json'),
    KINESIS_MOCK_PLAIN_PORT: String(PLAIN_PORT),
    KINESIS_MOCK_TLS_PORT: String(TLS_PORT),
    CREATE_STREAM_DURATION: '20ms',
    SPLIT_SHARD_DURATION: '20ms',
    LOG_LEVEL: 'ERROR',
  },
});
const endpoint = `http://127.0.0.1:${PLAIN_PORT}`;
await untilAnswering(`${endpoint}/healthcheck`);
const client = new KinesisClient({
  region: LOCAL_REGION,
  credentials: LOCAL_CREDENTIALS,
  endpoint,
  requestHandler: new NodeHttpHandler(),
});

try {
  await capture('steady', 4, variousRecords(), async () => undefined);
  // Sent one after the other over some seconds, so that the library packs some of them while it does not know yet that
  // the shard was split: it sees where its aggregates went, and sends again what is wrong there.
  await capture('resharded', 1, numberedRecords(240), async (stream) => {
    await client.send(
      new SplitShardCommand({
        StreamName: stream,
        ShardToSplit: 'shardId-000000000000',
        NewStartingHashKey: HALF.toString(),
      }),
    );
    await untilActive(stream);
  });
} finally {
  client.destroy();
  engine.kill('SIGKILL');
}

async function capture(
  name: string,
  shardCount: number,
  sent: readonly SentRecord[],
  between: (stream: string) => Promise<void>,
): Promise<void> {
  await client.send(new CreateStreamCommand({ StreamName: name, ShardCount: shardCount }));
  await untilActive(name);
  const producer = spawn(
    'java',
    [
      '-cp',
      readFileSync(classPathFile, 'utf8').trim(),
      path.join(import.meta.dirname, 'MakeAggregates.java'),
      name,
      String(TLS_PORT),
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const answers = createInterface({ input: producer.stdout });
  // A first record lets the library learn the shards.
  const first: SentRecord = { partitionKey: 'first', data: text('first') };
  await send(producer, answers, [first]);
  await between(name);
  await send(producer, answers, sent, name === 'resharded' ? 8 : 0);
  producer.stdin.end();
  await once(producer, 'exit');

  const shards = (await client.send(new ListShardsCommand({ StreamName: name }))).Shards ?? [];
  const result: Capture = {
    shards: shards.map(({ ShardId = '', HashKeyRange }) => ({
      shardId: ShardId,
      startingHashKey: HashKeyRange?.StartingHashKey ?? '',
      endingHashKey: HashKeyRange?.EndingHashKey ?? '',
    })),
    sent: [first, ...sent],
    records: (await Promise.all(shards.map(async (shard) => readAll(name, shard)))).flat(),
  };
  writeFileSync(path.join(import.meta.dirname, `${name}.json`), `${JSON.stringify(result)}\n`);
  console.log(`${name}: ${result.sent.length} records sent, ${result.records.length} Kinesis records`);
}

async function send(
  producer: ChildProcess,
  answers: Interface,
  records: readonly SentRecord[],
  pauseMs = 0,
): Promise<void> {
  for (const { partitionKey, explicitHashKey = '-', data } of records) {
    producer.stdin?.write(`${text(partitionKey)}\t${explicitHashKey}\t${data}\n`);
    await wait(pauseMs);
  }
  const answered = once(answers, 'line');
  producer.stdin?.write('\n');
  await answered;
}

async function readAll(stream: string, { ShardId: shardId = '' }: Shard): Promise<Capture['records']> {
  const { ShardIterator } = await client.send(
    new GetShardIteratorCommand({
      StreamName: stream,
      ShardId: shardId,
      ShardIteratorType: 'TRIM_HORIZON',
    }),
  );
  const { Records = [] } = await client.send(new GetRecordsCommand({ ShardIterator }));
  return Records.map(({ SequenceNumber = '', PartitionKey = '', Data = new Uint8Array() }) => ({
    shardId,
    sequenceNumber: SequenceNumber,
    partitionKey: PartitionKey,
    data: Buffer.from(Data).toString('base64'),
  }));
}

async function untilActive(stream: string): Promise<void> {
  for (;;) {
    const { StreamDescriptionSummary } = await client.send(
      new DescribeStreamSummaryCommand({ StreamName: stream }),
    );
    if (StreamDescriptionSummary?.StreamStatus === 'ACTIVE') return;
  }
}

/** Many keys, explicit hash keys at the ends of all shards, other alphabets, no data, all bytes, and much of it. */
function variousRecords(): SentRecord[] {
  const ends = [0n, HALF / 2n - 1n, HALF / 2n, HALF - 1n, HALF, 2n * HALF - 1n];
  return [
    ...numberedRecords(300),
    ...ends.map((end, number) => ({
      partitionKey: 'explicit',
      explicitHashKey: end.toString(),
      data: text(`end ${number}`),
    })),
    { partitionKey: 'clé ключ 键 🔑', data: text('données данные 数据 💾') },
    { partitionKey: 'k'.repeat(256), data: text('longest key') },
    { partitionKey: 'key 1', data: '' },
    {
      partitionKey: 'bytes',
      data: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString('base64'),
    },
    { partitionKey: 'large', data: Buffer.alloc(20_000, createHash('sha512').digest()).toString('base64') },
  ];
}

function numberedRecords(count: number): SentRecord[] {
  return Array.from({ length: count }, (_, number) => ({
    partitionKey: `key ${number % 40}`,
    data: text(JSON.stringify({ key: `key ${number % 40}`, number })),
  }));
}

function text(value: string): string {
  return Buffer.from(value).toString('base64');
}

import {
  BatchExecuteStatementCommand,
  CreateTableCommand,
  DescribeTableCommand,
  GetItemCommand,
  PutItemCommand,
} from '@aws-sdk/client-dynamodb';
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListShardsCommand,
  PutRecordsCommand,
} from '@aws-sdk/client-kinesis';
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutBucketLifecycleConfigurationCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { CreateQueueCommand, ReceiveMessageCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createEngineClients,
  destroyEngineClients,
  type EngineClients,
} from '../../../infra/local/engines/engine-clients.ts';
import { endpointVariables } from '../../../infra/local/engines/engine-endpoints.ts';
import { type Engines, startEngines } from '../../../infra/local/engines/engines.ts';
import { untilActive } from '../../../infra/local/provision/until-active.ts';
import { findJavaVersion, LOWEST_JAVA_VERSION } from '../../../infra/local/engines/java-runtime.ts';

const hasJava = ((await findJavaVersion()) ?? 0) >= LOWEST_JAVA_VERSION;
const notices: string[] = [];
let engines: Engines;
let clients: EngineClients;

beforeAll(async () => {
  engines = await startEngines({ dynamo: 'dynalite', onNotice: (text) => notices.push(text) });
  clients = engines.clients();
});
afterAll(() => engines.stop());

/** An IPv4 address of this machine that others can reach, where it has one. */
const outsideAddress = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

function canConnect(host: string, endpoint: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(new URL(endpoint).port) });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

describe('the engines', () => {
  it('say nothing where nothing is weaker than asked for', () => {
    expect(notices).toEqual([]);
  });

  it('give the same clients every time', () => {
    expect(engines.clients()).toBe(clients);
  });

  it('listen on 127.0.0.1', async () => {
    const answers = Object.values(engines.endpoints).map((endpoint: string) =>
      canConnect('127.0.0.1', endpoint),
    );

    expect(await Promise.all(answers)).toEqual([true, true, true, true]);
  });

  it.skipIf(outsideAddress === undefined)(
    'listen nowhere else (skipped on a machine without a network address)',
    async () => {
      const endpoints = Object.values(engines.endpoints) as string[];
      const answers = endpoints.map((endpoint) => canConnect(outsideAddress ?? '', endpoint));

      expect(await Promise.all(answers)).toEqual([false, false, false, false]);
    },
  );

  it('are found by an SDK in another process through variables', () => {
    expect(endpointVariables(engines.endpoints)).toEqual({
      AWS_ENDPOINT_URL_KINESIS: engines.endpoints.kinesis,
      AWS_ENDPOINT_URL_DYNAMODB: engines.endpoints.dynamodb,
      AWS_ENDPOINT_URL_S3: engines.endpoints.s3,
      AWS_ENDPOINT_URL_SQS: engines.endpoints.sqs,
      AWS_REGION: 'us-east-1',
      AWS_DEFAULT_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: expect.stringMatching(/^[a-z]+$/) as string,
      AWS_SECRET_ACCESS_KEY: expect.any(String) as string,
    });
  });
});

async function putAndRead(
  { kinesis }: EngineClients,
  StreamName: string,
  requests: number,
): Promise<string[]> {
  for (let request = 0; request < requests; request += 1) {
    const Records = Array.from({ length: 500 }, (_, index) => ({
      PartitionKey: 'key',
      Data: Buffer.from(String(request * 500 + index)),
    }));
    const answer = await kinesis.send(new PutRecordsCommand({ StreamName, Records }));
    expect(answer.FailedRecordCount).toBe(0);
  }
  return readAll(kinesis, StreamName);
}

async function readAll(kinesis: EngineClients['kinesis'], StreamName: string): Promise<string[]> {
  const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName }));
  const values: string[] = [];
  for (const { ShardId } of Shards) {
    const start = await kinesis.send(
      new GetShardIteratorCommand({ StreamName, ShardId, ShardIteratorType: 'TRIM_HORIZON' }),
    );
    let iterator = start.ShardIterator;
    for (let isBehind = true; isBehind && iterator !== undefined;) {
      const page = await kinesis.send(new GetRecordsCommand({ ShardIterator: iterator }));
      values.push(...(page.Records ?? []).map(({ Data }) => Buffer.from(Data ?? []).toString()));
      isBehind = (page.MillisBehindLatest ?? 0) > 0;
      iterator = page.NextShardIterator;
    }
  }
  return values;
}

async function createStream({ kinesis }: EngineClients, StreamName: string): Promise<void> {
  await kinesis.send(new CreateStreamCommand({ StreamName, ShardCount: 1 }));
  for (let status: string | undefined; status !== 'ACTIVE';) {
    const { StreamDescriptionSummary } = await kinesis.send(new DescribeStreamSummaryCommand({ StreamName }));
    status = StreamDescriptionSummary?.StreamStatus;
  }
}

describe('Kinesis', () => {
  it('gives back every record in order, over many PutRecords to one shard', async () => {
    await createStream(clients, 'in-order');

    const values = await putAndRead(clients, 'in-order', 10);

    expect(values).toEqual(Array.from({ length: 5_000 }, (_, index) => String(index)));
  });
});

describe('S3', () => {
  const Bucket = 'objects';
  beforeAll(() => clients.s3.send(new CreateBucketCommand({ Bucket })));
  const read = async (Key: string) =>
    (await clients.s3.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToString();

  it('writes with If-None-Match only where there is no object', async () => {
    await clients.s3.send(new PutObjectCommand({ Bucket, Key: 'once', Body: 'first', IfNoneMatch: '*' }));

    await expect(
      clients.s3.send(new PutObjectCommand({ Bucket, Key: 'once', Body: 'second', IfNoneMatch: '*' })),
    ).rejects.toMatchObject({ name: 'PreconditionFailed', $metadata: { httpStatusCode: 412 } });
    expect(await read('once')).toBe('first');
  });

  it('lets one of many writers with If-None-Match win', async () => {
    const writes = Array.from({ length: 20 }, (_, writer) =>
      clients.s3.send(new PutObjectCommand({ Bucket, Key: 'race', Body: String(writer), IfNoneMatch: '*' })),
    );

    const results = await Promise.allSettled(writes);

    const winners = results.flatMap(({ status }, writer) => (status === 'fulfilled' ? [writer] : []));
    expect(winners).toHaveLength(1);
    expect(await read('race')).toBe(String(winners[0]));
  });

  it('completes an upload in parts with If-None-Match only where there is no object', async () => {
    const upload = async (Body: string) => {
      const object = { Bucket, Key: 'parts' };
      const { UploadId } = await clients.s3.send(new CreateMultipartUploadCommand(object));
      const { ETag } = await clients.s3.send(
        new UploadPartCommand({ ...object, UploadId, PartNumber: 1, Body }),
      );
      return clients.s3.send(
        new CompleteMultipartUploadCommand({
          ...object,
          UploadId,
          MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] },
          IfNoneMatch: '*',
        }),
      );
    };
    await upload('first');

    await expect(upload('second')).rejects.toMatchObject({ name: 'PreconditionFailed' });
    expect(await read('parts')).toBe('first');
  });

  it('overwrites and deletes with If-Match only the object that is meant', async () => {
    const object = { Bucket, Key: 'matched' };
    const { ETag } = await clients.s3.send(new PutObjectCommand({ ...object, Body: 'a' }));
    await clients.s3.send(new PutObjectCommand({ ...object, Body: 'b', IfMatch: ETag }));

    await expect(
      clients.s3.send(new PutObjectCommand({ ...object, Body: 'c', IfMatch: ETag })),
    ).rejects.toMatchObject({ name: 'PreconditionFailed' });
    await expect(
      clients.s3.send(new DeleteObjectCommand({ ...object, IfMatch: ETag })),
    ).rejects.toMatchObject({ name: 'PreconditionFailed' });
    await expect(
      clients.s3.send(new PutObjectCommand({ Bucket, Key: 'absent', Body: 'c', IfMatch: ETag })),
    ).rejects.toMatchObject({ name: 'NoSuchKey' });
    expect(await read('matched')).toBe('b');
  });

  it('refuses tags instead of writing them over the object', async () => {
    await clients.s3.send(new PutObjectCommand({ Bucket, Key: 'tagged', Body: 'body' }));

    const Tagging = { TagSet: [{ Key: 'a', Value: 'b' }] };
    await expect(
      clients.s3.send(new PutObjectTaggingCommand({ Bucket, Key: 'tagged', Tagging })),
    ).rejects.toMatchObject({ name: 'NotImplemented', $metadata: { httpStatusCode: 501 } });
    expect(await read('tagged')).toBe('body');
  });

  it('refuses versioning and lifecycle rules', async () => {
    await expect(clients.s3.send(new GetBucketVersioningCommand({ Bucket }))).rejects.toMatchObject({
      name: 'NotImplemented',
    });
    const LifecycleConfiguration = {
      Rules: [{ Status: 'Enabled' as const, Filter: { Prefix: '' }, Expiration: { Days: 1 } }],
    };
    await expect(
      clients.s3.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration })),
    ).rejects.toMatchObject({ name: 'NotImplemented' });
  });

  it('lists page by page in the order of bytes', async () => {
    const keys = ['list/B', 'list/Z', 'list/a', 'list/b', 'list/é'];
    for (const Key of keys.toReversed())
      await clients.s3.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));

    const listed: (string | undefined)[] = [];
    for (let token: string | undefined, isFirst = true; isFirst || token !== undefined; isFirst = false) {
      const page = await clients.s3.send(
        new ListObjectsV2Command({ Bucket, Prefix: 'list/', MaxKeys: 2, ContinuationToken: token }),
      );
      listed.push(...(page.Contents ?? []).map(({ Key }) => Key));
      token = page.NextContinuationToken;
    }

    expect(listed).toEqual(keys);
  });
});

describe('SQS', () => {
  it('gives back what was sent, whatever the host of the queue URL', async () => {
    const { QueueUrl = '' } = await clients.sqs.send(new CreateQueueCommand({ QueueName: 'letters' }));
    await clients.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'hello' }));

    const { Messages = [] } = await clients.sqs.send(new ReceiveMessageCommand({ QueueUrl }));

    expect(QueueUrl).toBe(`${engines.endpoints.sqs}/000000000000/letters`);
    expect(Messages.map(({ Body }) => Body)).toEqual(['hello']);
  });
});

const KINDS = [
  { dynamo: 'dynalite', kind: 'dynalite', isMissing: false, reason: '' },
  { dynamo: 'java', kind: 'dynamodb-local', isMissing: !hasJava, reason: ' (skipped without Java 17)' },
] as const;

describe.each(KINDS)('with DynamoDB on $dynamo', ({ dynamo, kind, isMissing, reason }) => {
  it.skipIf(isMissing)(`streams, tables and objects survive a restart${reason}`, async () => {
    const persistDirectory = mkdtempSync(path.join(tmpdir(), 'tidemark-engines-'));
    const told: string[] = [];
    const start = () => startEngines({ dynamo, persistDirectory, onNotice: (text) => told.push(text) });
    try {
      const first = await start();
      const elsewhere = createEngineClients(first.endpoints);
      try {
        expect(first).toMatchObject({ dynamoKind: kind, supportsPartiql: dynamo === 'java' });
        const { dynamodb, s3 } = first.clients();
        await createStream(first.clients(), 'kept');
        await putAndRead(first.clients(), 'kept', 1);
        // A connection that another process keeps open must neither hold the stop up nor cost data.
        await elsewhere.kinesis.send(new DescribeStreamSummaryCommand({ StreamName: 'kept' }));
        await dynamodb.send(
          new CreateTableCommand({
            TableName: 'kept',
            BillingMode: 'PAY_PER_REQUEST',
            AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
            KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
          }),
        );
        await untilActive('kept', async () => {
          const { Table } = await dynamodb.send(new DescribeTableCommand({ TableName: 'kept' }));
          return Table?.TableStatus;
        });
        await dynamodb.send(
          new PutItemCommand({ TableName: 'kept', Item: { pk: { S: 'a' }, n: { N: '1' } } }),
        );
        await s3.send(new CreateBucketCommand({ Bucket: 'kept' }));
        await s3.send(
          new PutObjectCommand({ Bucket: 'kept', Key: 'a', Body: 'body', Metadata: { colour: 'red' } }),
        );
      } finally {
        await first.stop();
        destroyEngineClients(elsewhere);
      }

      const second = await start();
      try {
        const { kinesis, dynamodb, s3 } = second.clients();
        expect(await readAll(kinesis, 'kept')).toHaveLength(500);
        expect(
          (await dynamodb.send(new GetItemCommand({ TableName: 'kept', Key: { pk: { S: 'a' } } }))).Item,
        ).toEqual({ pk: { S: 'a' }, n: { N: '1' } });
        const object = await s3.send(new GetObjectCommand({ Bucket: 'kept', Key: 'a' }));
        expect(await object.Body?.transformToString()).toBe('body');
        expect(object.Metadata).toEqual({ colour: 'red' });
      } finally {
        await second.stop();
      }
      expect(told).toContainEqual(expect.stringContaining('messages in queues are not'));
    } finally {
      rmSync(persistDirectory, { recursive: true });
    }
  });
});

it.skipIf(!hasJava)('runs PartiQL on DynamoDB Local (skipped without Java 17)', async () => {
  const told: string[] = [];
  const java = await startEngines({ dynamo: 'auto', onNotice: (text) => told.push(text) });
  try {
    const { dynamodb } = java.clients();
    await dynamodb.send(
      new CreateTableCommand({
        TableName: 'state',
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
      }),
    );
    const insert = { Statement: `INSERT INTO "state" VALUE {'pk': ?}`, Parameters: [{ S: 'a' }] };
    await dynamodb.send(new BatchExecuteStatementCommand({ Statements: [insert] }));
    const { Responses } = await dynamodb.send(new BatchExecuteStatementCommand({ Statements: [insert] }));

    expect(Responses).toMatchObject([{ Error: { Code: 'DuplicateItem' } }]);
    expect(told).toEqual([expect.stringContaining('listens on every network interface')]);
  } finally {
    await java.stop();
  }
});

import { createServer } from 'node:net';
import type { Context } from 'aws-lambda';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { kinesis, pipeline } from '../../../shared/index.ts';
import { kinesisHandler } from '../../../shared/lambda/handler.ts';
import { kinesisSinkPort } from '../../../shared/lambda/kinesis-ports.ts';
import { REQUEST_LIMITS } from '../../../shared/lambda/request-limits.ts';
import { s3DeadLetterStore } from '../../../shared/lambda/s3-ports.ts';
import { startDynalite, type DynamoDbEngine } from '../../support/dynamodb-engine.ts';

const SECRET = 'secret-of-a-record';
const NOW_MS = 1_800_000_100_000;
const ENVIRONMENT = {
  TIDEMARK_STATE_TABLE: 'state',
  TIDEMARK_BUCKET: 'bucket',
  TIDEMARK_WRITES: 'single',
};
const clock = { nowMs: () => NOW_MS };
const context = { getRemainingTimeInMillis: () => 60_000, functionName: 'f' } as unknown as Context;

const subject = pipeline('orders')
  .from(kinesis<{ key: string }>('orders'))
  .keyBy(({ key }) => key)
  .updateStateByKey<number>('n', (_, n = 0) => n + 1);

function event(...values: unknown[]): { Records: object[] } {
  return {
    Records: values.map((value, number) => ({
      eventSource: 'aws:kinesis',
      eventID: `shardId-000000000000:${100 + number}`,
      eventSourceARN: 'arn:aws:kinesis:eu-west-1:123456789012:stream/orders',
      kinesis: {
        partitionKey: SECRET,
        sequenceNumber: String(100 + number),
        data: Buffer.from(JSON.stringify(value)).toString('base64'),
        approximateArrivalTimestamp: (NOW_MS - 5_000) / 1_000,
      },
    })),
  };
}

let engine: DynamoDbEngine;
let refusing = '';
let printed: string[] = [];

beforeAll(async () => {
  engine = await startDynalite();
  await engine.createTable('state');
  refusing = await new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(`http://127.0.0.1:${port}`));
    });
  });
});
afterAll(() => engine.stop());

beforeEach(() => {
  for (const [name, value] of Object.entries({
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_MAX_ATTEMPTS: '1',
    // Powertools then prints through the console that the test watches.
    POWERTOOLS_DEV: 'true',
    POWERTOOLS_METRICS_DISABLED: 'false',
  })) {
    vi.stubEnv(name, value);
  }
  printed = [];
  for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const) {
    vi.spyOn(console, method).mockImplementation(
      (...args: unknown[]) => void printed.push(args.map(String).join(' ')),
    );
  }
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

describe('the handler of a pipeline', () => {
  it('acknowledges a batch, and prints its figures as one metric line', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL_DYNAMODB', engine.endpoint);
    const handler = kinesisHandler(subject, { environment: ENVIRONMENT, clock });
    expect(await handler(event({ key: 'a' }, { key: 'b' }, { key: 'a' }), context)).toEqual({
      batchItemFailures: [],
    });
    const lines = printed.filter((line) => line.includes('"_aws"')).map((line) => JSON.parse(line) as object);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      service: 'orders',
      records: 3,
      applied: 3,
      duplicates: 0,
      deadLetters: 0,
      conflicts: 0,
      keys: 2,
      published: 0,
      unfinished: 0,
      oldestRecordAge: 5_000,
      batchDuration: 0,
    });
    expect((lines[0] as { wcu: number }).wcu).toBeGreaterThan(0);
    expect(printed.join()).not.toContain(SECRET);

    const again = await handler(event({ key: 'a' }, { key: 'b' }, { key: 'a' }), context);
    expect(again).toEqual({ batchItemFailures: [] });
    expect(JSON.parse(printed.filter((line) => line.includes('"_aws"'))[1] ?? '{}')).toMatchObject({
      applied: 0,
      duplicates: 3,
    });
  });

  it('names the first record that is not done', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL_DYNAMODB', engine.endpoint);
    vi.stubEnv('AWS_ENDPOINT_URL_S3', refusing);
    const handler = kinesisHandler(subject, { environment: ENVIRONMENT, clock });
    const { Records } = event({ key: 'c' }, { key: 5, secret: SECRET }, { key: 'c' });
    const moved = Records.map((record) => ({
      ...record,
      eventID: 'shardId-000000000001:0',
    }));
    expect(await handler({ Records: moved }, context)).toEqual({
      batchItemFailures: [{ itemIdentifier: '101' }],
    });
    expect(printed.join()).toContain('A dead letter could not be stored; its record comes again');
    expect(printed.join()).not.toContain(SECRET);
  });

  it('fails where the table refuses connections: nothing is acknowledged, and what is logged holds no record', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL_DYNAMODB', refusing);
    const handler = kinesisHandler(subject, { environment: ENVIRONMENT, clock });
    await expect(handler(event({ key: SECRET }), context)).rejects.toThrow(/ECONNREFUSED/);
    expect(printed.join()).toContain('The invocation failed; a batch comes again');
    expect(printed.join()).not.toContain(SECRET);
    expect(printed.join()).not.toContain(Buffer.from(JSON.stringify({ key: SECRET })).toString('base64'));
  });

  it('fails where its environment is incomplete, and works once it is mended', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL_DYNAMODB', engine.endpoint);
    const environment: Record<string, string> = {};
    const handler = kinesisHandler(subject, { environment, clock });
    await expect(handler(event({ key: 'd' }), context)).rejects.toThrow(
      /TIDEMARK_STATE_TABLE is missing; TIDEMARK_BUCKET is missing/,
    );
    Object.assign(environment, ENVIRONMENT);
    expect(await handler(event({ key: 'd' }), context)).toEqual({ batchItemFailures: [] });
  });

  it.each([
    ['SQS', { Records: [{ eventSource: 'aws:sqs', body: SECRET }] }],
    ['nobody', null],
    ['EventBridge', { source: 'aws.events', detail: SECRET }],
  ])('fails for an event of %s, without quoting it', async (_, wrong) => {
    vi.stubEnv('AWS_ENDPOINT_URL_DYNAMODB', refusing);
    const handler = kinesisHandler(subject, { environment: ENVIRONMENT, clock });
    await expect(handler(wrong, context)).rejects.toThrow('The event is not from Kinesis');
    expect(printed.join()).not.toContain(SECRET);
  });

  it('acknowledges nothing where it has no time at all', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL_DYNAMODB', engine.endpoint);
    const handler = kinesisHandler(subject, { environment: ENVIRONMENT, clock });
    const late = { ...context, getRemainingTimeInMillis: () => 1_000 };
    const { Records } = event({ key: 'e' });
    const other = Records.map((record) => ({ ...record, eventID: 'shardId-000000000002:0' }));
    expect(await handler({ Records: other }, late)).toEqual({
      batchItemFailures: [{ itemIdentifier: '100' }],
    });
  });
});

describe('a step of a rewind', () => {
  const CODE = { ...ENVIRONMENT, TIDEMARK_CODE: '4f09ab' };
  const ask = (event: object, environment: Record<string, string> = CODE): Promise<unknown> =>
    kinesisHandler(subject, { environment, clock })({ tidemark: 'rewind', ...event }, context);

  it('tells of the code that is deployed, and where its outputs go', async () => {
    expect(await ask({ step: 'about' })).toEqual({ pipeline: 'orders', code: '4f09ab', sinks: [] });
  });

  it.each([
    [
      { step: 'jump' },
      'The event asks for the step "jump" of a rewind; there are: about, judge, begin, control',
    ],
    [{}, 'The event asks for the step undefined of a rewind'],
    [{ step: 'seal' }, "the step 'seal' of a rewind with 'version' undefined; it is a number"],
    [{ step: 'begin', request: null }, "the step 'begin' of a rewind with 'request' null; it is an object"],
    [
      { step: 'replay', version: 1, shard: 7 },
      "the step 'replay' of a rewind with 'shard' 7; it is a string",
    ],
  ])('is refused as %j', async (event, message) => {
    await expect(ask(event)).rejects.toThrow(message);
  });

  it('needs to know the streams', async () => {
    await expect(ask({ step: 'control' })).rejects.toThrow('cannot rewind: TIDEMARK_STREAM_ARNS is missing');
  });
});

describe('a client of a pipeline', () => {
  it('gives a connection up that hangs, instead of waiting until the process is ended', async () => {
    const made: { config: { requestHandler: { configProvider: Promise<object> } } }[] = [];
    const trace = {
      client: <T extends object>(client: T): T => {
        made.push(client as unknown as (typeof made)[number]);
        return client;
      },
      batch: async <R>(work: () => Promise<R>): Promise<R> => work(),
    };
    kinesisSinkPort('stream', 'p', trace);
    s3DeadLetterStore('bucket', 'p', 'open', trace);
    expect(made).toHaveLength(2);
    for (const { config } of made) {
      const { requestHandler } = config;
      expect(await requestHandler.configProvider).toMatchObject(REQUEST_LIMITS);
    }
  });
});

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type {
  AnswerFault,
  ChaosPlan,
  RequestFault,
  RequestPoint,
} from '../../../infra/local/lambda/chaos-plan.ts';
import type { FunctionConfiguration } from '../../../infra/local/lambda/function-configuration.ts';
import { startLambda } from '../../../infra/local/lambda/local-lambda.ts';
import type { LocalLambda, LocalLambdaOptions } from '../../../infra/local/lambda/local-lambda.ts';
import { seededChaos } from '../../../infra/local/lambda/seeded-chaos.ts';
import { systemClock } from '../../../shared/time/clock.ts';
import { FunctionCode } from './function-code.ts';
import { ManualTimer } from './manual-timer.ts';
import { RecordingEngine } from './recording-engine.ts';

const code = new FunctionCode();
const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource.close();
  await code.remove();
});

/** Sends the requests of the event one after the other to DynamoDB's endpoint and gives what came back. */
const SENDER = `
  export const handler = async ({ requests }) => {
    const replies = [];
    for (const body of requests) {
      const reply = await fetch(process.env.AWS_ENDPOINT_URL_DYNAMODB, {
        method: 'POST', body,
        headers: { 'x-amz-target': 'DynamoDB_20120810.UpdateItem', 'x-pid': String(process.pid) },
      });
      replies.push(reply.status + ' ' + (await reply.text()));
    }
    return { pid: process.pid, replies };
  };`;

async function openEngine(): Promise<RecordingEngine> {
  const engine = await RecordingEngine.open();
  open.push(engine);
  return engine;
}

async function start(
  functions: readonly FunctionConfiguration[],
  plan: Partial<ChaosPlan>,
  options: Partial<LocalLambdaOptions> = {},
): Promise<LocalLambda> {
  const lambda = await startLambda({
    functions,
    clock: systemClock,
    maximumEnvironments: 2,
    onLog: () => {},
    chaos: { onRequest: () => undefined, onAnswer: () => undefined, maximumFaultsPerFunction: 100, ...plan },
    ...options,
  });
  open.push(lambda);
  return lambda;
}

function sender(engine: RecordingEngine, name = 'sender'): Promise<FunctionConfiguration> {
  return code.write(SENDER, { name, environment: { AWS_ENDPOINT_URL_DYNAMODB: engine.url } });
}

const atRequest =
  (request: number, fault: RequestFault, invocation = 1) =>
  (point: RequestPoint): RequestFault | undefined =>
    point.request === request && point.invocation === invocation ? fault : undefined;

describe('without a fault', () => {
  it('hands on requests and replies as they are', async () => {
    const engine = await openEngine();
    engine.answer = () => ({ status: 418, headers: { 'x-own': 'kept' }, body: 'tea' });
    const lambda = await start(
      [
        await code.write(
          `export const handler = async () => {
            const url = process.env.AWS_ENDPOINT_URL_S3 + '/bucket/a%20key?list-type=2';
            const reply = await fetch(url, { method: 'PUT', body: 'content', headers: { 'x-sent': 'too' } });
            const head = await fetch(url, { method: 'HEAD' });
            return [reply.status, reply.headers.get('x-own'), await reply.text(), head.headers.get('x-own')];
          };`,
          { environment: { AWS_ENDPOINT_URL_S3: engine.url } },
        ),
      ],
      {},
    );
    expect(await lambda.invoke('counter', {})).toMatchObject({ payload: [418, 'kept', 'tea', 'kept'] });
    expect(engine.requests[0]).toMatchObject({
      method: 'PUT',
      path: '/bucket/a%20key?list-type=2',
      body: 'content',
      headers: { 'x-sent': 'too' },
    });
  });

  it('names each point by function, invocation, request, service and operation', async () => {
    const engine = await openEngine();
    const points: RequestPoint[] = [];
    const lambda = await start([await sender(engine)], {
      onRequest: (point) => void points.push(point),
    });
    await lambda.invoke('sender', { requests: ['a', 'b'] });
    await lambda.invoke('sender', { requests: ['c'] });
    const point = { functionName: 'sender', service: 'dynamodb', operation: 'UpdateItem' };
    expect(points).toEqual([
      { ...point, invocation: 1, request: 1, ofService: 1 },
      { ...point, invocation: 1, request: 2, ofService: 2 },
      { ...point, invocation: 2, request: 1, ofService: 3 },
    ]);
  });
});

describe('a fault at a request', () => {
  it('kills the environment before the request takes effect', async () => {
    const engine = await openEngine();
    const lambda = await start([await sender(engine)], {
      onRequest: atRequest(2, { kind: 'killBeforeForward' }),
    });
    expect(await lambda.invoke('sender', { requests: ['a', 'b', 'c'] })).toMatchObject({
      errorType: 'Runtime.ExitError',
      errorMessage: expect.stringContaining('signal: killed') as string,
    });
    expect(engine.bodies).toEqual(['a']);
    expect(lambda.figures()).toMatchObject({ kills: 1, environments: 0, faults: { killBeforeForward: 1 } });
  });

  it('kills the environment when the request has taken effect and before the reply', async () => {
    const engine = await openEngine();
    const lambda = await start([await sender(engine)], {
      onRequest: atRequest(2, { kind: 'killBeforeReply' }),
    });
    expect(await lambda.invoke('sender', { requests: ['a', 'b', 'c'] })).toMatchObject({
      errorType: 'Runtime.ExitError',
    });
    expect(engine.bodies).toEqual(['a', 'b']);
  });

  it('kills the environment between two requests', async () => {
    const engine = await openEngine();
    const lambda = await start([await sender(engine)], {
      onRequest: atRequest(1, { kind: 'killAfterReply' }),
    });
    expect(await lambda.invoke('sender', { requests: ['a', 'b'] })).toMatchObject({
      errorType: 'Runtime.ExitError',
    });
    expect(engine.bodies).toEqual(['a']);
  });

  it('answers an error 500 although the request took effect', async () => {
    const engine = await openEngine();
    const lambda = await start([await sender(engine)], {
      onRequest: atRequest(1, { kind: 'failAfterEffect' }),
    });
    const outcome = await lambda.invoke('sender', { requests: ['a', 'b'] });
    expect(outcome).toMatchObject({
      payload: { replies: [expect.stringMatching(/^500 .*InternalServerError/) as string, '200 {}'] },
    });
    expect(engine.bodies).toEqual(['a', 'b']);
  });

  it('throttles the request without effect', async () => {
    const engine = await openEngine();
    const lambda = await start([await sender(engine)], { onRequest: atRequest(1, { kind: 'throttle' }) });
    expect(await lambda.invoke('sender', { requests: ['a', 'b'] })).toMatchObject({
      payload: {
        replies: [expect.stringMatching(/^400 .*ProvisionedThroughputExceededException/) as string, '200 {}'],
      },
    });
    expect(engine.bodies).toEqual(['b']);
  });

  it('keeps the reply back until the delay is over', async () => {
    const engine = await openEngine();
    const timer = new ManualTimer();
    const lambda = await start(
      [await sender(engine)],
      { onRequest: atRequest(1, { kind: 'delayReply', delayMs: 40 }) },
      { timer },
    );
    const outcome = lambda.invoke('sender', { requests: ['a', 'b'] });
    await timer.ordered(40);
    expect(engine.bodies).toEqual(['a']);
    timer.fire(40);
    expect(await outcome).toMatchObject({ payload: { replies: ['200 {}', '200 {}'] } });
  });

  it('tells the caller a failure while a zombie sleeps through later invocations and then goes on', async () => {
    const engine = await openEngine();
    const lambda = await start(
      [await sender(engine)],
      { onRequest: atRequest(2, { kind: 'becomeZombie', resumeAfterInvocations: 2 }) },
      { maximumEnvironments: 1 },
    );
    expect(await lambda.invoke('sender', { requests: ['a', 'zombie', 'late'] })).toMatchObject({
      kind: 'functionError',
      errorType: 'Chaos.AnswerLost',
    });
    expect(lambda.figures()).toMatchObject({ zombies: 1, kills: 0 });
    await lambda.invoke('sender', { requests: ['b'] });
    expect(engine.bodies).toEqual(['a', 'b']);
    const late = new Promise<void>((resolve) => {
      engine.answer = ({ body }) => {
        if (body === 'late') resolve();
        return { status: 200, body: '{}' };
      };
    });
    await lambda.invoke('sender', { requests: ['c'] });
    await late;
    expect(engine.bodies).toEqual(['a', 'b', 'c', 'zombie', 'late']);
  });

  it('lets a zombie be killed by its timeout', async () => {
    const engine = await openEngine();
    const timer = new ManualTimer();
    const lambda = await start(
      [await sender(engine)],
      { onRequest: atRequest(1, { kind: 'becomeZombie', resumeAfterInvocations: 1 }) },
      { timer, maximumEnvironments: 1 },
    );
    await lambda.invoke('sender', { requests: ['zombie'] });
    timer.fire(10_000);
    expect(await lambda.invoke('sender', { requests: ['b'] })).toMatchObject({ kind: 'response' });
    expect(await lambda.invoke('sender', { requests: ['c'] })).toMatchObject({ kind: 'response' });
    expect(engine.bodies).toEqual(['b', 'c']);
    expect(lambda.figures()).toMatchObject({ zombies: 0, environments: 1 });
  });

  it('uses the environment of a zombie again when it has come to its end', async () => {
    const engine = await openEngine();
    const lambda = await start([await sender(engine)], {
      onRequest: atRequest(1, { kind: 'becomeZombie', resumeAfterInvocations: 0 }),
    });
    await lambda.invoke('sender', { requests: ['zombie'] });
    await vi.waitFor(() => expect(lambda.figures().zombies).toBe(0), { interval: 1 });
    await lambda.invoke('sender', { requests: ['b'] });
    expect(engine.bodies).toEqual(['zombie', 'b']);
    expect(lambda.figures()).toMatchObject({ coldStarts: 1, environments: 1 });
  });
});

describe('a connection', () => {
  it('breaks although the request took effect', async () => {
    const engine = await openEngine();
    const lambda = await start([await sender(engine)], { onRequest: atRequest(1, { kind: 'cutReply' }) });
    expect(await lambda.invoke('sender', { requests: ['a', 'b'] })).toMatchObject({
      kind: 'functionError',
      errorMessage: 'fetch failed',
    });
    expect(engine.bodies).toEqual(['a']);
    expect(lambda.figures().faults.cutReply).toBe(1);
  });

  it('hangs although the request took effect, until the client gives up', async () => {
    const engine = await openEngine();
    const lambda = await start(
      [
        await code.write(
          `const send = (body, signal) => fetch(process.env.AWS_ENDPOINT_URL, {
            method: 'POST', body, signal, headers: { 'x-amz-target': 'DynamoDB_20120810.' + body },
          });
          export const handler = async () => {
            const giveUp = new AbortController();
            const hanging = send('Hangs', giveUp.signal).catch((error) => error.name);
            const replied = (await send('Replies')).status;
            giveUp.abort();
            return [replied, await hanging];
          };`,
          { environment: { AWS_ENDPOINT_URL: engine.url } },
        ),
      ],
      { onRequest: ({ operation }) => (operation === 'Hangs' ? { kind: 'hangReply' } : undefined) },
    );
    expect(await lambda.invoke('counter', {})).toMatchObject({ payload: [200, 'AbortError'] });
    expect(engine.bodies.toSorted()).toEqual(['Hangs', 'Replies']);
  });
});

describe('a process that stands still', () => {
  /** How `ps` shows the state of the process that sent the first request: `T` for one that was stopped. */
  /** The engine may have the request before the process that sent it is stopped. */
  async function untilSenderIsStopped(engine: RecordingEngine): Promise<void> {
    await vi.waitFor(
      () => {
        const pid = engine.requests[0]?.headers['x-pid'] ?? expect.fail('nothing was sent');
        const state = execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' });
        expect(state.slice(0, 1)).toBe('T');
      },
      { interval: 1, timeout: 10_000 },
    );
  }

  it('goes on after a while, with the reply to what it asked before', async () => {
    const engine = await openEngine();
    const timer = new ManualTimer();
    const lambda = await start(
      [await sender(engine)],
      { onRequest: atRequest(1, { kind: 'freeze', freezeMs: 40 }) },
      { timer },
    );
    const outcome = lambda.invoke('sender', { requests: ['a', 'b'] });
    await timer.ordered(40);
    await untilSenderIsStopped(engine);
    timer.fire(40);
    expect(await outcome).toMatchObject({ payload: { replies: ['200 {}', '200 {}'] } });
    expect(engine.bodies).toEqual(['a', 'b']);
  });

  it('is ended by its timeout', async () => {
    const engine = await openEngine();
    const timer = new ManualTimer();
    const lambda = await start(
      [await sender(engine)],
      { onRequest: atRequest(1, { kind: 'timeOut' }) },
      { timer },
    );
    const outcome = lambda.invoke('sender', { requests: ['a', 'b'] });
    await untilSenderIsStopped(engine);
    timer.fire(10_000);
    expect(await outcome).toMatchObject({ errorType: 'Sandbox.Timedout' });
    expect(engine.bodies).toEqual(['a']);
    expect(lambda.figures()).toMatchObject({ timeouts: 1, environments: 0, faults: { timeOut: 1 } });
  });

  it('wakes up after its timeout, when another has done its work, and goes on as a zombie', async () => {
    const engine = await openEngine();
    const timer = new ManualTimer();
    const lambda = await start(
      [await sender(engine)],
      { onRequest: atRequest(1, { kind: 'freezeBeyondTimeout', resumeAfterInvocations: 1 }) },
      { timer, maximumEnvironments: 1 },
    );
    const outcome = lambda.invoke('sender', { requests: ['a', 'late'] });
    await untilSenderIsStopped(engine);
    timer.fire(10_000);
    expect(await outcome).toMatchObject({ errorType: 'Sandbox.Timedout' });
    expect(lambda.figures()).toMatchObject({ timeouts: 1, zombies: 1 });
    await lambda.invoke('sender', { requests: ['b'] });
    await vi.waitFor(() => expect(engine.bodies).toEqual(['a', 'b', 'late']), { interval: 1 });
    // Lambda gives no further invocation to an environment that has timed out.
    await vi.waitFor(() => expect(lambda.figures()).toMatchObject({ zombies: 0, environments: 1 }), {
      interval: 1,
    });
  });

  it('does not live longer than twice its timeout', async () => {
    const engine = await openEngine();
    const timer = new ManualTimer();
    const lambda = await start(
      [await sender(engine)],
      { onRequest: atRequest(1, { kind: 'freezeBeyondTimeout', resumeAfterInvocations: 0 }) },
      { timer },
    );
    const outcome = lambda.invoke('sender', { requests: ['a'] });
    await untilSenderIsStopped(engine);
    engine.answer = () => expect.fail('no further request is expected');
    timer.fire(10_000);
    await outcome;
    await timer.ordered(10_000);
    timer.fire(10_000);
    await vi.waitFor(() => expect(lambda.figures().environments).toBe(0), { interval: 1 });
    expect(lambda.figures()).toMatchObject({ timeouts: 1, functionErrors: 1 });
  });
});

describe('a fault at the answer', () => {
  const atAnswer = (fault: AnswerFault) => ({
    onAnswer: ({ invocation }: { invocation: number }) => (invocation === 1 ? fault : undefined),
  });

  it('kills the environment when all is done and nothing is acknowledged', async () => {
    const engine = await openEngine();
    const lambda = await start([await sender(engine)], atAnswer({ kind: 'killBeforeAnswer' }));
    expect(await lambda.invoke('sender', { requests: ['a'] })).toMatchObject({
      errorType: 'Runtime.ExitError',
    });
    expect(engine.bodies).toEqual(['a']);
    expect(lambda.figures()).toMatchObject({ kills: 1, environments: 0 });
  });

  it('loses the answer and keeps the environment', async () => {
    const engine = await openEngine();
    const lambda = await start([await sender(engine)], atAnswer({ kind: 'loseAnswer' }));
    expect(await lambda.invoke('sender', { requests: ['a'] })).toMatchObject({
      errorType: 'Chaos.AnswerLost',
    });
    expect(await lambda.invoke('sender', { requests: ['b'] })).toMatchObject({ kind: 'response' });
    expect(lambda.figures()).toMatchObject({ coldStarts: 1, kills: 0, faults: { loseAnswer: 1 } });
  });
});

describe('a part that is throttled', () => {
  const forward = (operation: string): string => `
    export const handler = async ({ request }) => {
      const reply = await fetch(process.env.AWS_ENDPOINT_URL, {
        method: 'POST', body: JSON.stringify(request), headers: { 'x-amz-target': '${operation}' },
      });
      return { status: reply.status, ...(await reply.json()) };
    };`;

  const everySecond: RequestFault = { kind: 'throttlePart', every: 2, offset: 0 };

  async function send(
    operation: string,
    request: object,
    fault: RequestFault = everySecond,
  ): Promise<[unknown, RecordingEngine]> {
    const engine = await openEngine();
    engine.answer = ({ body }) => {
      const asked = JSON.parse(body) as { Statements?: unknown[]; Records?: unknown[] };
      const listed = (asked.Statements ?? asked.Records ?? []).map((element) => ({ done: element }));
      return {
        status: 200,
        headers: { 'x-amz-crc32': '1' },
        body: JSON.stringify(
          operation.endsWith('PutRecords')
            ? { FailedRecordCount: 0, Records: listed }
            : operation.endsWith('BatchExecuteStatement')
              ? { Responses: listed }
              : { Responses: {}, UnprocessedKeys: {} },
        ),
      };
    };
    const lambda = await start(
      [await code.write(forward(operation), { environment: { AWS_ENDPOINT_URL: engine.url } })],
      { onRequest: () => fault },
    );
    const outcome = await lambda.invoke('counter', { request });
    return [outcome.kind === 'response' ? outcome.payload : outcome, engine];
  }

  it('is named in the reply to BatchExecuteStatement, in its place', async () => {
    const [reply, engine] = await send('DynamoDB_20120810.BatchExecuteStatement', {
      Statements: ['a', 'b', 'c'],
    });
    const throttled = (Code: string) => ({ Error: { Code, Message: expect.any(String) as string } });
    expect(reply).toEqual({
      status: 200,
      Responses: [throttled('ThrottlingError'), { done: 'b' }, throttled('RequestLimitExceeded')],
    });
    expect(engine.bodies).toEqual(['{"Statements":["b"]}']);
  });

  it('is named in the reply to PutRecords, and counted', async () => {
    const [reply] = await send('Kinesis_20131202.PutRecords', { StreamName: 's', Records: ['a', 'b'] });
    expect(reply).toMatchObject({
      FailedRecordCount: 1,
      Records: [{ ErrorCode: 'ProvisionedThroughputExceededException' }, { done: 'b' }],
    });
  });

  it('comes back among the unprocessed keys of BatchGetItem', async () => {
    const [reply, engine] = await send('DynamoDB_20120810.BatchGetItem', {
      RequestItems: { t: { ConsistentRead: true, Keys: ['a', 'b'] }, u: { Keys: ['c'] } },
    });
    expect(reply).toMatchObject({
      UnprocessedKeys: { t: { ConsistentRead: true, Keys: ['a'] }, u: { Keys: ['c'] } },
    });
    expect(engine.bodies).toEqual(['{"RequestItems":{"t":{"ConsistentRead":true,"Keys":["b"]}}}']);
  });

  it('leaves nothing to ask for where every part is throttled', async () => {
    const [reply, engine] = await send(
      'Kinesis_20131202.PutRecords',
      { Records: ['a', 'b'] },
      { kind: 'sinkRejects' },
    );
    expect(reply).toMatchObject({
      FailedRecordCount: 2,
      Records: [
        { ErrorCode: 'ProvisionedThroughputExceededException' },
        { ErrorCode: 'InternalFailure', ErrorMessage: expect.stringContaining('no effect') as string },
      ],
    });
    expect(engine.bodies).toEqual([]);
  });

  it('is reported as failed although the statement took effect', async () => {
    const request = { Statements: ['a', 'b', 'c'] };
    const [reply, engine] = await send('DynamoDB_20120810.BatchExecuteStatement', request, {
      kind: 'failPartAfterEffect',
      every: 2,
      offset: 1,
    });
    const failed = { Error: { Code: 'InternalServerError', Message: expect.any(String) as string } };
    expect(reply).toEqual({ status: 200, Responses: [{ done: 'a' }, failed, { done: 'c' }] });
    expect(engine.bodies).toEqual([JSON.stringify(request)]);
  });

  it('is reported as failed although the record is in the stream', async () => {
    const request = { StreamName: 's', Records: ['a', 'b', 'c'] };
    const [reply, engine] = await send('Kinesis_20131202.PutRecords', request, {
      kind: 'failPartAfterEffect',
      every: 3,
      offset: 0,
    });
    expect(reply).toMatchObject({
      FailedRecordCount: 1,
      Records: [{ ErrorCode: 'InternalFailure' }, { done: 'b' }, { done: 'c' }],
    });
    expect(engine.bodies).toEqual([JSON.stringify(request)]);
  });

  it('fails with the whole request where its operation has no parts', async () => {
    const [reply, engine] = await send(
      'DynamoDB_20120810.UpdateItem',
      {},
      {
        kind: 'failPartAfterEffect',
        every: 1,
        offset: 0,
      },
    );
    expect(reply).toMatchObject({ status: 500 });
    expect(engine.bodies).toEqual(['{}']);
  });

  it('is the whole request where the operation has no parts', async () => {
    const [reply, engine] = await send('DynamoDB_20120810.UpdateItem', {});
    expect(reply).toMatchObject({ status: 400 });
    expect(engine.bodies).toEqual([]);
  });
});

describe('an AWS SDK client', () => {
  const project = fileURLToPath(new URL('../../../package.json', import.meta.url));
  const clients = `
    import { createRequire } from 'node:module';
    const require = createRequire(${JSON.stringify(project)});
    const { DynamoDBClient, GetItemCommand } = require('@aws-sdk/client-dynamodb');
    const { KinesisClient, PutRecordCommand } = require('@aws-sdk/client-kinesis');
    const { S3Client, GetObjectCommand } = require('@aws-sdk/client-s3');
    const { SQSClient, SendMessageCommand } = require('@aws-sdk/client-sqs');
    const { NodeHttpHandler } = require('@smithy/node-http-handler');
    const settings = { maxAttempts: 1, requestHandler: new NodeHttpHandler() };
    const calls = {
      dynamodb: () => new DynamoDBClient(settings).send(new GetItemCommand({ TableName: 't', Key: { pk: { S: 'k' } } })),
      kinesis: () => new KinesisClient(settings).send(new PutRecordCommand({ StreamName: 's', PartitionKey: 'k', Data: Buffer.from('d') })),
      s3: () => new S3Client(settings).send(new GetObjectCommand({ Bucket: 'bucket', Key: 'k' })),
      sqs: () => new SQSClient({ ...settings, useQueueUrlAsEndpoint: false }).send(new SendMessageCommand({ QueueUrl: 'http://localhost/1/q', MessageBody: 'm' })),
    };
    export const handler = async ({ service }) => {
      try { await calls[service](); return 'success'; }
      catch (error) { return { name: error.name, status: error.$metadata?.httpStatusCode }; }
    };`;

  async function errorOf(service: string, fault: RequestFault): Promise<unknown> {
    const engine = await openEngine();
    const points: RequestPoint[] = [];
    const lambda = await start(
      [
        await code.write(clients, {
          environment: {
            AWS_ACCESS_KEY_ID: 'local',
            AWS_SECRET_ACCESS_KEY: 'local',
            AWS_ENDPOINT_URL: engine.url,
          },
        }),
      ],
      {
        onRequest: (point) => {
          points.push(point);
          return fault;
        },
      },
    );
    const outcome = await lambda.invoke('counter', { service });
    expect(points.map((point) => point.service)).toEqual([service]);
    return outcome.kind === 'response' ? outcome.payload : outcome;
  }

  it.each([
    ['dynamodb', 'ProvisionedThroughputExceededException', 400],
    ['kinesis', 'ProvisionedThroughputExceededException', 400],
    ['s3', 'SlowDown', 503],
    ['sqs', 'RequestThrottled', 400],
  ])('of %s reads a throttle as %s', async (service, name, status) => {
    expect(await errorOf(service, { kind: 'throttle' })).toEqual({ name, status });
  });

  it.each([
    ['dynamodb', 'InternalServerError'],
    ['kinesis', 'InternalFailure'],
    ['s3', 'InternalError'],
    ['sqs', 'InternalFailure'],
  ])('of %s reads a failure after the effect as %s', async (service, name) => {
    expect(await errorOf(service, { kind: 'failAfterEffect' })).toEqual({ name, status: 500 });
  });
});

describe('a plan', () => {
  it('strikes no more often in one function than its budget allows', async () => {
    const engine = await openEngine();
    const lambda = await start([await sender(engine, 'one'), await sender(engine, 'two')], {
      onRequest: () => ({ kind: 'throttle' }),
      maximumFaultsPerFunction: 2,
    });
    await lambda.invoke('one', { requests: ['a', 'b', 'c', 'd'] });
    expect(engine.bodies).toEqual(['c', 'd']);
    await lambda.invoke('two', { requests: ['e', 'f', 'g'] });
    expect(engine.bodies).toEqual(['c', 'd', 'g']);
    expect(lambda.figures().faults.throttle).toBe(4);
  });

  it('from a seed decides the same each time, whatever was asked before', () => {
    const options = {
      seed: 7,
      probabilities: {
        killBeforeForward: 0.2,
        throttlePart: 0.2,
        delayReply: 0.2,
        becomeZombie: 0.2,
        loseAnswer: 0.5,
      },
      maximumFaultsPerFunction: 10,
      maximumDelayMs: 100,
      maximumFreezeMs: 100,
      maximumZombieInvocations: 3,
    };
    const points = Array.from({ length: 200 }, (_, index): RequestPoint => ({
      functionName: 'f',
      invocation: 1 + (index % 20),
      request: 1 + Math.floor(index / 20),
      ofService: 1 + index,
      service: 'dynamodb',
      operation: 'UpdateItem',
    }));
    const decide = (plan: ChaosPlan, order: RequestPoint[]): Map<RequestPoint, unknown> =>
      new Map(order.map((point) => [point, [plan.onRequest(point), plan.onAnswer(point)]]));
    const decisions = decide(seededChaos(options), points);
    const again = decide(seededChaos(options), [...points].reverse());
    for (const point of points) expect(again.get(point)).toEqual(decisions.get(point));
    const kinds = points.map((point) => seededChaos(options).onRequest(point)?.kind);
    expect(new Set(kinds)).toEqual(
      new Set([undefined, 'killBeforeForward', 'throttlePart', 'delayReply', 'becomeZombie']),
    );
    const others = points.map((point) => seededChaos({ ...options, seed: 8 }).onRequest(point)?.kind);
    expect(others).not.toEqual(kinds);
  });

  it('from a seed has spells in which every request to a sink is struck', () => {
    const plan = seededChaos({
      seed: 3,
      probabilities: {},
      sinkSpells: { requests: 5, rejects: 0.2, isSlow: 0.2 },
      maximumFaultsPerFunction: 1_000,
      maximumDelayMs: 10,
      maximumFreezeMs: 0,
      maximumZombieInvocations: 0,
    });
    const at = (ofService: number, operation = 'PutRecords') =>
      plan.onRequest({
        functionName: 'f',
        invocation: 1,
        request: ofService,
        ofService,
        service: 'kinesis',
        operation,
      })?.kind;
    const spells = Array.from({ length: 40 }, (_, spell) =>
      Array.from({ length: 5 }, (_, request) => at(spell * 5 + request + 1)),
    );
    for (const spell of spells) expect(new Set(spell).size).toBe(1);
    expect(new Set(spells.flat())).toEqual(new Set([undefined, 'sinkRejects', 'sinkIsSlow']));
    expect(Array.from({ length: 200 }, (_, index) => at(index + 1, 'ListShards'))).not.toContain(
      'sinkRejects',
    );
  });

  it('from a seed spares the functions that it does not name', () => {
    const plan = seededChaos({
      seed: 1,
      probabilities: { throttle: 1, loseAnswer: 1 },
      maximumFaultsPerFunction: 1,
      maximumDelayMs: 0,
      maximumFreezeMs: 0,
      maximumZombieInvocations: 0,
      functions: ['pipeline'],
    });
    const at = (functionName: string) =>
      plan.onRequest({
        functionName,
        invocation: 1,
        request: 1,
        ofService: 1,
        service: 's3',
        operation: 'PUT',
      });
    expect(at('pipeline')).toEqual({ kind: 'throttle' });
    expect(at('sweep')).toBeUndefined();
  });

  it.each([
    [{ throttle: 0.6, delayReply: 0.6 }, 'add up to 1.2'],
    [{ throttle: -0.1 }, 'is -0.1'],
    [{ loseAnswer: Number.NaN }, 'is NaN'],
  ])('from a seed is refused with %j', (probabilities, message) => {
    expect(() =>
      seededChaos({
        seed: 1,
        probabilities,
        maximumFaultsPerFunction: 1,
        maximumDelayMs: 0,
        maximumFreezeMs: 0,
        maximumZombieInvocations: 0,
      }),
    ).toThrow(message);
  });
});

import {
  GetEventSourceMappingCommand,
  InvokeCommand,
  LambdaClient,
  ListEventSourceMappingsCommand,
  UpdateEventSourceMappingCommand,
} from '@aws-sdk/client-lambda';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startLambdaApi, type LambdaApi } from '../../../infra/local/lambda/lambda-api.ts';
import type { MappingControl } from '../../../infra/local/lambda/mapping-requests.ts';
import type { MappingStatus } from '../../../shared/mapping/mapping-status.ts';
import type { InvocationOutcome } from '../../../infra/local/lambda/invocation-outcome.ts';

let api: LambdaApi;
let client: LambdaClient;
let outcome: InvocationOutcome;
let state: MappingStatus['state'];

const MAPPING: MappingControl = {
  id: '8a1b2c3d-0000-4000-8000-000000000000',
  streamArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s',
  functionArn: 'arn:aws:lambda:us-east-1:000000000000:function:f',
  functionName: 'f',
  startingPosition: 'TRIM_HORIZON',
  status: () => ({ state, lastProcessingResult: 'OK' }) as MappingStatus,
  enable: () => (state = 'Enabled'),
  // Something is under way.
  disable: () => (state = 'Disabling'),
};

const invoked: [string, unknown][] = [];

beforeEach(async () => {
  invoked.length = 0;
  const invoke = async (name: string, event: unknown): Promise<InvocationOutcome> => {
    invoked.push([name, event]);
    return outcome;
  };
  state = 'Enabled';
  api = await startLambdaApi({ lambda: { invoke }, functionNames: ['f'], mappings: [MAPPING] });
  client = new LambdaClient({
    region: 'us-east-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 's' },
    endpoint: api.endpoint,
    maxAttempts: 1,
  });
});
afterEach(async () => {
  client.destroy();
  await api.close();
});

const base = { requestId: 'r', durationMs: 1 };

describe('Lambda’s API of event source mappings on this machine', () => {
  const UUID = MAPPING.id;
  const stateNow = async (): Promise<string | undefined> =>
    (await client.send(new GetEventSourceMappingCommand({ UUID }))).State;

  it('lists the mappings of a function, and of others none', async () => {
    const list = async (FunctionName?: string): Promise<unknown> =>
      (await client.send(new ListEventSourceMappingsCommand({ FunctionName }))).EventSourceMappings;
    const listed = [
      {
        UUID,
        EventSourceArn: MAPPING.streamArn,
        FunctionArn: MAPPING.functionArn,
        State: 'Enabled',
        LastProcessingResult: 'OK',
        StartingPosition: 'TRIM_HORIZON',
      },
    ];
    expect(await list('f')).toEqual(listed);
    expect(await list()).toEqual(listed);
    expect(await list('g')).toEqual([]);
  });

  it('disables and enables, and says so before it is done', async () => {
    const disabling = await client.send(new UpdateEventSourceMappingCommand({ UUID, Enabled: false }));
    expect([disabling.State, await stateNow()]).toEqual(['Disabling', 'Disabling']);
    state = 'Disabled';
    expect(await stateNow()).toBe('Disabled');
    const enabling = await client.send(new UpdateEventSourceMappingCommand({ UUID, Enabled: true }));
    expect([enabling.State, await stateNow()]).toEqual(['Enabling', 'Enabled']);
    const again = await client.send(new UpdateEventSourceMappingCommand({ UUID, Enabled: true }));
    expect(again.State).toBe('Enabled');
  });

  it('refuses a mapping that is not there, and settings that it does not change', async () => {
    await expect(client.send(new GetEventSourceMappingCommand({ UUID: 'other' }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
    await expect(
      client.send(new UpdateEventSourceMappingCommand({ UUID, BatchSize: 5 })),
    ).rejects.toMatchObject({ name: 'InvalidParameterValueException' });
    expect(state).toBe('Enabled');
  });
});

describe('Lambda’s Invoke API on this machine', () => {
  it.each(['f', 'arn:aws:lambda:us-east-1:000000000000:function:f'])(
    'gives AWS’s own client what function %s answers',
    async (FunctionName) => {
      outcome = { kind: 'response', payload: { a: 'é' }, ...base };
      const { StatusCode, FunctionError, Payload } = await client.send(
        new InvokeCommand({ FunctionName, Payload: Buffer.from('{"names":["é"]}') }),
      );
      expect([StatusCode, FunctionError]).toEqual([200, undefined]);
      expect(JSON.parse(Buffer.from(Payload ?? []).toString())).toEqual({ a: 'é' });
      expect(invoked).toEqual([['f', { names: ['é'] }]]);
    },
  );

  it('tells a function’s error as Lambda does', async () => {
    outcome = { kind: 'functionError', errorType: 'Sandbox.Timedout', errorMessage: 'late', ...base };
    const { FunctionError, Payload } = await client.send(new InvokeCommand({ FunctionName: 'f' }));
    expect(FunctionError).toBe('Unhandled');
    expect(JSON.parse(Buffer.from(Payload ?? []).toString())).toEqual({
      errorType: 'Sandbox.Timedout',
      errorMessage: 'late',
    });
    expect(invoked).toEqual([['f', {}]]);
  });

  it('refuses what it cannot do, by the names of Lambda’s own errors', async () => {
    await expect(client.send(new InvokeCommand({ FunctionName: 'g' }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
    await expect(
      client.send(new InvokeCommand({ FunctionName: 'f', InvocationType: 'Event' })),
    ).rejects.toMatchObject({ name: 'InvalidParameterValueException' });
    await expect(
      client.send(new InvokeCommand({ FunctionName: 'f', Payload: Buffer.from('{') })),
    ).rejects.toMatchObject({ name: 'InvalidRequestContentException' });
    const unsigned = await fetch(`${api.endpoint}/2015-03-31/functions/f/invocations`, { method: 'POST' });
    expect(unsigned.status).toBe(403);
    expect(invoked).toEqual([]);
  });
});

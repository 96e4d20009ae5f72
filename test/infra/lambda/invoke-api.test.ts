import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startInvokeApi, type InvokeApi } from '../../../infra/local/lambda/invoke-api.ts';
import type { InvocationOutcome } from '../../../infra/local/lambda/invocation-outcome.ts';

let api: InvokeApi;
let client: LambdaClient;
let outcome: InvocationOutcome;
const invoked: [string, unknown][] = [];

beforeEach(async () => {
  invoked.length = 0;
  const invoke = async (name: string, event: unknown): Promise<InvocationOutcome> => {
    invoked.push([name, event]);
    return outcome;
  };
  api = await startInvokeApi({ invoke }, ['f']);
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

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { FunctionConfiguration } from '../../../infra/local/lambda/function-configuration.ts';
import type { InvocationOutcome } from '../../../infra/local/lambda/invocation-outcome.ts';
import { startLambda } from '../../../infra/local/lambda/local-lambda.ts';
import type { LocalLambda, LocalLambdaOptions } from '../../../infra/local/lambda/local-lambda.ts';
import { MAXIMUM_REQUEST_BYTES, MAXIMUM_RESPONSE_BYTES } from '../../../infra/local/lambda/payload-limits.ts';
import { systemClock } from '../../../shared/time/clock.ts';
import { FunctionCode } from './function-code.ts';
import { Lifeline } from './lifeline.ts';
import { ManualTimer } from './manual-timer.ts';

const code = new FunctionCode();
const open: { close(): Promise<void> }[] = [];
let log: string[] = [];

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource.close();
  await code.remove();
  log = [];
});

async function start(
  functions: readonly FunctionConfiguration[],
  options: Partial<LocalLambdaOptions> = {},
): Promise<LocalLambda> {
  let requests = 0;
  const lambda = await startLambda({
    functions,
    clock: systemClock,
    maximumEnvironments: 2,
    onLog: (line) => log.push(line),
    newRequestId: () => `request-${(requests += 1)}`,
    ...options,
  });
  open.push(lambda);
  return lambda;
}

async function openLifeline(): Promise<Lifeline> {
  const lifeline = await Lifeline.open();
  open.push(lifeline);
  return lifeline;
}

function payloadOf(outcome: InvocationOutcome): unknown {
  if (outcome.kind === 'response') return outcome.payload;
  throw new Error(`${outcome.errorType}: ${outcome.errorMessage}`);
}

function errorOf(outcome: InvocationOutcome): { errorType: string; errorMessage: string } {
  if (outcome.kind === 'response') throw new Error(`It answered ${JSON.stringify(outcome.payload)}.`);
  return { errorType: outcome.errorType, errorMessage: outcome.errorMessage };
}

describe('an invocation', () => {
  it('gives what an ES module answers', async () => {
    const lambda = await start([
      await code.write(`export const handler = async (event) => ({ sum: event.a + event.b });`),
    ]);
    expect(await lambda.invoke('counter', { a: 1, b: 2 })).toEqual({
      kind: 'response',
      payload: { sum: 3 },
      requestId: 'request-1',
      durationMs: expect.any(Number) as number,
    });
  });

  it('gives what a CommonJS module answers, also from a nested name', async () => {
    const lambda = await start([
      await code.write(
        { 'main.js': `module.exports = { ...{ api: { run: async () => 'common' } } };` },
        { handler: 'main.api.run' },
      ),
    ]);
    expect(payloadOf(await lambda.invoke('counter', null))).toBe('common');
  });

  it('gives null where the handler gives nothing', async () => {
    const lambda = await start([await code.write(`export const handler = async () => {};`)]);
    expect(payloadOf(await lambda.invoke('counter', {}))).toBeNull();
  });

  it('hands the handler its context', async () => {
    const lambda = await start([
      await code.write(
        `export const handler = async (event, context) => ({ ...context, remainingMs: context.getRemainingTimeInMillis() });`,
      ),
    ]);
    const context = payloadOf(await lambda.invoke('counter', {})) as Record<string, unknown>;
    expect(context).toMatchObject({
      awsRequestId: 'request-1',
      functionName: 'counter',
      functionVersion: '$LATEST',
      memoryLimitInMB: '256',
      invokedFunctionArn: 'arn:aws:lambda:eu-central-1:000000000000:function:counter',
      logGroupName: '/aws/lambda/counter',
      logStreamName: expect.stringMatching(/^\d{4}\/\d\d\/\d\d\/\[\$LATEST\][0-9a-f]{32}$/) as string,
    });
    expect(context['remainingMs']).toBeGreaterThan(0);
    expect(context['remainingMs']).toBeLessThanOrEqual(10_000);
  });

  it('shows the function its own variables and those of Lambda, and none of this machine', async () => {
    const lambda = await start([
      await code.write(`export const handler = async () => process.env;`, {
        environment: { TABLE: 'state', AWS_ACCESS_KEY_ID: 'local', AWS_REGION: 'mars-north-1' },
      }),
    ]);
    const variables = payloadOf(await lambda.invoke('counter', {})) as Record<string, string>;
    // macOS gives this one to every process.
    const own = Object.keys(variables).filter((name) => name !== '__CF_USER_TEXT_ENCODING');
    expect(own.sort()).toEqual([
      'AWS_ACCESS_KEY_ID',
      'AWS_DEFAULT_REGION',
      'AWS_EXECUTION_ENV',
      'AWS_LAMBDA_FUNCTION_MEMORY_SIZE',
      'AWS_LAMBDA_FUNCTION_NAME',
      'AWS_LAMBDA_FUNCTION_VERSION',
      'AWS_LAMBDA_INITIALIZATION_TYPE',
      'AWS_LAMBDA_LOG_GROUP_NAME',
      'AWS_LAMBDA_LOG_STREAM_NAME',
      'AWS_LAMBDA_RUNTIME_API',
      'AWS_REGION',
      'LAMBDA_TASK_ROOT',
      'LANG',
      'PATH',
      'TABLE',
      'TZ',
      '_HANDLER',
      '_X_AMZN_TRACE_ID',
    ]);
    expect(variables).toMatchObject({ TABLE: 'state', AWS_REGION: 'eu-central-1', TZ: ':UTC' });
  });

  it('runs in the directory of the code, in UTC', async () => {
    const configuration = await code.write(
      `export const handler = async () => [process.cwd(), new Date(2026, 0, 1).toISOString()];`,
    );
    const lambda = await start([configuration]);
    expect(payloadOf(await lambda.invoke('counter', {}))).toEqual([
      configuration.codeDirectory,
      '2026-01-01T00:00:00.000Z',
    ]);
  });

  it('names the line of the source in a stack, by the source map', async () => {
    const map = { version: 3, sources: ['flights.ts'], names: [], mappings: ';;;;AASA' };
    const lambda = await start([
      await code.write({
        'index.mjs': `\n\n\n\nexport const handler = async () => new Error('here').stack;\n//# sourceMappingURL=index.mjs.map`,
        'index.mjs.map': JSON.stringify(map),
      }),
    ]);
    expect(payloadOf(await lambda.invoke('counter', {}))).toContain('flights.ts:10:');
  });

  it('refuses an event beyond 6 MB and names its size', async () => {
    const lambda = await start([await code.write(`export const handler = async (event) => event.length;`)]);
    const largest = 'x'.repeat(MAXIMUM_REQUEST_BYTES - 2);
    expect(payloadOf(await lambda.invoke('counter', largest))).toBe(largest.length);
    await expect(lambda.invoke('counter', `${largest}x`)).rejects.toThrow('has 6291457 bytes');
  });

  it('refuses a function that it does not know and names those it knows', async () => {
    const lambda = await start([await code.write(`export const handler = async () => 1;`)]);
    await expect(lambda.invoke('adder', {})).rejects.toThrow('no function named "adder"; there are: counter');
  });
});

describe('a failing function', () => {
  const failures: { title: string; handler: string; errorType: string; errorMessage: string | RegExp }[] = [
    {
      title: 'reports what the handler throws',
      handler: `export const handler = async () => { throw new RangeError('too far'); };`,
      errorType: 'RangeError',
      errorMessage: 'too far',
    },
    {
      title: 'reports a thrown value that is no error',
      handler: `export const handler = async () => { throw 'plain'; };`,
      errorType: 'string',
      errorMessage: 'plain',
    },
    {
      title: 'reports an answer that is no JSON',
      handler: `export const handler = async () => ({ count: 1n });`,
      errorType: 'Error',
      errorMessage: 'Unable to stringify response body',
    },
    {
      title: 'reports a promise that never settles',
      handler: `export const handler = () => new Promise(() => {});`,
      errorType: 'Runtime.NodeJsExit',
      errorMessage: /never settled/,
    },
    {
      title: 'reports a rejection that nobody handles',
      handler: `export const handler = async () => { void Promise.reject(new Error('lost')); await new Promise((resolve) => setTimeout(resolve, 1e6)); };`,
      errorType: 'Runtime.UnhandledPromiseRejection',
      errorMessage: 'Error: lost',
    },
    {
      title: 'reports an exception that nobody catches',
      handler: `export const handler = () => new Promise(() => { setImmediate(() => { throw new TypeError('stray'); }); setTimeout(() => {}, 1e6); });`,
      errorType: 'TypeError',
      errorMessage: 'stray',
    },
    {
      title: 'reports an exit with a status',
      handler: `export const handler = async () => process.exit(3);`,
      errorType: 'Runtime.ExitError',
      errorMessage: 'RequestId: request-1 Error: Runtime exited with error: exit status 3',
    },
    {
      title: 'reports an exit without an error',
      handler: `export const handler = async () => process.exit(0);`,
      errorType: 'Runtime.ExitError',
      errorMessage: 'RequestId: request-1 Error: Runtime exited without providing a reason',
    },
    {
      title: 'reports the signal that ended it',
      handler: `export const handler = async () => process.kill(process.pid, 'SIGKILL');`,
      errorType: 'Runtime.ExitError',
      errorMessage: 'RequestId: request-1 Error: Runtime exited with error: signal: killed',
    },
    {
      title: 'reports an answer beyond the limit',
      handler: `export const handler = async () => 'x'.repeat(${MAXIMUM_RESPONSE_BYTES} - 1);`,
      errorType: 'Function.ResponseSizeTooLarge',
      errorMessage: 'Response payload size exceeded maximum allowed payload size (6291556 bytes).',
    },
    {
      title: 'reports a handler that is not exported',
      handler: `export const other = 1;`,
      errorType: 'Runtime.HandlerNotFound',
      errorMessage: 'index.handler is undefined or not exported',
    },
    {
      title: 'reports code that does not parse',
      handler: `export const handler = ;`,
      errorType: 'Runtime.UserCodeSyntaxError',
      errorMessage: /SyntaxError/,
    },
    {
      title: 'reports a module that is missing',
      handler: `import 'no-such-package'; export const handler = async () => 1;`,
      errorType: 'Runtime.ImportModuleError',
      errorMessage: /no-such-package/,
    },
    {
      title: 'reports what a module throws while it is loaded',
      handler: `throw new Error('no table');`,
      errorType: 'Error',
      errorMessage: 'no table',
    },
    {
      title: 'reports an exit while it is loaded',
      handler: `process.exit(7);`,
      errorType: 'Runtime.ExitError',
      errorMessage: 'RequestId: request-1 Error: Runtime exited with error: exit status 7',
    },
    {
      title: 'reports a handler with a callback',
      handler: `export const handler = (event, context, callback) => callback(null, 1);`,
      errorType: 'Runtime.CallbackHandlerDeprecated',
      errorMessage: /return a promise/,
    },
  ];
  it.each(failures)('$title', async ({ handler, errorType, errorMessage }) => {
    const lambda = await start([await code.write(handler)]);
    const error = errorOf(await lambda.invoke('counter', {}));
    expect(error.errorType).toBe(errorType);
    if (typeof errorMessage === 'string') expect(error.errorMessage).toBe(errorMessage);
    else expect(error.errorMessage).toMatch(errorMessage);
    expect(lambda.figures().functionErrors).toBe(1);
  });

  it('reports a file that is missing', async () => {
    const lambda = await start([await code.write({ 'other.mjs': '' })]);
    expect(errorOf(await lambda.invoke('counter', {}))).toMatchObject({
      errorType: 'Runtime.ImportModuleError',
      errorMessage: expect.stringContaining('Cannot find module') as string,
    });
  });

  it('answers up to the limit', async () => {
    const lambda = await start([
      await code.write(`export const handler = async () => 'x'.repeat(${MAXIMUM_RESPONSE_BYTES} - 2);`),
    ]);
    expect(payloadOf(await lambda.invoke('counter', {}))).toHaveLength(MAXIMUM_RESPONSE_BYTES - 2);
  });

  it('keeps its environment when the handler throws, and loses it when the process ends', async () => {
    const lambda = await start([
      await code.write(
        `export const handler = async ({ act }) => { if (act === 'throw') throw new Error('no'); if (act === 'exit') process.exit(1); return process.pid; };`,
      ),
    ]);
    const first = payloadOf(await lambda.invoke('counter', {}));
    await lambda.invoke('counter', { act: 'throw' });
    expect(payloadOf(await lambda.invoke('counter', {}))).toBe(first);
    await lambda.invoke('counter', { act: 'exit' });
    expect(payloadOf(await lambda.invoke('counter', {}))).not.toBe(first);
    expect(lambda.figures()).toMatchObject({ invocations: 5, coldStarts: 2, functionErrors: 2 });
  });

  it('dies when its heap outgrows the memory of the function', async () => {
    const lambda = await start([
      await code.write(
        `export const handler = async () => { const all = []; for (;;) all.push(new Array(1000).fill(all.length)); };`,
        { memoryMb: 128 },
      ),
    ]);
    expect(errorOf(await lambda.invoke('counter', {}))).toEqual({
      errorType: 'Runtime.ExitError',
      // How V8 gives up differs between versions of Node: abort or trap.
      errorMessage: expect.stringMatching(
        /^RequestId: request-1 Error: Runtime exited with error: signal: /,
      ) as string,
    });
    expect(log.join('\n')).toContain('JavaScript heap out of memory');
  });

  it('is killed when its time is up, even in an endless loop', async () => {
    const timer = new ManualTimer();
    const lifeline = await openLifeline();
    const lambda = await start(
      [
        await code.write(
          `${lifeline.code} export const handler = async () => { await say('looping'); for (;;); };`,
          {
            timeoutSeconds: 3,
          },
        ),
      ],
      { timer },
    );
    const outcome = lambda.invoke('counter', {});
    await lifeline.heard('looping');
    timer.fire(3000);
    expect(errorOf(await outcome)).toEqual({
      errorType: 'Sandbox.Timedout',
      errorMessage: 'RequestId: request-1 Error: Task timed out after 3.00 seconds',
    });
    await lifeline.released();
    expect(lambda.figures()).toMatchObject({ timeouts: 1, environments: 0 });
  });

  it('is killed when it does not come to its first event', async () => {
    const timer = new ManualTimer();
    const lifeline = await openLifeline();
    const lambda = await start(
      [
        await code.write(
          `${lifeline.code} await say('stuck'); await new Promise(() => setInterval(() => {}, 1e6));`,
        ),
      ],
      { timer },
    );
    const outcome = lambda.invoke('counter', {});
    await lifeline.heard('stuck');
    timer.fire(10_000);
    expect(errorOf(await outcome).errorType).toBe('Sandbox.Timedout');
  });

  it('is not killed by the timer of an invocation that is over', async () => {
    const timer = new ManualTimer();
    const lambda = await start([await code.write(`export const handler = async () => process.pid;`)], {
      timer,
    });
    const first = payloadOf(await lambda.invoke('counter', {}));
    expect(timer.fire(10_000)).toBe(0);
    expect(payloadOf(await lambda.invoke('counter', {}))).toBe(first);
  });
});

describe('the log', () => {
  it('holds every line before the outcome is given, in order, from both streams', async () => {
    const lambda = await start([
      await code.write(`export const handler = async () => {
        for (let line = 0; line < 2000; line += 1) (line % 2 ? process.stderr : process.stdout).write('line ' + line + '\\n');
        process.stdout.write('{"_aws":"metric"}\\n');
        process.stdout.write('without an end');
      };`),
    ]);
    await lambda.invoke('counter', {});
    expect(log).toEqual([
      ...Array.from({ length: 2000 }, (_, line) => `line ${line}`),
      '{"_aws":"metric"}',
      'without an end',
    ]);
  });

  it('is waited for even where the runtime has answered and asked for the next event', async () => {
    const lambda = await start([
      await code.write(`export const handler = async (event, { awsRequestId }) => {
        const api = 'http://' + process.env.AWS_LAMBDA_RUNTIME_API;
        await fetch(api + '/2018-06-01/runtime/invocation/' + awsRequestId + '/response', { method: 'POST', body: '"early"' });
        void fetch(api + '/2018-06-01/runtime/invocation/next');
        await fetch(api + '/no-route');
        process.stdout.write('late line\\n');
      };`),
    ]);
    expect(payloadOf(await lambda.invoke('counter', {}))).toBe('early');
    expect(log).toEqual(['late line']);
  });

  it('gives lines of the console with time, request and level', async () => {
    const lambda = await start([
      await code.write(`export const handler = async () => { console.log('a %d', 1); console.error('b'); };`),
    ]);
    await lambda.invoke('counter', {});
    expect(log.map((line) => line.split('\t').slice(1))).toEqual([
      ['request-1', 'INFO', 'a 1'],
      ['request-1', 'ERROR', 'b'],
    ]);
  });

  it('holds the last words of a process that ends', async () => {
    const lambda = await start([
      await code.write(
        `export const handler = async () => { process.stdout.write('last'); process.exit(1); };`,
      ),
    ]);
    await lambda.invoke('counter', {});
    expect(log).toEqual(['last', 'RequestId: request-1 Error: Runtime exited with error: exit status 1']);
  });
});

describe('environments', () => {
  const slow = (lifeline: Lifeline): string => `${lifeline.code}
    export const handler = async ({ wait, name }) => {
      if (wait) { await say('started ' + name); await once(lifeline, 'data'); }
      return process.pid;
    };`;

  it('are used again, the last used first', async () => {
    const lambda = await start([
      await code.write(`let count = 0; export const handler = async () => [process.pid, (count += 1)];`),
    ]);
    const pair = await Promise.all([lambda.invoke('counter', {}), lambda.invoke('counter', {})]);
    const pids = pair.map((outcome) => (payloadOf(outcome) as number[])[0]);
    expect(new Set(pids).size).toBe(2);
    const [lastPid, count] = payloadOf(await lambda.invoke('counter', {})) as number[];
    expect(pids).toContain(lastPid);
    expect(count).toBe(2);
    expect(payloadOf(await lambda.invoke('counter', {}))).toEqual([lastPid, 3]);
    expect(lambda.figures()).toMatchObject({ coldStarts: 2, environments: 2 });
  });

  it('stay within the limit, and invocations wait their turn', async () => {
    const lambda = await start(
      [
        await code.write(
          `let busy = 0; export const handler = async () => { busy += 1; await null; return [process.pid, busy--]; };`,
        ),
      ],
      { maximumEnvironments: 1 },
    );
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => lambda.invoke('counter', {})));
    const answers = outcomes.map(payloadOf) as number[][];
    expect(new Set(answers.map(([pid]) => pid)).size).toBe(1);
    expect(answers.map(([, busy]) => busy)).toEqual([1, 1, 1, 1, 1]);
    expect(lambda.figures().coldStarts).toBe(1);
  });

  it('make room for another function when the limit is reached', async () => {
    const lambda = await start(
      [
        await code.write(`export const handler = async () => 'a';`, { name: 'a' }),
        await code.write(`export const handler = async () => 'b';`, { name: 'b' }),
      ],
      { maximumEnvironments: 1 },
    );
    expect(payloadOf(await lambda.invoke('a', {}))).toBe('a');
    expect(payloadOf(await lambda.invoke('b', {}))).toBe('b');
    expect(lambda.figures()).toMatchObject({ evictions: 1, environments: 1 });
  });

  it('run one invocation each', async () => {
    const lifeline = await openLifeline();
    const lambda = await start([await code.write(slow(lifeline))]);
    const first = lambda.invoke('counter', { wait: true, name: 'one' });
    await lifeline.heard('started one');
    const second = payloadOf(await lambda.invoke('counter', {}));
    lifeline.tell('go');
    expect(payloadOf(await first)).not.toBe(second);
  });

  it.skipIf(process.platform !== 'linux')('are frozen between invocations', async () => {
    const lambda = await start([await code.write(`export const handler = async () => process.pid;`)]);
    const pid = String(payloadOf(await lambda.invoke('counter', {})));
    const isStopped = async (): Promise<boolean> => / T /.test(await readFile(`/proc/${pid}/stat`, 'utf8'));
    await vi.waitFor(async () => expect(await isStopped()).toBe(true), { interval: 1 });
    expect(payloadOf(await lambda.invoke('counter', {}))).toBe(Number(pid));
  });

  it('are gone after close, with their ports and what they have started', async () => {
    const lifeline = await openLifeline();
    const lambda = await start([
      await code.write(`${lifeline.code}
        import { spawn } from 'node:child_process';
        export const handler = async ({ wait }) => {
          const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'inherit' });
          await once(child, 'spawn');
          if (wait) { await say('waiting'); await new Promise(() => {}); }
          return process.env.AWS_LAMBDA_RUNTIME_API;
        };`),
    ]);
    const address = payloadOf(await lambda.invoke('counter', {})) as string;
    const unfinished = lambda.invoke('counter', { wait: true });
    await lifeline.heard('waiting');
    await lambda.close();
    await lifeline.released();
    expect(errorOf(await unfinished).errorMessage).toContain('signal: killed');
    const [host = '', port] = address.split(':');
    await expect(once(createConnection(Number(port), host), 'connect')).rejects.toThrow('ECONNREFUSED');
    await expect(lambda.invoke('counter', {})).rejects.toThrow('closed');
    expect(lambda.figures().environments).toBe(0);
  });

  it('end with their runtime although what it has started holds on to the log', async () => {
    const lambda = await start([
      await code.write(`
        import { spawn } from 'node:child_process';
        import { once } from 'node:events';
        export const handler = async () => {
          await once(spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'inherit' }), 'spawn');
          process.exit(1);
        };`),
    ]);
    expect(errorOf(await lambda.invoke('counter', {})).errorType).toBe('Runtime.ExitError');
    expect(lambda.figures().environments).toBe(0);
  });

  it('reject what still waits when Lambda is closed', async () => {
    const lifeline = await openLifeline();
    const lambda = await start([await code.write(slow(lifeline))], { maximumEnvironments: 1 });
    const running = lambda.invoke('counter', { wait: true, name: 'one' });
    const waiting = lambda.invoke('counter', {});
    const rejection = expect(waiting).rejects.toThrow('closed');
    await lifeline.heard('started one');
    await lambda.close();
    await rejection;
    expect(errorOf(await running).errorType).toBe('Runtime.ExitError');
  });

  it.skipIf(process.platform === 'win32')(
    'die with the process that started them, frozen and busy ones, even when it is killed',
    async () => {
      const lifeline = await openLifeline();
      const { codeDirectory } = await code.write(`${lifeline.code}
        export const handler = async ({ loop }) => { if (loop) { await say('busy'); for (;;); } await say('warm'); };`);
      const parent = spawn(
        process.execPath,
        ['--import', 'tsx', fileURLToPath(new URL('./doomed-parent.ts', import.meta.url)), codeDirectory],
        { stdio: ['ignore', 'ignore', 'inherit'] },
      );
      open.push({
        close: async () => {
          if (parent.exitCode === null && parent.signalCode === null) {
            parent.kill('SIGKILL');
            await once(parent, 'exit');
          }
        },
      });
      await lifeline.heard('warm');
      await lifeline.heard('busy');
      expect(lifeline.connections).toBe(2);
      parent.kill('SIGKILL');
      await lifeline.released();
    },
  );
});

describe('a configuration', () => {
  it.each([
    [{ timeoutSeconds: 901 }, 'timeoutSeconds is 901'],
    [{ timeoutSeconds: 0.5 }, 'timeoutSeconds is 0.5'],
    [{ memoryMb: 64 }, 'memoryMb is 64'],
    [{ codeDirectory: '/no/such/bundle' }, 'codeDirectory is /no/such/bundle'],
  ])('is refused with %j', async (settings, message) => {
    const configuration = await code.write('', settings);
    await expect(start([configuration])).rejects.toThrow(message);
  });

  it('is refused where two functions have one name', async () => {
    const configuration = await code.write('');
    await expect(start([configuration, configuration])).rejects.toThrow('Two functions are named counter');
  });
});

// The runtime inside an environment: what the Node.js runtime interface client is on Lambda (package
// aws-lambda-ric, version 4). It loads the handler, asks the Runtime API for one event after the other, and reports
// what became of each. Plain JavaScript, because an environment starts it with node alone.
import { existsSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { format } from 'node:util';

// User code may patch what it shares with the runtime: take the originals before any of it runs.
const { stdout, stderr } = process;
const writeToStdout = stdout.write.bind(stdout);
const writeToStderr = stderr.write.bind(stderr);
const request = http.request.bind(http);
const exit = process.exit.bind(process);
const { nextTick } = process;

const [runtimeApiHost, runtimeApiPort] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const API = '/2018-06-01/runtime';
const EXIT_STATUS_OF_UNHANDLED_REJECTION = 128;
const EXIT_STATUS_OF_UNCAUGHT_EXCEPTION = 129;
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

class RuntimeError extends Error {
  constructor(name, message) {
    super(message);
    this.name = `Runtime.${name}`;
  }
}

// One pipe keeps the order of what the handler writes; only what the engine itself prints while it dies comes
// through the other.
stderr.write = writeToStdout;

let requestId;
for (const [method, level] of Object.entries({
  trace: 'TRACE',
  debug: 'DEBUG',
  log: 'INFO',
  info: 'INFO',
  warn: 'WARN',
  error: 'ERROR',
})) {
  console[method] = (...values) =>
    writeToStdout(
      `${new Date().toISOString()}\t${requestId ?? 'undefined'}\t${level}\t${format(...values)}\n`,
    );
}

/** Gives status, headers and text. Without the Runtime API there is nothing to live for: the process ends. */
function call(method, address, headers, body) {
  return new Promise((resolve) => {
    const options = {
      host: runtimeApiHost,
      port: runtimeApiPort,
      agent,
      method,
      path: API + address,
      headers,
    };
    const outgoing = request(options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', () => exit(1));
      response.on('end', () =>
        resolve({ headers: response.headers, text: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    outgoing.on('error', () => exit(1));
    outgoing.end(body);
  });
}

function post(address, text, headers = {}) {
  const body = Buffer.from(text, 'utf8');
  return call(
    'POST',
    address,
    { 'content-type': 'application/json', 'content-length': body.length, ...headers },
    body,
  );
}

/** Everything written so far has left the process once both markers are read at the other end. */
function markEndOfLog(id) {
  const marker = `\0end ${id}\0\n`;
  writeToStdout(marker);
  writeToStderr(marker);
}

function describe(error) {
  try {
    if (error instanceof Error || (error?.name && error?.message && error?.stack)) {
      return { errorType: error.name, errorMessage: error.message, trace: String(error.stack).split('\n') };
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch {
    return {
      errorType: 'handled',
      errorMessage: 'What was thrown cannot be read: its name, message or stack throws by itself.',
      trace: [],
    };
  }
}

async function report(address, label, error) {
  const described = describe(error);
  console.error(label, JSON.stringify(described));
  if (requestId !== undefined) markEndOfLog(requestId);
  await post(address, JSON.stringify(described), {
    'lambda-runtime-function-error-type': described.errorType,
  });
}

let reportAddress = '/init/error';

process.on('uncaughtException', (error) => {
  void report(reportAddress, 'Uncaught Exception', error).then(() => exit(EXIT_STATUS_OF_UNCAUGHT_EXCEPTION));
});
process.on('unhandledRejection', (reason) => {
  const error = new RuntimeError('UnhandledPromiseRejection', String(reason));
  if (reason instanceof Error) error.stack = reason.stack;
  void report(reportAddress, 'Unhandled Promise Rejection', error).then(() =>
    exit(EXIT_STATUS_OF_UNHANDLED_REJECTION),
  );
});

async function importHandlerModule(directory, moduleName) {
  const file = path.resolve(directory, moduleName);
  try {
    for (const extension of ['.js', '.mjs', '.cjs']) {
      if (existsSync(file + extension)) return await import(pathToFileURL(file + extension).href);
    }
    return createRequire(path.join(directory, 'package.json'))(file);
  } catch (error) {
    const kind =
      error instanceof SyntaxError
        ? 'UserCodeSyntaxError'
        : error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND'
          ? 'ImportModuleError'
          : undefined;
    if (kind === undefined) throw error;
    const described = new RuntimeError(kind, String(error));
    described.stack = error.stack;
    throw described;
  }
}

async function loadHandler(directory, fullName) {
  if (fullName.includes('..')) {
    throw new RuntimeError(
      'MalformedHandlerName',
      `'${fullName}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  }
  const baseName = path.basename(fullName);
  const [, moduleName, exportPath] = /^([^.]*)\.(.*)$/.exec(baseName) ?? [];
  if (!moduleName || !exportPath) throw new RuntimeError('MalformedHandlerName', 'Bad handler');
  const loaded = await importHandlerModule(directory, path.join(path.dirname(fullName), moduleName));
  const find = (root) => exportPath.split('.').reduce((value, name) => value?.[name], root);
  // What a CommonJS module exports is its default export when it is imported.
  const handler = find(loaded) ?? find(loaded.default);
  if (handler === undefined || handler === null) {
    throw new RuntimeError('HandlerNotFound', `${fullName} is undefined or not exported`);
  }
  if (typeof handler !== 'function')
    throw new RuntimeError('HandlerNotFound', `${fullName} is not a function`);
  if (handler.length >= 3) {
    throw new RuntimeError(
      'CallbackHandlerDeprecated',
      `${fullName} takes a callback, which the runtime no longer supports; return a promise.`,
    );
  }
  return handler;
}

function buildContext(headers) {
  const deadlineMs = Number(headers['lambda-runtime-deadline-ms']);
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: undefined,
    identity: undefined,
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    getRemainingTimeInMillis: () => deadlineMs - Date.now(),
  };
}

/** Settles with the handler, or fails when the event loop has run dry and so the handler never will. */
function settle(handler, event, context) {
  return new Promise((resolve, reject) => {
    const giveUp = () =>
      reject(
        new RuntimeError(
          'NodeJsExit',
          'The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by a Promise that was never settled. For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes',
        ),
      );
    process.once('beforeExit', giveUp);
    const finish = (action) => (value) => {
      process.removeListener('beforeExit', giveUp);
      action(value);
    };
    Promise.resolve()
      .then(() => handler(event, context))
      .then(finish(resolve), finish(reject));
  });
}

function serialize(result) {
  try {
    return JSON.stringify(result === undefined ? null : result) ?? 'null';
  } catch {
    throw new Error('Unable to stringify response body');
  }
}

async function run() {
  let handler;
  try {
    handler = await loadHandler(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER);
  } catch (error) {
    await report(reportAddress, 'Init Error', error);
    return exit(1);
  }
  for (;;) {
    const next = await call('GET', '/invocation/next', {});
    requestId = next.headers['lambda-runtime-aws-request-id'];
    reportAddress = `/invocation/${requestId}/error`;
    process.env._X_AMZN_TRACE_ID = next.headers['lambda-runtime-trace-id'];
    try {
      const text = serialize(await settle(handler, JSON.parse(next.text), buildContext(next.headers)));
      // One turn of the loop, so that a rejection nobody handles is found before the answer hides it.
      await new Promise((resolve) => setImmediate(resolve));
      markEndOfLog(requestId);
      await post(`/invocation/${requestId}/response`, text);
    } catch (error) {
      await report(reportAddress, 'Invoke Error', error);
    }
  }
}

nextTick(() => void run());

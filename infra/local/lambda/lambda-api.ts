import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { LocalLambda } from './local-lambda.ts';
import { closeServer, listenOnLoopback } from './loopback-server.ts';
import { answerMappingRequest, type MappingControl, type MappingReply } from './mapping-requests.ts';
import { readBody } from './message-body.ts';
import { MAXIMUM_REQUEST_BYTES } from './payload-limits.ts';

/** Lambda's API on this machine: invocations, and event source mappings. */
export interface LambdaApi {
  readonly endpoint: string;
  close(): Promise<void>;
}

/** AWS Lambda API Reference, Invoke. The name may be an ARN. */
const INVOCATIONS = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/;

/** What is served. */
export interface ServedLambda {
  readonly lambda: Pick<LocalLambda, 'invoke'>;
  readonly functionNames: readonly string[];
  /** May grow while it is served. */
  readonly mappings: readonly MappingControl[];
}

/**
 * Serves synchronous invocations, and the state of event source mappings, to clients of Lambda, on 127.0.0.1 and a port
 * that the system chooses.
 */
export async function startLambdaApi(served: ServedLambda): Promise<LambdaApi> {
  const server = createServer((request, reply) => {
    serve(request, reply, served).catch((error: unknown) =>
      refuse(reply, 500, 'ServiceException', String(error)),
    );
  });
  const port = await listenOnLoopback(server);
  return { endpoint: `http://127.0.0.1:${port}`, close: () => closeServer(server) };
}

async function serve(
  request: IncomingMessage,
  reply: ServerResponse,
  { lambda, functionNames, mappings }: ServedLambda,
): Promise<void> {
  const body = await readBody(request, MAXIMUM_REQUEST_BYTES);
  const url = new URL(request.url ?? '/', 'http://127.0.0.1');
  // What no page of a browser can send unasked.
  if (request.headers.authorization === undefined) {
    return refuse(reply, 403, 'MissingAuthenticationTokenException', 'The request is not signed.');
  }
  const answer = answerMappingRequest(mappings, request.method ?? '', url, body?.toString('utf8') ?? '');
  if (answer !== undefined) return send(reply, answer);
  const asked = INVOCATIONS.exec(url.pathname)?.[1];
  if (request.method !== 'POST' || asked === undefined) {
    return refuse(
      reply,
      404,
      'UnknownOperationException',
      'Only functions are invoked, and mappings listed, enabled and disabled, here.',
    );
  }
  const name = decodeURIComponent(asked)
    .replace(/^.*:function:/, '')
    .replace(/:\$LATEST$/, '');
  if (!functionNames.includes(name)) {
    return refuse(reply, 404, 'ResourceNotFoundException', `Function not found: ${name}`);
  }
  if (body === undefined) {
    const limit = `A synchronous invocation takes at most ${MAXIMUM_REQUEST_BYTES} bytes.`;
    return refuse(reply, 413, 'RequestTooLargeException', limit);
  }
  const type = request.headers['x-amz-invocation-type'] ?? 'RequestResponse';
  if (type !== 'RequestResponse') {
    return refuse(
      reply,
      400,
      'InvalidParameterValueException',
      `InvocationType ${String(type)} does not run here.`,
    );
  }
  let event: unknown;
  try {
    event = body.length === 0 ? {} : JSON.parse(body.toString('utf8'));
  } catch {
    return refuse(reply, 400, 'InvalidRequestContentException', 'The payload is not JSON.');
  }
  const outcome = await lambda.invoke(name, event);
  const isError = outcome.kind === 'functionError';
  const payload = isError
    ? { errorType: outcome.errorType, errorMessage: outcome.errorMessage }
    : outcome.payload;
  reply.writeHead(200, {
    'content-type': 'application/json',
    'x-amzn-requestid': outcome.requestId,
    'x-amz-executed-version': '$LATEST',
    ...(isError && { 'x-amz-function-error': 'Unhandled' }),
  });
  reply.end(JSON.stringify(payload) ?? 'null');
}

function send(reply: ServerResponse, { status, body }: MappingReply): void {
  const code = '__type' in body ? { 'x-amzn-errortype': String(body.__type) } : {};
  reply.writeHead(status, {
    'content-type': 'application/json',
    'x-amzn-requestid': randomUUID(),
    ...code,
  });
  reply.end(JSON.stringify(body));
}

function refuse(reply: ServerResponse, status: number, code: string, message: string): void {
  if (reply.headersSent) {
    reply.destroy();
    return;
  }
  reply.writeHead(status, {
    'content-type': 'application/json',
    'x-amzn-requestid': randomUUID(),
    'x-amzn-errortype': code,
  });
  reply.end(JSON.stringify({ Type: 'User', Message: message }));
}

import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { closeServer, listenOnLoopback } from './loopback-server.ts';
import { readBody } from './message-body.ts';
import { MAXIMUM_RESPONSE_BYTES } from './payload-limits.ts';

/** An event as the runtime gets it. */
export interface NextEvent {
  readonly requestId: string;
  /** JSON. */
  readonly payload: string;
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  readonly functionArn: string;
  readonly traceId: string;
}

/** What a runtime reports of an invocation, or of its own start. */
export interface ReportedError {
  readonly errorType: string;
  readonly errorMessage: string;
}

/**
 * What becomes of a report: it counts; it is about an invocation that is not under way; or it gets no reply at all.
 */
export type Reception = 'accepted' | 'unknownRequest' | 'ignored';

/** The environment's side of the Runtime API. */
export interface RuntimeApiListener {
  /** The runtime is ready for an event, and waits until `deliver` is called, once. */
  next(deliver: (event: NextEvent) => void): void;
  /** `payload` is JSON, or nothing where it was larger than MAXIMUM_RESPONSE_BYTES. */
  response(requestId: string, payload: string | undefined): Reception;
  error(requestId: string, error: ReportedError): Reception;
  initError(error: ReportedError): void;
}

export interface RuntimeApi {
  /** `host:port`, the value of AWS_LAMBDA_RUNTIME_API. */
  readonly address: string;
  close(): Promise<void>;
}

/** OpenAPI document of the Runtime API, version 2018-06-01. */
const PREFIX = '/2018-06-01/runtime';
const INVOCATION_REPORT = /^\/invocation\/([^/]+)\/(response|error)$/;

/** Serves the Runtime API to one environment, on a port of its own. */
export async function startRuntimeApi(listener: RuntimeApiListener): Promise<RuntimeApi> {
  const server = createServer((request, reply) => {
    // A runtime that dies while it sends has nobody left to tell.
    serve(request, reply, listener).catch(() => reply.destroy());
  });
  const port = await listenOnLoopback(server);
  return { address: `127.0.0.1:${port}`, close: () => closeServer(server) };
}

async function serve(
  request: IncomingMessage,
  reply: ServerResponse,
  listener: RuntimeApiListener,
): Promise<void> {
  const route = request.url?.startsWith(PREFIX) ? request.url.slice(PREFIX.length) : undefined;
  if (request.method === 'GET' && route === '/invocation/next') {
    listener.next((event) => {
      reply.writeHead(200, {
        'Content-Type': 'application/json',
        'Lambda-Runtime-Aws-Request-Id': event.requestId,
        'Lambda-Runtime-Deadline-Ms': String(event.deadlineMs),
        'Lambda-Runtime-Invoked-Function-Arn': event.functionArn,
        'Lambda-Runtime-Trace-Id': event.traceId,
      });
      reply.end(event.payload);
    });
    return;
  }
  if (request.method === 'POST' && route === '/init/error') {
    listener.initError(readError(await readBody(request)));
    sendStatus(reply, 202, 'OK');
    return;
  }
  const [, requestId, subject] = INVOCATION_REPORT.exec(route ?? '') ?? [];
  if (request.method !== 'POST' || requestId === undefined) {
    sendError(
      reply,
      404,
      'NotFound',
      `${request.method ?? ''} ${request.url ?? ''} is no route of the Runtime API.`,
    );
    return;
  }
  const body = await readBody(request, MAXIMUM_RESPONSE_BYTES);
  const reception =
    subject === 'response'
      ? listener.response(requestId, body?.toString('utf8'))
      : listener.error(requestId, readError(body));
  if (reception === 'ignored') return;
  if (reception === 'unknownRequest') sendError(reply, 400, 'InvalidRequestID', 'Invalid request ID');
  else if (body === undefined) {
    sendError(
      reply,
      413,
      'RequestEntityTooLarge',
      `Exceeded maximum allowed payload size (${MAXIMUM_RESPONSE_BYTES} bytes).`,
    );
  } else sendStatus(reply, 202, 'OK');
}

function sendStatus(reply: ServerResponse, code: number, status: string): void {
  reply.writeHead(code, { 'Content-Type': 'application/json' }).end(JSON.stringify({ status }));
}

function sendError(reply: ServerResponse, code: number, errorType: string, errorMessage: string): void {
  reply
    .writeHead(code, { 'Content-Type': 'application/json' })
    .end(JSON.stringify({ errorMessage, errorType }));
}

/** A runtime is free to send anything; what cannot be read is an error without a name, as on Lambda. */
function readError(body: Buffer | undefined): ReportedError {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body?.toString('utf8') ?? '');
  } catch {
    parsed = undefined;
  }
  const fields: Partial<Record<string, unknown>> =
    typeof parsed === 'object' && parsed !== null ? { ...parsed } : {};
  const text = (value: unknown, otherwise: string): string => (typeof value === 'string' ? value : otherwise);
  return {
    errorType: text(fields['errorType'], 'Runtime.Unknown'),
    errorMessage: text(fields['errorMessage'], ''),
  };
}

import { Agent, createServer, request as sendRequest } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { describeRequest } from './aws-service.ts';
import type { AwsService } from './aws-service.ts';
import type { RequestFault } from './chaos-plan.ts';
import { serverErrorReply, throttlingReply } from './error-reply.ts';
import type { ErrorReply } from './error-reply.ts';
import { closeServer, listenOnLoopback } from './loopback-server.ts';
import { readBody } from './message-body.ts';
import { failPart, throttlePart } from './partial-throttle.ts';
import type { PartialThrottle } from './partial-throttle.ts';
import type { Timer } from '../timer.ts';

/** The environment behind a proxy, as the proxy needs it. */
export interface ChaosVictim {
  readonly isKilled: boolean;
  /** Counts the request, and decides what goes wrong with it. */
  faultAt(service: AwsService, operation: string): RequestFault | undefined;
  kill(): void;
  /** Stops the process, and lets it go on after so many milliseconds. */
  freeze(freezeMs: number): void;
  /** Stops the process until its timeout ends it. */
  freezeForGood(): void;
  /** Stops the process; its timeout does not end it, and it goes on some invocations later. */
  freezeBeyondTimeout(resumeAfterInvocations: number): void;
  /** Tells the caller that the invocation failed; resolves when the request may go on. */
  becomeZombie(resumeAfterInvocations: number): Promise<void>;
}

export interface ChaosProxy {
  readonly url: string;
  close(): Promise<void>;
}

interface EngineReply {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
}

/** Those that belong to one connection and so are not handed on, and the length, which is set anew. */
const CONNECTION_HEADERS = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * Stands between one environment and one engine. Replies are handed on whole, so a reply that never ends
 * (SubscribeToShard) cannot pass.
 * @throws TypeError when the engine's address is not plain HTTP.
 */
export async function startChaosProxy(engine: URL, victim: ChaosVictim, timer: Timer): Promise<ChaosProxy> {
  if (engine.protocol !== 'http:') {
    throw new TypeError(
      `The chaos proxy cannot stand in front of ${engine.href}; it speaks plain HTTP, so give an http: endpoint.`,
    );
  }
  const agent = new Agent({ keepAlive: true });
  const server = createServer((request, reply) => {
    pass(request, reply, { engine, agent, victim, timer }).catch(() => request.socket.destroy());
  });
  const port = await listenOnLoopback(server);
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      agent.destroy();
      await closeServer(server);
    },
  };
}

interface Passage {
  readonly engine: URL;
  readonly agent: Agent;
  readonly victim: ChaosVictim;
  readonly timer: Timer;
}

async function pass(request: IncomingMessage, reply: ServerResponse, passage: Passage): Promise<void> {
  const { victim } = passage;
  const body = (await readBody(request)) ?? Buffer.alloc(0);
  const { service, operation } = describeRequest(request.headers, request.method ?? 'GET');
  // A process that was killed may have a request on its way: on this machine too it comes to nothing.
  if (victim.isKilled) return cut(request);
  const fault = victim.faultAt(service, operation);

  if (fault?.kind === 'killBeforeForward') {
    victim.kill();
    return cut(request);
  }
  const parts = partsOf(fault, operation, body);
  if (fault?.kind === 'throttle' || (parts === undefined && isPartial(fault)))
    return sendErrorReply(reply, throttlingReply(service));
  if (fault?.kind === 'becomeZombie') {
    await victim.becomeZombie(fault.resumeAfterInvocations);
    if (victim.isKilled) return cut(request);
  }
  // The service does not stand still with the process: the request takes effect, and the reply waits to be read.
  if (fault?.kind === 'freeze') victim.freeze(fault.freezeMs);
  if (fault?.kind === 'freezeBeyondTimeout') victim.freezeBeyondTimeout(fault.resumeAfterInvocations);
  if (fault?.kind === 'timeOut') victim.freezeForGood();

  const engineReply = await (parts === undefined
    ? forward(request, body, passage)
    : forwardPart(request, parts, passage));
  if (fault?.kind === 'killBeforeReply') victim.kill();
  if (fault?.kind === 'killBeforeReply' || fault?.kind === 'cutReply') return cut(request);
  // The connection stays open until the client closes it.
  if (fault?.kind === 'hangReply') return;
  if (fault?.kind === 'failAfterEffect') return sendErrorReply(reply, serverErrorReply(service));
  if (fault?.kind === 'failPartAfterEffect') {
    const fail = failPart(operation, isPart(fault));
    const failed = fail && rewritten(engineReply, fail);
    return failed === undefined ? sendErrorReply(reply, serverErrorReply(service)) : sendReply(reply, failed);
  }
  if (fault?.kind === 'delayReply' || fault?.kind === 'sinkIsSlow') await delay(passage.timer, fault.delayMs);
  if (fault?.kind === 'killAfterReply') reply.once('finish', () => victim.kill());
  sendReply(reply, engineReply);
}

/** Whether a part of a request, by its place, is one of those that fail. */
function isPart({ every, offset }: { readonly every: number; readonly offset: number }) {
  return (index: number): boolean => index % every === offset;
}

/** Faults that leave a part of a request out, and hold it all back where it has no parts. */
function isPartial(fault: RequestFault | undefined): boolean {
  return fault?.kind === 'throttlePart' || fault?.kind === 'sinkRejects';
}

function partsOf(
  fault: RequestFault | undefined,
  operation: string,
  body: Buffer,
): PartialThrottle | undefined {
  if (fault?.kind === 'throttlePart') return throttlePart(operation, parse(body), isPart(fault));
  if (fault?.kind === 'sinkRejects') return throttlePart(operation, parse(body), () => true);
  return undefined;
}

/** Asks for what was not throttled, and gives the reply to the whole. */
async function forwardPart(
  request: IncomingMessage,
  parts: PartialThrottle,
  passage: Passage,
): Promise<EngineReply> {
  const nothingAsked: EngineReply = {
    status: 200,
    headers: { 'content-type': request.headers['content-type'] },
    body: Buffer.from('{}'),
  };
  const reply =
    parts.request === undefined
      ? nothingAsked
      : await forward(request, Buffer.from(JSON.stringify(parts.request)), passage);
  return rewritten(reply, (document) => parts.complete(document)) ?? reply;
}

/** A reply of success with another document; nothing where it is none. */
function rewritten(reply: EngineReply, rewrite: (document: object) => object): EngineReply | undefined {
  const document = parse(reply.body);
  if (reply.status !== 200 || typeof document !== 'object' || document === null) return undefined;
  const body = Buffer.from(JSON.stringify(rewrite(document)));
  const headers: OutgoingHttpHeaders = { ...reply.headers, 'content-length': body.length };
  // The engine's checksum is that of another body.
  delete headers['x-amz-crc32'];
  return { status: 200, headers, body };
}

/** Nothing where it is not JSON. */
function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

function forward(request: IncomingMessage, body: Buffer, passage: Passage): Promise<EngineReply> {
  return new Promise((resolve, reject) => {
    const outgoing = sendRequest(
      {
        host: passage.engine.hostname,
        port: passage.engine.port,
        method: request.method,
        path: request.url,
        agent: passage.agent,
        // The Host header stays the client's own: it is a part of what the client has signed.
        headers: { ...keptHeaders(request), 'content-length': body.length },
      },
      (incoming) => {
        readBody(incoming).then((replyBody) => {
          const whole = replyBody ?? Buffer.alloc(0);
          const headers = keptHeaders(incoming);
          // The reply to HEAD has no body, and the length of what GET would give.
          const length = request.method === 'HEAD' ? incoming.headers['content-length'] : whole.length;
          if (length !== undefined) headers['content-length'] = length;
          resolve({ status: incoming.statusCode ?? 502, headers, body: whole });
        }, reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

function keptHeaders(message: IncomingMessage): OutgoingHttpHeaders {
  return Object.fromEntries(
    Object.entries(message.headersDistinct).flatMap(([name, values]) =>
      CONNECTION_HEADERS.has(name) || values === undefined
        ? []
        : [[name, values.length === 1 ? values[0] : values]],
    ),
  );
}

function sendReply(reply: ServerResponse, { status, headers, body }: EngineReply): void {
  reply.writeHead(status, headers).end(body);
}

function sendErrorReply(reply: ServerResponse, error: ErrorReply): void {
  reply
    .writeHead(error.status, {
      'Content-Type': error.contentType,
      'Content-Length': Buffer.byteLength(error.body),
      'x-amzn-RequestId': 'INJECTED',
    })
    .end(error.body);
}

function cut(request: IncomingMessage): void {
  request.socket.destroy();
}

function delay(timer: Timer, delayMs: number): Promise<void> {
  return new Promise((resolve) => void timer.schedule(delayMs, resolve));
}

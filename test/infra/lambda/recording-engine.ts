import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface EngineAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Stands for an engine: remembers what took effect, and answers as the test says; with `{}` unless told. */
export class RecordingEngine {
  readonly requests: RecordedRequest[] = [];
  answer: (request: RecordedRequest) => EngineAnswer = () => ({ status: 200, body: '{}' });
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (request, reply) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const recorded = {
          method: request.method ?? '',
          path: request.url ?? '',
          headers: request.headers,
          body: Buffer.concat(chunks).toString('utf8'),
        };
        this.requests.push(recorded);
        const { status, headers, body } = this.answer(recorded);
        reply.writeHead(status, headers).end(body);
      });
    });
  }

  static async open(): Promise<RecordingEngine> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new RecordingEngine(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The bodies of what took effect, in order. */
  get bodies(): string[] {
    return this.requests.map(({ body }) => body);
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

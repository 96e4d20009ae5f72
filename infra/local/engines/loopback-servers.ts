import type { Server, Socket } from 'node:net';

/**
 * Keeps the servers that an engine opens on 127.0.0.1 and at a port that the operating system chooses, whatever the
 * engine asks for, and can close them with their connections: kinesis-mock listens on every interface, and waits for
 * open connections when it ends.
 */
export class LoopbackServers {
  readonly #sockets = new Set<Socket>();
  readonly #servers = new Set<Server>();
  readonly #onListening: (askedPort: number, port: number) => void;

  /** @param onListening is told, for each server, the port that was asked for and the one that it has. */
  constructor(onListening: (askedPort: number, port: number) => void) {
    this.#onListening = onListening;
  }

  /** Takes a server over before it listens. */
  adopt<S extends Server>(server: S): S {
    this.#servers.add(server);
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    const listen = server.listen.bind(server);
    Object.defineProperty(server, 'listen', {
      value: (...asked: readonly unknown[]) => {
        const [askedPort] = asked;
        if (typeof askedPort === 'number') {
          // A server that cannot listen says so to the engine, which opened it.
          listeningPort(server).then(
            (port) => this.#onListening(askedPort, port),
            () => undefined,
          );
        }
        const callback = asked.find((argument) => typeof argument === 'function') as (() => void) | undefined;
        return listen({ port: 0, host: '127.0.0.1' }, callback);
      },
    });
    return server;
  }

  /**
   * Refuses new connections, and tells the engine that its clients have nothing more to say, so that it closes the
   * connections itself once it has answered. Destroying them instead leaves kinesis-mock waiting for ever.
   */
  close(): void {
    for (const server of this.#servers) if (server.listening) server.close();
    for (const socket of this.#sockets) if (!socket.readableEnded && !socket.destroyed) socket.push(null);
  }
}

/** The port of a server once it listens. */
export function listeningPort(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    const answer = () => {
      const address = server.address();
      if (typeof address === 'object' && address !== null) resolve(address.port);
      else reject(new Error(`The server listens at ${String(address)}, which is no TCP port.`));
    };
    if (server.listening) answer();
    else server.once('listening', answer).once('error', reject);
  });
}

import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/**
 * Functions hold a connection to it; the kernel closes the connection when the process ends, however it ends. So a
 * test learns of the end of a process, also of a frozen one, without asking again and again.
 */
export class Lifeline {
  readonly #server: Server;
  readonly #ends: Promise<unknown>[] = [];
  readonly #sockets = new Set<Socket>();
  #words = '';
  #onWord = (): void => {};

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      this.#ends.push(new Promise((resolve) => socket.once('close', resolve)));
      // A process that is killed may reset its connection: that too is its end.
      socket.on('error', () => {});
      socket.setEncoding('utf8').on('data', (text: string) => {
        this.#words += text;
        this.#onWord();
      });
    });
  }

  static async open(): Promise<Lifeline> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Lifeline(server);
  }

  /** Code that a handler's module runs when it is loaded; afterwards it has `say(word)`. */
  get code(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `
      import { once } from 'node:events';
      import { connect } from 'node:net';
      const lifeline = connect(${port}, '127.0.0.1');
      await once(lifeline, 'connect');
      const say = (word) => new Promise((resolve) => lifeline.write(word, resolve));
    `;
  }

  /** How many processes have taken hold so far. */
  get connections(): number {
    return this.#ends.length;
  }

  /** Resolves when a process has said the word. */
  async heard(word: string): Promise<void> {
    while (!this.#words.includes(word)) {
      await new Promise<void>((resolve) => {
        this.#onWord = resolve;
      });
    }
  }

  /** Every process that has taken hold gets the word. */
  tell(word: string): void {
    for (const socket of this.#sockets) socket.write(word);
  }

  /** Resolves when every process that has taken hold is gone. */
  async released(): Promise<void> {
    await Promise.all(this.#ends);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }
}

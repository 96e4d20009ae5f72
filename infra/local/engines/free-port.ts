import { once } from 'node:events';
import { createServer } from 'node:net';
import { listeningPort } from './loopback-servers.ts';

/**
 * A port that was free a moment ago, for an engine that cannot be told to choose one. Another process can take it in
 * between; the engine then ends, with a message that says so.
 */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  const port = await listeningPort(server);
  server.close();
  await once(server, 'close');
  return port;
}

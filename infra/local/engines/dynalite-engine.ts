import { mkdirSync } from 'node:fs';
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import { hostEngine } from './engine-host.ts';
import { listeningPort } from './loopback-servers.ts';

export interface DynaliteSettings {
  /** Where the tables are kept; without it they are gone when the engine stops. */
  readonly directory?: string;
}

/** dynalite brings no types. */
type Dynalite = (options: {
  path?: string;
  createTableMs: number;
  deleteTableMs: number;
  updateTableMs: number;
}) => Server;

hostEngine<DynaliteSettings>(async ({ directory }) => {
  const dynalite = createRequire(import.meta.url)('dynalite') as Dynalite;
  if (directory !== undefined) mkdirSync(directory, { recursive: true });
  const server = dynalite({
    createTableMs: 0,
    deleteTableMs: 0,
    updateTableMs: 0,
    ...(directory !== undefined && { path: directory }),
  });
  server.listen(0, '127.0.0.1');
  const port = await listeningPort(server);
  return {
    port,
    stop: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined || error === null ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
});

import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';
import type * as SeedWorker from './seed-worker.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A change to the engine's text that breaks one of its rules. */
export interface SourceChange {
  /** Path from the project's root. */
  readonly file: string;
  /** Stands there exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface SimulationBundle {
  /** A worker's file. */
  readonly file: string;
  /**
   * The same, to be run here. Only in a bundle does what is imported when it is needed come without waiting for a disk,
   * which no virtual time knows of.
   */
  load(): Promise<typeof SeedWorker>;
  remove(): Promise<void>;
}

/**
 * Bundles the simulation with its engine for worker threads, which start faster so; with changes, it is the simulation
 * of a broken engine.
 * @throws Error where the text of a change does not stand in its file exactly once: the engine has been rewritten, and
 * the change must be too.
 */
export async function bundleSimulation(changes: readonly SourceChange[] = []): Promise<SimulationBundle> {
  const directory = await mkdtemp(path.join(tmpdir(), 'tidemark-simulation-'));
  const file = path.join(directory, 'worker.mjs');
  await build({
    entryPoints: [path.join(ROOT, 'test/simulation/seed-worker.ts')],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    plugins: changes.length === 0 ? [] : [changing(changes)],
  });
  return {
    file,
    load: () => import(pathToFileURL(file).href) as Promise<typeof SeedWorker>,
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

function changing(changes: readonly SourceChange[]): Plugin {
  const byFile = new Map<string, string>();
  for (const { file, find, replace } of changes) {
    const full = path.join(ROOT, file);
    const text = byFile.get(full) ?? readFileSync(full, 'utf8');
    const parts = text.split(find);
    if (parts.length !== 2) {
      throw new Error(`${file} holds ${parts.length - 1} times what should be changed there once: ${find}`);
    }
    byFile.set(full, parts.join(replace));
  }
  return {
    name: 'broken-engine',
    setup(context) {
      context.onLoad({ filter: /\.ts$/ }, ({ path: loaded }) => {
        const contents = byFile.get(loaded);
        return contents === undefined ? undefined : { contents, loader: 'ts' };
      });
    },
  };
}

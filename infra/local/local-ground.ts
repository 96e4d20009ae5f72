import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { SynthesisOptions } from '../synthesis.ts';
import { type EngineOptions, type Engines, startEngines } from './engines/engines.ts';
import type { LocalStack } from './provision/local-stack.ts';
import { removeStacks } from './provision/remove-stacks.ts';

export interface GroundOptions extends EngineOptions {
  /** Names of the pipelines that are synthesized, as in infra/pipelines.ts. */
  readonly pipelines: readonly string[];
  /** Settings in place of those of the templates. */
  readonly overrides?: NonNullable<SynthesisOptions['overrides']>;
}

/** What a local cloud stands on: engines that run, and a synthesized app. */
export interface LocalGround {
  readonly engines: Engines;
  readonly assemblyDirectory: string;
  /** For a cloud that has ended: leaves nothing of its stacks. */
  release(stacks: readonly LocalStack[]): Promise<void>;
}

/** A ground for several clouds, one after the other. */
export interface SharedGround extends LocalGround {
  /** Ends the engines. */
  stop(): Promise<void>;
}

/**
 * The ground of one cloud, which ends with it.
 * @throws Error when an engine does not start or the app cannot be synthesized; nothing is left running then.
 */
export async function startGround(options: GroundOptions): Promise<LocalGround> {
  const ground = await startSharedGround(options);
  return { ...ground, release: () => ground.stop() };
}

/**
 * A ground whose engines and assembly are used again: streams, tables and objects of a cloud are removed when it ends,
 * and the next one makes its own.
 * @throws Error when an engine does not start or the app cannot be synthesized; nothing is left running then.
 */
export async function startSharedGround(options: GroundOptions): Promise<SharedGround> {
  const { pipelines, overrides, ...engineOptions } = options;
  const assemblyDirectory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-local-'));
  const removeAssembly = () => rmSync(assemblyDirectory, { recursive: true, force: true });
  const starting = startEngines(engineOptions);
  // They may fail while the app is synthesized and nobody awaits them.
  starting.catch(() => undefined);
  try {
    // Loaded here and not above: CDK takes a second to load, in which the engines start already.
    const { synthesize } = await import('../app.ts');
    synthesize({
      pipelines,
      checkSchemas: false,
      outdir: assemblyDirectory,
      ...(overrides && { overrides }),
    });
    const engines = await starting;
    return {
      engines,
      assemblyDirectory,
      release: (stacks) => removeStacks(engines.clients(), stacks),
      stop: async () => {
        await engines.stop();
        removeAssembly();
      },
    };
  } catch (error) {
    await starting.then(
      (engines) => engines.stop(),
      () => undefined,
    );
    removeAssembly();
    throw error;
  }
}

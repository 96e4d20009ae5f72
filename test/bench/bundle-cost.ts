import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { build, type Metafile } from 'esbuild';
import { bundleHandler } from '../../infra/constructs/handler-bundle.ts';
import type { StatefulPipelineProps } from '../../infra/constructs/stateful-pipeline-props.ts';

const run = promisify(execFile);
const IMPORTS = 15;

export interface BundleCost {
  readonly pipeline: string;
  /** What importing the handler loads, minified. */
  readonly importKb: number;
  /** The same with what the first batch loads: the Kinesis client, for it writes to a stream. */
  readonly firstBatchKb: number;
  /** Importing all of that, median, milliseconds. */
  readonly importMs: number;
  /** Importing the same SDK clients alone, bundled and minified in the same way. */
  readonly clientsImportMs: number;
  /** Of the two in turn, median: the target is at most 25. */
  readonly differenceMs: number;
}

/** The module that pipelines with a Kinesis sink load at their first batch. */
const KINESIS_PORTS = 'shared/lambda/kinesis-ports.ts';

/** Size and import time of a handler's bundle; the two imports in turn, each in a process of its own. */
export async function bundleCost({ pipeline, handlerFile }: StatefulPipelineProps): Promise<BundleCost> {
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
  try {
    const bundle = bundleHandler(handlerFile, join(directory, 'handler'));
    const { outputs } = bundle.metafile;
    const ports = Object.keys(outputs).find((output) => outputs[output]?.entryPoint === KINESIS_PORTS);
    const entry = Object.keys(outputs).find((output) => output.endsWith('/index.mjs'));
    if (ports === undefined || entry === undefined)
      throw new Error(`The bundle has no chunk of ${KINESIS_PORTS}.`);
    const loaded = closure(bundle.metafile, [entry, ports]);
    const clients = join(directory, 'clients.mjs');
    await build({
      stdin: {
        contents:
          "export { DynamoDBClient } from '@aws-sdk/client-dynamodb';" +
          "export { KinesisClient } from '@aws-sdk/client-kinesis';",
        resolveDir: import.meta.dirname,
      },
      bundle: true,
      minify: true,
      platform: 'node',
      format: 'esm',
      target: 'node22',
      mainFields: ['module', 'main'],
      outfile: clients,
      banner: {
        js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
      },
    });
    const ours = [join(directory, 'handler', 'index.mjs'), join(directory, 'handler', basename(ports))];
    const importTimes: number[] = [];
    const clientTimes: number[] = [];
    for (let round = 0; round < IMPORTS; round++) {
      clientTimes.push(await importMs(directory, [clients]));
      importTimes.push(await importMs(directory, ours));
    }
    return {
      pipeline: pipeline.definition.name,
      importKb: Math.round(bundle.coldStartBytes / 1_000),
      firstBatchKb: Math.round(
        loaded.reduce((sum, output) => sum + (outputs[output]?.bytes ?? 0), 0) / 1_000,
      ),
      importMs: median(importTimes),
      clientsImportMs: median(clientTimes),
      differenceMs: median(importTimes.map((ms, round) => ms - (clientTimes[round] as number))),
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The outputs that are loaded with these, by static imports. */
function closure({ outputs }: Metafile, entries: readonly string[]): string[] {
  const loaded = new Set(entries);
  for (const output of loaded) {
    for (const { path, kind } of outputs[output]?.imports ?? []) {
      if (kind === 'import-statement' && path in outputs) loaded.add(path);
    }
  }
  return [...loaded];
}

async function importMs(directory: string, files: readonly string[]): Promise<number> {
  const script = join(directory, 'import.mjs');
  await writeFile(
    script,
    'const start = performance.now();' +
      'for (const file of process.argv.slice(2)) await import(file);' +
      'console.log(performance.now() - start);',
  );
  const { stdout } = await run(process.execPath, [script, ...files]);
  return Number(stdout);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

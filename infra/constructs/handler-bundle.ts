import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { buildSync, type BuildOptions, type BuildResult, type Metafile } from 'esbuild';

/** The module that Lambda loads. `.mjs` is ESM whatever a `package.json` near the asset says. */
export const ENTRY_FILE = 'index.mjs';

/**
 * Some CommonJS packages call `require` for Node's own modules, which an ES module does not have. Only bundles that
 * contain such a call get this line, because it costs a module load at every cold start.
 */
const REQUIRE_BANNER =
  "import{createRequire as __tidemarkCreateRequire}from'node:module';" +
  'const require=__tidemarkCreateRequire(import.meta.url);';

/** Never exists on disk: output is kept in memory, so that no path in it depends on where it is written. */
const VIRTUAL_OUTPUT = '.bundle';

/** What `bundleHandler` wrote. */
export interface HandlerBundle {
  readonly directory: string;
  /** SHA-256 over names and contents, hexadecimal: equal sources give equal digests on every machine. */
  readonly digest: string;
  /** In the order of their names, source maps included. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** Bytes of code that a cold start loads: the entry and everything that it imports statically. */
  readonly coldStartBytes: number;
  /** The source files of which a cold start loads at least a part, relative to the project. */
  readonly coldStartInputs: readonly string[];
  /** esbuild's own account, for size reports; paths are relative to the project. */
  readonly metafile: Metafile;
}

/**
 * Bundles a Lambda handler into `index.mjs` and the chunks that it imports lazily, minified, with source maps.
 * The content of `outDirectory` is replaced. What is written depends on the sources alone.
 * @param handlerFile a TypeScript or JavaScript module that exports `handler`
 * @throws Error when the file is missing, does not build, or does not export `handler`.
 */
export function bundleHandler(handlerFile: string, outDirectory: string): HandlerBundle {
  const entry = resolve(handlerFile);
  if (!existsSync(entry)) {
    throw new Error(`Handler file ${JSON.stringify(entry)} does not exist; give the path of a module.`);
  }
  const project = projectOf(entry);
  const plain = build(entry, project, '');
  const result = callsRequire(plain.metafile) ? build(entry, project, REQUIRE_BANNER) : plain;

  const entryOutput = result.metafile.outputs[`${VIRTUAL_OUTPUT}/${ENTRY_FILE}`];
  if (entryOutput?.exports.includes('handler') !== true) {
    throw new Error(
      `Handler file ${JSON.stringify(entry)} exports ${JSON.stringify(entryOutput?.exports ?? [])}, ` +
        'but Lambda calls the export named "handler": export one.',
    );
  }

  const directory = resolve(outDirectory);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const digest = createHash('sha256');
  const files = result.outputFiles
    .map((file) => ({ name: basename(file.path), contents: file.contents }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { name, contents } of files) {
    writeFileSync(join(directory, name), contents);
    digest.update(`${name}\0${contents.length}\0`).update(contents);
  }

  const loaded = staticClosure(result.metafile, `${VIRTUAL_OUTPUT}/${ENTRY_FILE}`);
  return {
    directory,
    digest: digest.digest('hex'),
    files: files.map(({ name, contents }) => ({ name, bytes: contents.length })),
    coldStartBytes: loaded.reduce((sum, output) => sum + (result.metafile.outputs[output]?.bytes ?? 0), 0),
    coldStartInputs: [
      ...new Set(loaded.flatMap((output) => Object.keys(result.metafile.outputs[output]?.inputs ?? {}))),
    ].sort(),
    metafile: result.metafile,
  };
}

type InMemoryBuild = BuildResult<{ write: false; metafile: true }>;

function build(entry: string, project: string, banner: string): InMemoryBuild {
  const options = {
    absWorkingDir: project,
    entryPoints: { index: entry },
    outdir: join(project, VIRTUAL_OUTPUT),
    outExtension: { '.js': '.mjs' },
    entryNames: '[name]',
    chunkNames: 'chunk-[hash]',
    bundle: true,
    // A lazily imported client becomes a chunk of its own, which a cold start does not load.
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    // The ES modules of the AWS SDK can be shaken, its CommonJS cannot.
    mainFields: ['module', 'main'],
    minify: true,
    legalComments: 'none',
    sourcemap: 'linked',
    sourcesContent: false,
    charset: 'utf8',
    banner: { js: banner },
    metafile: true,
    write: false,
    logLevel: 'silent',
  } as const satisfies BuildOptions;
  try {
    return buildSync(options);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Handler file ${JSON.stringify(entry)} does not build: ${reason}`, { cause: error });
  }
}

/** The nearest folder with a `package.json`: paths in the output are relative to it, and so the same everywhere. */
function projectOf(file: string): string {
  let folder = dirname(file);
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) return dirname(file);
    folder = parent;
  }
  return folder;
}

function callsRequire(metafile: Metafile): boolean {
  return Object.values(metafile.outputs).some((output) =>
    output.imports.some((imported) => imported.kind === 'require-call' && imported.external === true),
  );
}

function staticClosure(metafile: Metafile, entry: string): string[] {
  const seen = new Set([entry]);
  for (const output of seen) {
    for (const imported of metafile.outputs[output]?.imports ?? []) {
      if (imported.kind === 'import-statement' && imported.external !== true) seen.add(imported.path);
    }
  }
  return [...seen];
}

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { bundleHandler, ENTRY_FILE } from '../../../infra/constructs/handler-bundle.ts';
import { HANDLER_FILE } from './fixtures/orders-pipeline.ts';
import { temporaryFolder } from './fixtures/orders-stack.ts';

function contentsOf(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
  );
}

describe('a handler bundle', () => {
  it('loads what reads aggregates, and learns the ranges of shards, only when a stream has one', () => {
    const bundle = bundleHandler('functions/word-count/handler.ts', join(temporaryFolder(), 'code'));

    for (const part of [
      '@bufbuild/protobuf/',
      'shared/source/aggregate-format.ts',
      '@aws-sdk/client-kinesis/',
    ]) {
      const isPart = (file: string): boolean => file.includes(part);
      expect(Object.keys(bundle.metafile.inputs).some(isPart)).toBe(true);
      expect(bundle.coldStartInputs.filter(isPart)).toEqual([]);
    }
    // The encoder is for tests.
    expect(Object.keys(bundle.metafile.inputs).filter((file) => file.includes('shared/testing/'))).toEqual(
      [],
    );
  });

  it('loads the DynamoDB client at a cold start, and the S3 client only when it is asked for', () => {
    const bundle = bundleHandler(HANDLER_FILE, join(temporaryFolder(), 'code'));

    const anywhere = Object.keys(bundle.metafile.inputs);
    expect(anywhere.some((file) => file.includes('@aws-sdk/client-s3/'))).toBe(true);
    expect(bundle.coldStartInputs.some((file) => file.includes('@aws-sdk/client-dynamodb/'))).toBe(true);
    expect(bundle.coldStartInputs.filter((file) => file.includes('@aws-sdk/client-s3/'))).toEqual([]);
  });

  it('takes the ES modules of the SDK, so that a cold start reads less than 350 KB', () => {
    const bundle = bundleHandler(HANDLER_FILE, join(temporaryFolder(), 'code'));

    expect(bundle.coldStartInputs.filter((file) => file.includes('/dist-cjs/'))).toEqual([]);
    expect(bundle.coldStartBytes).toBeGreaterThan(50_000);
    expect(bundle.coldStartBytes).toBeLessThan(350_000);
  });

  it('consists of the entry, its chunks and their source maps', () => {
    const folder = join(temporaryFolder(), 'code');
    const bundle = bundleHandler(HANDLER_FILE, folder);

    const names = bundle.files.map((file) => file.name);
    expect(readdirSync(folder).sort()).toEqual(names);
    expect(names).toContain(ENTRY_FILE);
    const code = names.filter((name) => name.endsWith('.mjs'));
    expect(code.length).toBeGreaterThan(1);
    expect(names).toEqual(code.flatMap((name) => [name, `${name}.map`]));
  });

  it('is the same wherever it is written', () => {
    const first = join(temporaryFolder(), 'code');
    const second = join(temporaryFolder(), 'deeper', 'still', 'code');

    expect(bundleHandler(HANDLER_FILE, first).digest).toBe(bundleHandler(HANDLER_FILE, second).digest);
    expect(contentsOf(first)).toEqual(contentsOf(second));
  });

  it('names its sources relative to the project, never by a path of this machine', () => {
    const folder = join(temporaryFolder(), 'code');
    bundleHandler(HANDLER_FILE, folder);

    const map = JSON.parse(readFileSync(join(folder, `${ENTRY_FILE}.map`), 'utf8')) as { sources: string[] };
    expect(map.sources).toContain('../test/infra/cdk/fixtures/handler.ts');
    expect(Object.values(contentsOf(folder)).filter((text) => text.includes(process.cwd()))).toEqual([]);
  });

  it('changes its digest with the code', () => {
    const folder = temporaryFolder();
    const handlerFile = join(folder, 'handler.ts');
    writeFileSync(handlerFile, 'export const handler = () => 1;');
    const before = bundleHandler(handlerFile, join(folder, 'code')).digest;
    writeFileSync(handlerFile, 'export const handler = () => 2;');

    expect(bundleHandler(handlerFile, join(folder, 'code')).digest).not.toBe(before);
  });

  it('replaces what was in its folder', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'left-over.mjs'), '');
    bundleHandler(HANDLER_FILE, folder);

    expect(readdirSync(folder)).not.toContain('left-over.mjs');
  });

  it('runs as an ES module even where package.json says CommonJS', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'package.json'), '{"type":"commonjs"}');
    const { directory } = bundleHandler(HANDLER_FILE, join(folder, 'code'));

    expect(exportsOf(directory)).toEqual(['handler']);
  });

  it('gives CommonJS packages a require only where one of them calls it', () => {
    const folder = temporaryFolder();
    const handlerFile = join(folder, 'handler.ts');
    writeFileSync(join(folder, 'old.cjs'), "module.exports = require('node:path').sep;");
    writeFileSync(handlerFile, "import separator from './old.cjs';\nexport const handler = () => separator;");
    const { directory } = bundleHandler(handlerFile, join(folder, 'code'));

    expect(readFileSync(join(directory, ENTRY_FILE), 'utf8')).toContain('createRequire');
    expect(exportsOf(directory)).toEqual(['handler']);
    const plain = bundleHandler(HANDLER_FILE, join(folder, 'plain'));
    expect(readFileSync(join(plain.directory, ENTRY_FILE), 'utf8')).not.toContain('createRequire');
  });

  it('refuses a file that is not there', () => {
    expect(() => bundleHandler('/nowhere/handler.ts', temporaryFolder())).toThrow(
      'Handler file "/nowhere/handler.ts" does not exist; give the path of a module.',
    );
  });

  it('refuses a module without an export named "handler"', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'handler.ts'), 'export const handle = () => 1;');

    expect(() => bundleHandler(join(folder, 'handler.ts'), join(folder, 'code'))).toThrow(
      'exports ["handle"], but Lambda calls the export named "handler": export one.',
    );
  });

  it('says why a module does not build', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'handler.ts'), "export { handler } from './missing.ts';");

    expect(() => bundleHandler(join(folder, 'handler.ts'), join(folder, 'code'))).toThrow(
      /does not build: [^]*Could not resolve ".\/missing.ts"/,
    );
  });
});

/** What another process sees when it imports the bundle. */
function exportsOf(directory: string): unknown {
  const url = pathToFileURL(join(directory, ENTRY_FILE)).href;
  const program = `console.log(JSON.stringify(Object.keys(await import(${JSON.stringify(url)}))))`;
  return JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' }),
  );
}

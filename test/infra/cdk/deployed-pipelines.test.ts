import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { synthesize } from '../../../infra/app.ts';
import { PIPELINES } from '../../../infra/pipelines.ts';
import { bundleHandler } from '../../../infra/constructs/handler-bundle.ts';
import { temporaryFolder } from './fixtures/orders-stack.ts';

const FUNCTIONS = new URL('../../../functions/', import.meta.url);

/** Everything that a cold start reads, minified: the DynamoDB client, the engine, logs and metrics, a schema library. */
const COLD_START_LIMIT_BYTES = 460_000;

describe('the deployed pipelines', () => {
  it('are those in functions/, each under the name of its folder', () => {
    const folders = readdirSync(FUNCTIONS, { withFileTypes: true }).filter((entry) => entry.isDirectory());

    expect(PIPELINES.map(({ pipeline }) => pipeline.definition.name).sort()).toEqual(
      folders.map((folder) => folder.name).sort(),
    );
  });

  it('are synthesized, one stack and one code asset each, and break no rule', () => {
    const outdir = temporaryFolder();
    const assembly = synthesize({ outdir });

    expect(assembly.stacks.map((stack) => stack.id).sort()).toEqual(
      PIPELINES.map(({ pipeline }) => `Tidemark-${pipeline.definition.name}`).sort(),
    );
    const assets = readdirSync(outdir).filter((name) => name.startsWith('asset.'));
    expect(assets).toHaveLength(PIPELINES.length);
    for (const asset of assets) expect(existsSync(join(outdir, asset, 'index.mjs'))).toBe(true);
  });

  it.each(PIPELINES.map((props) => [props.pipeline.definition.name, props.handlerFile] as const))(
    'load little code when %s starts cold, and not the S3 client',
    (_name, handlerFile) => {
      const bundle = bundleHandler(handlerFile, join(temporaryFolder(), 'code'));

      expect(bundle.coldStartBytes).toBeLessThan(COLD_START_LIMIT_BYTES);
      expect(bundle.coldStartInputs.filter((file) => file.includes('@aws-sdk/client-s3/'))).toEqual([]);
    },
  );
});

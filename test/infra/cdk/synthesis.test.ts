import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, Stack, Validations, type Acknowledgment } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { StatefulPipeline } from '../../../infra/constructs/stateful-pipeline.ts';
import { OUTPUTS, stackIdOf } from '../../../infra/stack-names.ts';
import { synthesizePipelines } from '../../../infra/synthesis.ts';
import { HANDLER_FILE, ordersPipeline, SMALL_HANDLER_FILE } from './fixtures/orders-pipeline.ts';
import { temporaryFolder } from './fixtures/orders-stack.ts';

const ORDERS = { pipeline: ordersPipeline(), handlerFile: SMALL_HANDLER_FILE };
const RETURNS = { pipeline: ordersPipeline({ name: 'returns' }), handlerFile: SMALL_HANDLER_FILE };

interface SynthesizedTemplate {
  readonly Resources: Record<string, { readonly Type: string; readonly Properties: Record<string, unknown> }>;
  readonly Outputs: Record<string, unknown>;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('synthesis', () => {
  it('makes one stack per pipeline, without an account, into the folder that it is given', () => {
    const outdir = temporaryFolder();
    const assembly = synthesizePipelines([ORDERS, RETURNS], { outdir });

    expect(assembly.directory).toBe(outdir);
    expect(assembly.stacks.map((stack) => stack.id)).toEqual(['Tidemark-orders', 'Tidemark-returns']);
  });

  it('makes the stacks that it is asked for', () => {
    const assembly = synthesizePipelines([ORDERS, RETURNS], {
      outdir: temporaryFolder(),
      pipelines: ['returns', 'returns'],
      checkSchemas: false,
    });

    expect(assembly.stacks.map((stack) => stack.id)).toEqual(['Tidemark-returns']);
  });

  it('replaces settings that it is told to replace', () => {
    const template = templateOf({ overrides: { shardCount: 3, batchSize: 7, parallelizationFactor: 2 } });

    expect(propertiesOf(template, 'AWS::Kinesis::Stream')).toContainEqual(
      expect.objectContaining({ ShardCount: 3 }),
    );
    expect(propertiesOf(template, 'AWS::Lambda::EventSourceMapping')).toEqual([
      expect.objectContaining({ BatchSize: 7, ParallelizationFactor: 2 }),
    ]);
  });

  it('gives the names of the resources as outputs of the stack', () => {
    // Beside the exports of the sinks' streams, for the stacks of pipelines that read them.
    const names = Object.keys(templateOf().Outputs).filter((name) => !name.startsWith('Exports'));
    expect(names.sort()).toEqual(Object.values(OUTPUTS).sort());
  });

  it('refuses a pipeline that there is not', () => {
    expect(() => synthesizePipelines([ORDERS], { outdir: temporaryFolder(), pipelines: ['order'] })).toThrow(
      'There is no pipeline "order"; there are ["orders"]. Pipelines are listed in infra/pipelines.ts.',
    );
  });

  it('refuses two pipelines of one name', () => {
    expect(() => synthesizePipelines([ORDERS, ORDERS], { outdir: temporaryFolder() })).toThrow(
      'Two pipelines are named "orders"; stacks carry the name: rename one of them.',
    );
  });
});

describe('the synthesized code', () => {
  it('has the same hash for the same sources, wherever it is synthesized', () => {
    const assets = [temporaryFolder(), temporaryFolder()].map((outdir) => {
      synthesizePipelines([ORDERS], { outdir, checkSchemas: false });
      return readdirSync(outdir).filter((name) => name.startsWith('asset.'));
    });

    expect(assets[0]).toHaveLength(1);
    expect(assets[0]).toEqual(assets[1]);
  });

  it('is in a folder of its own with the entry that the function names, and nothing else is left', () => {
    const outdir = temporaryFolder();
    synthesizePipelines([ORDERS], { outdir, checkSchemas: false });

    const folders = readdirSync(outdir, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(folders.map((folder) => folder.name)).toEqual([expect.stringMatching(/^asset\.[0-9a-f]{64}$/)]);
    expect(readdirSync(join(outdir, folders[0]?.name ?? ''))).toContain('index.mjs');
  });

  it('is bundled again when the same process synthesizes again', () => {
    const outdir = temporaryFolder();
    const [before, after] = [ORDERS, { ...ORDERS, handlerFile: HANDLER_FILE }].map((deployed) => {
      synthesizePipelines([deployed], { outdir, checkSchemas: false });
      const text = readFileSync(join(outdir, 'Tidemark-orders.template.json'), 'utf8');
      return propertiesOf(JSON.parse(text) as SynthesizedTemplate, 'AWS::Lambda::Function')[0]?.['Code'];
    });

    expect(after).not.toEqual(before);
  });
});

describe("cdk-nag's AwsSolutions rules", () => {
  it('find nothing that is not acknowledged', () => {
    const { violations } = new AwsSolutionsChecks().validateScope(appWithOrders());

    expect(violations).toEqual([]);
  });

  it('find each acknowledged thing when it is not acknowledged, and nothing beside', () => {
    const acknowledged: Acknowledgment[] = [];
    vi.spyOn(Validations.prototype, 'acknowledge').mockImplementation((...rules) => {
      acknowledged.push(...rules);
    });
    const { violations } = new AwsSolutionsChecks().validateScope(appWithOrders());

    const rules = violations.map((violation) => violation.ruleName).sort();
    expect(rules).toEqual([
      'AwsSolutions-IAM5[Resource::*]',
      expect.stringMatching(
        /^AwsSolutions-IAM5\[Resource::<OrdersBucket\w+\.Arn>\/checkpoints\/orders\/\*\]$/,
      ),
      expect.stringMatching(
        /^AwsSolutions-IAM5\[Resource::<OrdersBucket\w+\.Arn>\/closed-letters\/orders\/\*\]$/,
      ),
      expect.stringMatching(
        /^AwsSolutions-IAM5\[Resource::<OrdersBucket\w+\.Arn>\/dead-letters\/orders\/\*\]$/,
      ),
      expect.stringMatching(/^AwsSolutions-IAM5\[Resource::<OrdersBucket\w+\.Arn>\/spilled\/orders\/\*\]$/),
      'AwsSolutions-S1',
    ]);
    expect(acknowledged.map((rule) => rule.id).sort()).toEqual(rules);
    for (const { reason } of acknowledged) expect(reason.length).toBeGreaterThan(40);
  });

  it('stop the synthesis and are told', () => {
    vi.spyOn(Validations.prototype, 'acknowledge').mockReturnValue();

    expect(() => synthesizePipelines([ORDERS], { outdir: temporaryFolder(), checkSchemas: false })).toThrow(
      /AwsSolutions-S1/,
    );
  });
});

function appWithOrders(): App {
  const app = new App({ outdir: temporaryFolder() });
  new StatefulPipeline(new Stack(app, 'Test'), 'Orders', ORDERS);
  return app;
}

function templateOf(options: Parameters<typeof synthesizePipelines>[1] = {}): SynthesizedTemplate {
  const assembly = synthesizePipelines([ORDERS], {
    outdir: temporaryFolder(),
    checkSchemas: false,
    ...options,
  });
  return assembly.getStackByName(stackIdOf('orders')).template as SynthesizedTemplate;
}

function propertiesOf(template: SynthesizedTemplate, type: string): Record<string, unknown>[] {
  return Object.values(template.Resources)
    .filter((resource) => resource.Type === type)
    .map((resource) => resource.Properties);
}

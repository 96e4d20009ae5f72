import { Key } from 'aws-cdk-lib/aws-kms';
import { Stream } from 'aws-cdk-lib/aws-kinesis';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import type { StatefulPipelineProps } from '../../../infra/constructs/stateful-pipeline-props.ts';
import { PipelineStack } from '../../../infra/stack.ts';
import { stackIdOf } from '../../../infra/stack-names.ts';
import { synthesizePipelines, type SynthesisOptions } from '../../../infra/synthesis.ts';
import type { Pipeline } from '../../../shared/pipeline/definition.ts';
import { ordersPipeline, SMALL_HANDLER_FILE, TOTALS } from './fixtures/orders-pipeline.ts';
import { temporaryFolder } from './fixtures/orders-stack.ts';

/** Reads what the sink `totals` of the orders pipeline writes. */
function reportsPipeline(retentionHours = 24, name = 'reports', stream = TOTALS.stream): Pipeline {
  return ordersPipeline({
    name,
    sinks: [],
    source: {
      kind: 'kinesis',
      stream,
      codec: 'json',
      outsideShard: 'drop',
      retentionHours,
      chained: { upstreamRetentionHours: 48 },
    },
  });
}

const ORDERS: StatefulPipelineProps = { pipeline: ordersPipeline(), handlerFile: SMALL_HANDLER_FILE };
const REPORTS: StatefulPipelineProps = { pipeline: reportsPipeline(), handlerFile: SMALL_HANDLER_FILE };

function synthesized(deployed: readonly StatefulPipelineProps[], options: SynthesisOptions = {}) {
  return synthesizePipelines(deployed, { outdir: temporaryFolder(), checkSchemas: false, ...options });
}

type Assembly = ReturnType<typeof synthesized>;

interface SynthesizedTemplate {
  readonly Resources: Record<string, { readonly Type: string; readonly Properties: Record<string, unknown> }>;
  readonly Outputs: Record<string, { readonly Export?: { readonly Name: string } }>;
}

function templateOf(assembly: Assembly, pipeline: string): SynthesizedTemplate {
  return assembly.getStackByName(stackIdOf(pipeline)).template as SynthesizedTemplate;
}

function allOf(template: SynthesizedTemplate, type: string): Record<string, unknown>[] {
  return Object.values(template.Resources)
    .filter((resource) => resource.Type === type)
    .map((resource) => resource.Properties);
}

function exportsOf(assembly: Assembly, pipeline: string): string[] {
  return Object.values(templateOf(assembly, pipeline).Outputs).flatMap(({ Export }) => Export?.Name ?? []);
}

describe('a pipeline that reads the outputs of another', () => {
  it('is in a stack of its own that reads the very stream that the other stack makes', () => {
    const assembly = synthesized([ORDERS, REPORTS]);
    const reports = templateOf(assembly, 'reports');

    expect(allOf(reports, 'AWS::Kinesis::Stream')).toEqual([]);
    const [mapping] = allOf(reports, 'AWS::Lambda::EventSourceMapping');
    const source = mapping?.['EventSourceArn'] as { 'Fn::ImportValue': string };
    expect(exportsOf(assembly, 'orders')).toContain(source['Fn::ImportValue']);
    expect(source['Fn::ImportValue']).toMatch(/SinkStreamordertotals\w+Arn/);
  });

  it('is deployed after it, and removed before it', () => {
    const assembly = synthesized([REPORTS, ORDERS]);

    const dependencies = assembly.getStackByName(stackIdOf('reports')).dependencies.map(({ id }) => id);
    expect(dependencies).toContain(stackIdOf('orders'));
    expect(assembly.getStackByName(stackIdOf('orders')).dependencies.map(({ id }) => id)).not.toContain(
      stackIdOf('reports'),
    );
  });

  it('brings the other along where it alone is asked for, and does not come along itself', () => {
    const ids = (pipelines: readonly string[]) =>
      synthesized([ORDERS, REPORTS], { pipelines })
        .stacks.map(({ id }) => id)
        .sort();

    expect(ids(['reports'])).toEqual(['Tidemark-orders', 'Tidemark-reports']);
    expect(ids(['orders'])).toEqual(['Tidemark-orders']);
  });

  it('leaves no trace in the other stack, so that it can come and go without a deployment of that', () => {
    const alone = templateOf(synthesized([ORDERS]), 'orders');
    const read = templateOf(synthesized([ORDERS, REPORTS]), 'orders');

    expect(read.Outputs).toEqual(alone.Outputs);
  });

  it('may read that one stream, and nothing else of the other stack', () => {
    const [policy] = allOf(templateOf(synthesized([ORDERS, REPORTS]), 'reports'), 'AWS::IAM::Policy');
    const imports = JSON.stringify(policy).match(/"Fn::ImportValue":"[^"]+"/g) ?? [];
    const statements = (policy?.['PolicyDocument'] as { Statement: { Action: string[]; Resource: object }[] })
      .Statement;
    const onImported = statements.filter(({ Resource }) =>
      JSON.stringify(Resource).includes('Fn::ImportValue'),
    );

    expect(new Set(imports)).toHaveLength(1);
    expect(
      onImported
        .flatMap(({ Action }) => Action)
        .every((action) => /Describe|Get|List|Subscribe/.test(action)),
    ).toBe(true);
  });

  it('takes its shards from the other; overrides of shards are for the first pipeline', () => {
    const assembly = synthesized([ORDERS, REPORTS], { overrides: { shardCount: 3, batchSize: 7 } });

    expect(allOf(templateOf(assembly, 'orders'), 'AWS::Kinesis::Stream')).toContainEqual(
      expect.objectContaining({ ShardCount: 3 }),
    );
    expect(allOf(templateOf(assembly, 'reports'), 'AWS::Lambda::EventSourceMapping')).toMatchObject([
      { BatchSize: 7 },
    ]);
  });

  it('decides how long the stream between keeps records', () => {
    const assembly = synthesized([ORDERS, { ...REPORTS, pipeline: reportsPipeline(72) }]);

    const hours = allOf(templateOf(assembly, 'orders'), 'AWS::Kinesis::Stream').map(
      (stream) => stream['RetentionPeriodHours'],
    );
    expect(hours.sort()).toEqual([48, 72]);
  });

  it("may decrypt with the customer's key of the stream that both are given", () => {
    const app = new App({ outdir: temporaryFolder(), builtinCloudFormationValidation: false });
    const keys = new Stack(app, 'Keys');
    const stream = new Stream(keys, 'Stream', { encryptionKey: new Key(keys, 'Key') });
    const orders = new PipelineStack(app, { ...ORDERS, sinkStreams: { totals: stream } });
    const reports = new PipelineStack(app, { ...REPORTS, stream });
    const kms = (stack: Stack) =>
      [
        ...new Set(
          JSON.stringify(Template.fromStack(stack).findResources('AWS::IAM::Policy')).match(/kms:\w+/g),
        ),
      ].sort();

    expect(kms(orders)).toEqual(['kms:GenerateDataKey']);
    expect(kms(reports)).toEqual(['kms:Decrypt']);
    expect(Template.fromStack(orders).toJSON()['Outputs']).not.toHaveProperty('Export');
  });
});

describe('a chain that cannot be right', () => {
  it.each<[string, readonly StatefulPipelineProps[], string]>([
    [
      'a stream that no listed pipeline writes',
      [ORDERS, { ...REPORTS, pipeline: reportsPipeline(24, 'reports', 'order-total') }],
      'It reads the outputs in "order-total", and no listed pipeline has a Kinesis sink of that name (there are ["order-totals"])',
    ],
    [
      'a stream that two pipelines write',
      [ORDERS, { ...ORDERS, pipeline: ordersPipeline({ name: 'returns' }) }, REPORTS],
      'It reads "order-totals", which several pipelines write (["orders","returns"])',
    ],
    [
      'shards of its own',
      [ORDERS, { ...REPORTS, shardCount: 2 }],
      'shardCount is 2, but the source is the sink stream of pipeline "orders": remove it',
    ],
    [
      'a stream between that keeps records longer than the source says',
      [{ ...ORDERS, sinkRetentionHours: { totals: 48 } }, REPORTS],
      'Its source says retentionHours 24, and the stream between it and pipeline "orders" keeps records for 48',
    ],
    [
      'two readers of one stream that say different times',
      [ORDERS, REPORTS, { ...REPORTS, pipeline: reportsPipeline(48, 'mails') }],
      'Its source says retentionHours 24, and the stream between it and pipeline "orders" keeps records for 48',
    ],
    [
      'a plain source with the name of a stream that another pipeline writes',
      [
        ORDERS,
        {
          ...REPORTS,
          pipeline: ordersPipeline({
            name: 'reports',
            sinks: [],
            source: {
              kind: 'kinesis',
              stream: TOTALS.stream,
              codec: 'json',
              outsideShard: 'drop',
              retentionHours: 24,
            },
          }),
        },
      ],
      'It reads "order-totals", which is also what pipeline "orders" writes: chain them with from(outputsOf(...))',
    ],
  ])('is refused: %s', (_, deployed, problem) => {
    expect(() => synthesized(deployed)).toThrow(problem);
  });

  it('is refused: pipelines that feed each other in a circle', () => {
    const deployed = [
      ['first', 'second'],
      ['second', 'first'],
    ].map(([name, source]) => {
      const { definition } = reportsPipeline(24, name, source);
      const sink = { ...TOTALS, stream: name as string };
      const pipeline = { definition: { ...definition, keyedStages: [{ kind: 'sink' as const, sink }] } };
      return { pipeline, handlerFile: SMALL_HANDLER_FILE };
    });

    expect(() => synthesized(deployed)).toThrow(
      'Pipelines feed each other in a circle: first -> second -> first. Let one of them read another stream.',
    );
  });
});

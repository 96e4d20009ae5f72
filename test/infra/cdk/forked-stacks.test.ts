import { StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { describe, expect, it } from 'vitest';
import type { StatefulPipelineProps } from '../../../infra/constructs/stateful-pipeline-props.ts';
import { stackIdOf } from '../../../infra/stack-names.ts';
import { synthesizePipelines, type SynthesisOptions } from '../../../infra/synthesis.ts';
import { kinesis, pipeline } from '../../../shared/index.ts';
import { ordersPipeline, SMALL_HANDLER_FILE, TOTALS } from './fixtures/orders-pipeline.ts';
import { temporaryFolder } from './fixtures/orders-stack.ts';

const ORDERS: StatefulPipelineProps = { pipeline: ordersPipeline(), handlerFile: SMALL_HANDLER_FILE };
const STAGING: StatefulPipelineProps = {
  pipeline: ordersPipeline({ name: 'staging', sinks: [{ ...TOTALS, stream: 'staging-totals' }] }),
  handlerFile: SMALL_HANDLER_FILE,
  forkOf: ORDERS.pipeline,
};

interface SynthesizedTemplate {
  readonly Resources: Record<string, { readonly Type: string; readonly Properties: Record<string, unknown> }>;
  readonly Outputs: Record<string, { readonly Export?: { readonly Name: string } }>;
}

function templates(
  deployed: readonly StatefulPipelineProps[],
  options: SynthesisOptions = {},
): Map<string, SynthesizedTemplate> {
  const assembly = synthesizePipelines(deployed, {
    outdir: temporaryFolder(),
    checkSchemas: false,
    ...options,
  });
  return new Map(assembly.stacks.map(({ id, template }) => [id, template as SynthesizedTemplate]));
}

function allOf(template: SynthesizedTemplate | undefined, type: string): Record<string, unknown>[] {
  return Object.values(template?.Resources ?? {})
    .filter((resource) => resource.Type === type)
    .map(({ Properties }) => Properties);
}

describe('a pipeline that is a fork of another', () => {
  it('reads the very stream that the other stack makes, from its oldest record on, and is told to wait', () => {
    const made = templates([STAGING, ORDERS]);
    const staging = made.get(stackIdOf('staging'));

    const streams = allOf(staging, 'AWS::Kinesis::Stream');
    expect(streams).toHaveLength(1);
    const [mapping] = allOf(staging, 'AWS::Lambda::EventSourceMapping');
    expect(mapping).toMatchObject({ StartingPosition: 'TRIM_HORIZON' });
    expect(mapping).not.toHaveProperty('Enabled');
    const { 'Fn::ImportValue': imported } = mapping?.['EventSourceArn'] as { 'Fn::ImportValue': string };
    const outputs = Object.values(made.get(stackIdOf('orders'))?.Outputs ?? {});
    expect(outputs.map(({ Export }) => Export?.Name)).toContain(imported);
    const variables = (name: string): unknown =>
      allOf(made.get(stackIdOf(name)), 'AWS::Lambda::Function').map(
        ({ Environment }) => (Environment as { Variables: object }).Variables,
      );
    expect(variables('staging')).toMatchObject([{ TIDEMARK_FORK_OF: 'orders' }]);
    expect(variables('orders')).toMatchObject([expect.not.objectContaining({ TIDEMARK_FORK_OF: 'orders' })]);
  });

  it('leaves no trace in the other stack, comes with it, and does not come along itself', () => {
    const alone = templates([ORDERS]).get(stackIdOf('orders'));
    expect(templates([ORDERS, STAGING]).get(stackIdOf('orders'))).toEqual(alone);
    const ids = (pipelines: readonly string[]): string[] =>
      [...templates([ORDERS, STAGING], { pipelines }).keys()].sort();
    expect(ids(['staging'])).toEqual(['Tidemark-orders', 'Tidemark-staging']);
    expect(ids(['orders'])).toEqual(['Tidemark-orders']);
  });

  it('takes its shards from the other', () => {
    const made = templates([ORDERS, STAGING], { overrides: { shardCount: 3 } });
    expect(allOf(made.get(stackIdOf('orders')), 'AWS::Kinesis::Stream')).toContainEqual(
      expect.objectContaining({ ShardCount: 3 }),
    );
  });

  it.each<[string, readonly StatefulPipelineProps[], string]>([
    ['of itself', [{ ...ORDERS, forkOf: ORDERS.pipeline }], 'in a circle: orders -> orders'],
    ['of one that is not there', [STAGING], 'is a fork of "orders", which is not deployed here'],
    [
      'from where records would be missing',
      [ORDERS, { ...STAGING, startingPosition: StartingPosition.LATEST }],
      'startingPosition is LATEST, and with forkOf only TRIM_HORIZON is allowed',
    ],
    [
      'of one that reads something else',
      [
        ORDERS,
        {
          ...STAGING,
          pipeline: pipeline('staging')
            .from(kinesis('parcels'))
            .keyBy(() => 'k')
            .updateStateByKey('count', () => 1),
        },
      ],
      'It reads "parcels", and "orders", of which it is a fork, reads "orders"',
    ],
    [
      'with a repartition',
      [
        ORDERS,
        {
          ...STAGING,
          pipeline: pipeline('staging')
            .from(kinesis('orders'))
            .repartition('again', () => 'k')
            .keyBy(() => 'k')
            .updateStateByKey('count', () => 1),
        },
      ],
      'forkOf is set, and this pipeline or that one has a repartition',
    ],
  ])('is refused: %s', (_, deployed, problem) => {
    expect(() => templates(deployed)).toThrow(problem);
  });
});

import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { StatefulPipeline } from './constructs/stateful-pipeline.ts';
import type { StatefulPipelineProps } from './constructs/stateful-pipeline-props.ts';
import type { SinkDestinations } from './constructs/sink-destinations.ts';
import { OUTPUTS, stackIdOf } from './stack-names.ts';
import type { PipelineDefinition } from '../shared/pipeline/definition.ts';

/**
 * One pipeline, one stack: it is deployed, rolled back and removed by itself. A stack that reads the outputs of another
 * is deployed after it and removed before it.
 */
export class PipelineStack extends Stack {
  readonly pipeline: StatefulPipeline;

  /** @param environment see `stackIdOf`. */
  constructor(scope: Construct, props: StatefulPipelineProps & StackProps, environment?: string) {
    const { name } = props.pipeline.definition;
    super(scope, stackIdOf(name, environment), {
      ...props,
      description: props.description ?? `Tidemark pipeline ${name}`,
      tags: {
        'tidemark:pipeline': name,
        ...(environment !== undefined && { 'tidemark:environment': environment }),
        ...props.tags,
      },
    });
    this.pipeline = new StatefulPipeline(this, 'Pipeline', props);

    const values: Record<keyof typeof OUTPUTS, string | undefined> = {
      stream: this.pipeline.stream.streamName,
      streams: this.pipeline.streamNames.join(','),
      streamArns: this.pipeline.streamArns.join(','),
      stateTable: this.pipeline.stateTable.tableName,
      bucket: this.pipeline.bucket.bucketName,
      sinks: sinkNames(this.pipeline.sinks),
      sinkKinds: sinkKinds(props.pipeline.definition),
      function: this.pipeline.function.functionName,
      mapping: this.pipeline.mapping.eventSourceMappingId,
      dashboard: this.pipeline.dashboard.dashboardName,
    };
    for (const [output, id] of Object.entries(OUTPUTS)) {
      const value = values[output as keyof typeof OUTPUTS];
      if (value !== undefined) new CfnOutput(this, id, { value });
    }
    // For stacks that read them. Exported whether or not one does, so that a reader can come and go without a
    // deployment of this stack; while one reads, CloudFormation refuses to replace or remove the stream.
    const source = props.stream === undefined ? [this.pipeline.stream] : [];
    for (const stream of [...source, ...this.pipeline.sinks.createdStreams]) {
      this.exportValue(stream.streamArn);
      this.exportValue(stream.streamName);
    }
  }
}

/** CloudFormation takes no empty output: `undefined` where no sink has a stream or a table. */
function sinkNames({ streams, tables }: SinkDestinations): string | undefined {
  const names = [
    ...[...streams].map(([sink, { streamName }]) => `${sink}=${streamName}`),
    ...[...tables].map(([sink, { tableName }]) => `${sink}=${tableName}`),
  ];
  return names.length === 0 ? undefined : names.join(',');
}

/** As the engine has it: what leaves the last operator that makes something of its own. */
function sinkKinds({ keyedStages }: PipelineDefinition): string | undefined {
  const kinds: string[] = [];
  let outputs: 'event' | 'change' = 'event';
  for (const stage of keyedStages) {
    if (stage.kind === 'stateful' && stage.outputs !== 'same') outputs = stage.outputs;
    if (stage.kind !== 'sink' || stage.sink.kind === 'forEach') continue;
    const { kind, name } = stage.sink;
    kinds.push(`${name}=${kind === 'kinesis' ? 'stream' : 'table'}/${outputs}`);
  }
  return kinds.length === 0 ? undefined : kinds.join(',');
}

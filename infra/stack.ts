import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { StatefulPipeline } from './constructs/stateful-pipeline.ts';
import type { StatefulPipelineProps } from './constructs/stateful-pipeline-props.ts';
import { OUTPUTS, stackIdOf } from './stack-names.ts';

/**
 * One pipeline, one stack: it is deployed, rolled back and removed by itself. A stack that reads the outputs of another
 * is deployed after it and removed before it.
 */
export class PipelineStack extends Stack {
  readonly pipeline: StatefulPipeline;

  constructor(scope: Construct, props: StatefulPipelineProps & StackProps) {
    const { name } = props.pipeline.definition;
    super(scope, stackIdOf(name), {
      ...props,
      description: props.description ?? `Tidemark pipeline ${name}`,
      tags: { 'tidemark:pipeline': name, ...props.tags },
    });
    this.pipeline = new StatefulPipeline(this, 'Pipeline', props);

    const values: Record<keyof typeof OUTPUTS, string> = {
      stream: this.pipeline.stream.streamName,
      streams: this.pipeline.streamNames.join(','),
      stateTable: this.pipeline.stateTable.tableName,
      bucket: this.pipeline.bucket.bucketName,
      function: this.pipeline.function.functionName,
      mapping: this.pipeline.mapping.eventSourceMappingId,
      dashboard: this.pipeline.dashboard.dashboardName,
    };
    for (const [output, id] of Object.entries(OUTPUTS)) {
      new CfnOutput(this, id, { value: values[output as keyof typeof OUTPUTS] });
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

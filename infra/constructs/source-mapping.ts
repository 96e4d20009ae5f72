import { CfnEventSourceMapping, EventSourceMapping, type Function } from 'aws-cdk-lib/aws-lambda';
import type { IStream } from 'aws-cdk-lib/aws-kinesis';
import type { Construct } from 'constructs';
import { DEFAULTS } from './defaults.ts';
import type { StatefulPipelineProps } from './stateful-pipeline-props.ts';

/** Lambda's word for "for ever", for retries and for the age of records. */
const ENDLESS = -1;

/** Has Lambda read the stream for the function, in order, partially acknowledged, and without ever giving up. */
export function sourceMapping(
  scope: Construct,
  props: StatefulPipelineProps,
  stream: IStream,
  target: Function,
): EventSourceMapping {
  const mapping = new EventSourceMapping(scope, 'Mapping', {
    target,
    eventSourceArn: stream.streamArn,
    startingPosition: props.startingPosition ?? DEFAULTS.startingPosition,
    ...(props.startingPositionTimestamp === undefined
      ? {}
      : { startingPositionTimestamp: props.startingPositionTimestamp }),
    batchSize: props.batchSize ?? DEFAULTS.batchSize,
    maxBatchingWindow: props.maximumBatchingWindow ?? DEFAULTS.maximumBatchingWindow,
    parallelizationFactor: props.parallelizationFactor ?? DEFAULTS.parallelizationFactor,
    bisectBatchOnError: props.bisectOnError ?? DEFAULTS.bisectOnError,
    reportBatchItemFailures: true,
    retryAttempts: ENDLESS,
  });
  const resource = mapping.node.defaultChild;
  if (!(resource instanceof CfnEventSourceMapping)) {
    throw new Error(
      `${mapping.node.path} has no AWS::Lambda::EventSourceMapping, whose record age must be endless.`,
    );
  }
  // Endless is Lambda's default too, but the construct library has no word for it; a template that says so keeps
  // an update from leaving a finite age in place that somebody set by hand.
  resource.maximumRecordAgeInSeconds = ENDLESS;
  return mapping;
}

import {
  CfnEventSourceMapping,
  EventSourceMapping,
  StartingPosition,
  type EventSourceMappingOptions,
  type Function,
} from 'aws-cdk-lib/aws-lambda';
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
  const isFront = props.pipeline.definition.repartition !== undefined;
  return mappingOf(scope, 'Mapping', props, stream, target, {
    startingPosition: props.startingPosition ?? DEFAULTS.startingPosition,
    ...(props.startingPositionTimestamp === undefined
      ? {}
      : { startingPositionTimestamp: props.startingPositionTimestamp }),
    parallelizationFactor: isFront ? 1 : (props.parallelizationFactor ?? DEFAULTS.parallelizationFactor),
  });
}

/** The same for the internal stream of a repartition, all of it: it holds nothing that is not the pipeline's. */
export function repartitionMapping(
  scope: Construct,
  props: StatefulPipelineProps,
  stream: IStream,
  target: Function,
): EventSourceMapping {
  return mappingOf(scope, 'RepartitionMapping', props, stream, target, {
    startingPosition: StartingPosition.TRIM_HORIZON,
    parallelizationFactor: props.parallelizationFactor ?? DEFAULTS.parallelizationFactor,
  });
}

function mappingOf(
  scope: Construct,
  id: string,
  props: StatefulPipelineProps,
  stream: IStream,
  target: Function,
  own: Pick<
    EventSourceMappingOptions,
    'startingPosition' | 'startingPositionTimestamp' | 'parallelizationFactor'
  >,
): EventSourceMapping {
  const mapping = new EventSourceMapping(scope, id, {
    target,
    eventSourceArn: stream.streamArn,
    ...own,
    batchSize: props.batchSize ?? DEFAULTS.batchSize,
    maxBatchingWindow: props.maximumBatchingWindow ?? DEFAULTS.maximumBatchingWindow,
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

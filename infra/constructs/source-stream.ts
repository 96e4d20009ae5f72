import { Duration } from 'aws-cdk-lib';
import {
  Stream,
  StreamEncryption,
  StreamMode,
  type IStream,
  type StreamProps,
} from 'aws-cdk-lib/aws-kinesis';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { DEFAULTS } from './defaults.ts';
import { outerSourceOf } from '../../shared/pipeline/definition.ts';
import type { StatefulPipelineProps } from './stateful-pipeline-props.ts';

/** How a created stream is encrypted: by the given key, else by the one that AWS manages for Kinesis. */
export function streamEncryption(
  encryptionKey: IKey | undefined,
): Pick<StreamProps, 'encryption' | 'encryptionKey'> {
  if (encryptionKey === undefined) return { encryption: StreamEncryption.MANAGED };
  return { encryption: StreamEncryption.KMS, encryptionKey };
}

/** The stream that the pipeline reads: the given one, or a new one that keeps records as long as the source says. */
export function sourceStream(scope: Construct, props: StatefulPipelineProps): IStream {
  if (props.stream !== undefined) return props.stream;
  return new Stream(scope, 'Source', {
    ...(props.shardCount === undefined
      ? { streamMode: StreamMode.ON_DEMAND }
      : { streamMode: StreamMode.PROVISIONED, shardCount: props.shardCount }),
    retentionPeriod: Duration.hours(outerSourceOf(props.pipeline.definition).retentionHours),
    ...streamEncryption(props.encryptionKey),
    removalPolicy: props.removalPolicy ?? DEFAULTS.removalPolicy,
  });
}

/** The stream through which the pipeline re-keys its values; `undefined` where it has no repartition. */
export function repartitionStream(scope: Construct, props: StatefulPipelineProps): Stream | undefined {
  const { repartition, source } = props.pipeline.definition;
  if (repartition === undefined) return undefined;
  return new Stream(scope, `Repartition-${repartition.sink.name}`, {
    ...(props.repartitionShardCount === undefined
      ? { streamMode: StreamMode.ON_DEMAND }
      : { streamMode: StreamMode.PROVISIONED, shardCount: props.repartitionShardCount }),
    retentionPeriod: Duration.hours(source.retentionHours),
    ...streamEncryption(props.encryptionKey),
    removalPolicy: props.removalPolicy ?? DEFAULTS.removalPolicy,
  });
}

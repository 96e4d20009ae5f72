import { Stack } from 'aws-cdk-lib';
import type { Dashboard } from 'aws-cdk-lib/aws-cloudwatch';
import type { TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import type { IStream, Stream } from 'aws-cdk-lib/aws-kinesis';
import type { EventSourceMapping, Function } from 'aws-cdk-lib/aws-lambda';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { outerSourceOf, timeDomainsOf } from '../../shared/pipeline/definition.ts';
import { DEFAULTS } from './defaults.ts';
import { keyedTable, STATE_TTL_ATTRIBUTE } from './keyed-table.ts';
import { notePolicyForOwner } from './other-account.ts';
import { grantPipeline, type PipelineResources } from './permissions.ts';
import { PipelineAlarms } from './pipeline-alarms.ts';
import { pipelineBucket } from './pipeline-bucket.ts';
import { pipelineDashboard } from './pipeline-dashboard.ts';
import { pipelineFunction } from './pipeline-function.ts';
import { pipelineMetrics } from './pipeline-metrics.ts';
import { refuseWrongSettings } from './refuse-wrong-settings.ts';
import { sinkDestinations, type SinkDestinations } from './sink-destinations.ts';
import { repartitionMapping, sourceMapping } from './source-mapping.ts';
import { repartitionStream, sourceStream } from './source-stream.ts';
import { checkpointSchedule } from './checkpoint-schedule.ts';
import { sweepSchedule } from './sweep-schedule.ts';
import { timerSchedule } from './timer-schedule.ts';
import type { StatefulPipelineProps } from './stateful-pipeline-props.ts';

/**
 * Everything that one pipeline needs to run: which streams and tables there are and what the function may do follows
 * from the pipeline's description alone.
 * @throws Error when settings are wrong or do not go together, before anything is made.
 */
export class StatefulPipeline extends Construct {
  readonly stream: IStream;
  /** The internal stream of a repartition. */
  readonly repartitionStream: Stream | undefined;
  /** Of all streams that it reads, the source first. */
  readonly streamNames: readonly string[];
  /** Of the same streams, in the same order. */
  readonly streamArns: readonly string[];
  readonly stateTable: TableV2;
  readonly bucket: Bucket;
  /** Streams and tables of the sinks, by sink name: what a next pipeline reads. */
  readonly sinks: SinkDestinations;
  /** For permissions that the user's own `forEach` sinks need. */
  readonly function: Function;
  readonly mapping: EventSourceMapping;
  readonly alarms: PipelineAlarms;
  readonly dashboard: Dashboard;

  constructor(scope: Construct, id: string, props: StatefulPipelineProps) {
    refuseWrongSettings(props, Stack.of(scope));
    super(scope, id);
    const { name: pipelineName, source, repartition } = props.pipeline.definition;
    const waitsFor = timeDomainsOf(props.pipeline.definition);
    const removalPolicy = props.removalPolicy ?? DEFAULTS.removalPolicy;

    this.stream = sourceStream(this, props);
    this.repartitionStream = repartitionStream(this, props);
    const streams = [this.stream, ...(this.repartitionStream ? [this.repartitionStream] : [])];
    this.streamNames = streams.map(({ streamName }) => streamName);
    this.streamArns = streams.map(({ streamArn }) => streamArn);
    this.stateTable = keyedTable(this, 'State', {
      removalPolicy,
      encryptionKey: props.encryptionKey,
      timeToLiveAttribute: STATE_TTL_ATTRIBUTE,
      waitsFor,
    });
    this.bucket = pipelineBucket(this, {
      pipelineName,
      removalPolicy,
      encryptionKey: props.encryptionKey,
      accessLogsBucket: props.accessLogsBucket,
    });
    this.sinks = sinkDestinations(this, props);

    const {
      function: lambda,
      role,
      logGroup,
    } = pipelineFunction(this, props, {
      stateTableName: this.stateTable.tableName,
      bucketName: this.bucket.bucketName,
      streamNames: this.streamNames,
      streamArns: this.streamArns,
      sinks: this.sinks,
      lookupTables: props.lookupTables ?? {},
      repartition: repartition &&
        this.repartitionStream && { sink: repartition.sink.name, stream: this.repartitionStream },
    });
    this.function = lambda;
    grantPipeline(role, {
      pipelineName,
      stream: this.stream,
      repartitionStream: this.repartitionStream,
      stateTable: this.stateTable,
      waitsFor,
      bucket: this.bucket,
      sinks: this.sinks,
      lookups: lookupsOf(props),
      logGroup,
      encryptionKey: props.encryptionKey,
      isInVpc: props.vpc !== undefined,
    });
    notePolicyForOwner(this, this.stream);
    this.mapping = sourceMapping(this, props, this.stream, lambda);
    if (this.repartitionStream !== undefined) {
      repartitionMapping(this, props, this.repartitionStream, lambda);
    }
    sweepSchedule(this, pipelineName, lambda);
    if (props.pipeline.definition.time !== undefined) {
      timerSchedule(this, pipelineName, lambda, props.timers?.interval ?? DEFAULTS.timerInterval);
    }
    const checkpointInterval =
      props.checkpoints === false ? undefined : (props.checkpoints?.interval ?? DEFAULTS.checkpointInterval);
    if (checkpointInterval !== undefined) {
      checkpointSchedule(this, pipelineName, lambda, checkpointInterval);
    }

    const metrics = pipelineMetrics({
      pipelineName,
      function: lambda,
      stream: this.stream,
      repartitionStream: this.repartitionStream,
      stateTable: this.stateTable,
      memorySize: props.memorySize ?? DEFAULTS.memorySize,
    });
    this.alarms = new PipelineAlarms(this, 'Alarms', {
      pipelineName,
      metrics,
      retentionHours: Math.min(
        source.retentionHours,
        outerSourceOf(props.pipeline.definition).retentionHours,
      ),
      checkpointInterval,
      settings: props.alarms ?? {},
    });
    this.dashboard = pipelineDashboard(this, 'Dashboard', {
      pipelineName,
      metrics,
      alarms: this.alarms.alarms,
      sinks: this.sinks,
    });
  }
}

/** Each table with whether all its rows are read. */
function lookupsOf({ pipeline, lookupTables = {} }: StatefulPipelineProps): PipelineResources['lookups'] {
  return pipeline.definition.keyedStages.flatMap((stage) => {
    const table = stage.kind === 'lookup' ? lookupTables[stage.lookup.table] : undefined;
    return table === undefined ? [] : [{ table, isWhole: stage.kind === 'lookup' && stage.of === undefined }];
  });
}

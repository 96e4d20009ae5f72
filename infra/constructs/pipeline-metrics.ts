import { Duration } from 'aws-cdk-lib';
import { MathExpression, Metric, Stats, type IMetric } from 'aws-cdk-lib/aws-cloudwatch';
import type { IStream } from 'aws-cdk-lib/aws-kinesis';
import type { Function } from 'aws-cdk-lib/aws-lambda';
import type { AnyTable } from './keyed-table.ts';

/** Where the engine's own metrics go, in the embedded metric format; their dimension is `service`. */
export const METRICS_NAMESPACE = 'Tidemark';

const PERIOD = Duration.minutes(1);

/** What the metrics are about. */
export interface MeasuredResources {
  readonly pipelineName: string;
  readonly function: Function;
  readonly stream: IStream;
  readonly stateTable: AnyTable;
}

/** The metrics by which a pipeline is judged, once for alarms and dashboard; a point a minute. */
export interface PipelineMetrics {
  /** Milliseconds: the age of the last record of a batch when Lambda handed it in. */
  readonly iteratorAge: IMetric;
  readonly invocations: IMetric;
  readonly errors: IMetric;
  readonly throttles: IMetric;
  readonly concurrency: IMetric;
  readonly medianDuration: IMetric;
  readonly slowDuration: IMetric;
  readonly deadLetters: IMetric;
  readonly recordsIn: IMetric;
  readonly readThrottles: IMetric;
  readonly tableThrottles: IMetric;
  readonly readUnits: IMetric;
  readonly writeUnits: IMetric;
}

export function pipelineMetrics(resources: MeasuredResources): PipelineMetrics {
  const { function: lambda, stream, stateTable } = resources;
  const ofFunction = (metricName: string, statistic: string, label: string): IMetric =>
    lambda.metric(metricName, { statistic, label, period: PERIOD });
  const ofTable = (metricName: string, label: string): IMetric =>
    new Metric({
      namespace: 'AWS/DynamoDB',
      metricName,
      dimensionsMap: { TableName: stateTable.tableName },
      statistic: Stats.SUM,
      label,
      period: PERIOD,
    });

  return {
    iteratorAge: ofFunction('IteratorAge', Stats.MAXIMUM, 'Iterator age'),
    invocations: ofFunction('Invocations', Stats.SUM, 'Invocations'),
    errors: ofFunction('Errors', Stats.SUM, 'Errors'),
    throttles: ofFunction('Throttles', Stats.SUM, 'Throttles'),
    concurrency: ofFunction('ConcurrentExecutions', Stats.MAXIMUM, 'Concurrent executions'),
    medianDuration: ofFunction('Duration', Stats.p(50), 'Duration p50'),
    slowDuration: ofFunction('Duration', Stats.p(99), 'Duration p99'),
    deadLetters: new Metric({
      namespace: METRICS_NAMESPACE,
      metricName: 'deadLetters',
      dimensionsMap: { service: resources.pipelineName },
      statistic: Stats.SUM,
      label: 'Dead letters',
      period: PERIOD,
    }),
    recordsIn: stream.metricIncomingRecords({ statistic: Stats.SUM, label: 'Records in', period: PERIOD }),
    readThrottles: stream.metricReadProvisionedThroughputExceeded({
      statistic: Stats.SUM,
      label: 'Source read throttles',
      period: PERIOD,
    }),
    tableThrottles: new MathExpression({
      // Each is only reported in minutes in which it happened; without FILL one of them alone would give no sum.
      expression: 'FILL(reads, 0) + FILL(writes, 0)',
      usingMetrics: {
        reads: ofTable('ReadThrottleEvents', 'Reads throttled'),
        writes: ofTable('WriteThrottleEvents', 'Writes throttled'),
      },
      label: 'State table throttles',
      period: PERIOD,
    }),
    readUnits: ofTable('ConsumedReadCapacityUnits', 'Read units'),
    writeUnits: ofTable('ConsumedWriteCapacityUnits', 'Write units'),
  };
}

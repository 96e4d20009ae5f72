import { Duration } from 'aws-cdk-lib';
import { MathExpression, Metric, Stats, type IMetric } from 'aws-cdk-lib/aws-cloudwatch';
import type { IStream } from 'aws-cdk-lib/aws-kinesis';
import type { Function } from 'aws-cdk-lib/aws-lambda';
import { METRIC, METRICS_NAMESPACE } from '../../shared/lambda/batch-metrics.ts';
import { LIST_PRICES } from '../cost/list-prices.ts';
import type { AnyTable } from './keyed-table.ts';

/** How often it is looked whether a checkpoint is due, or is to be gone on with, at the most. */
export const CHECKPOINT_TICK = Duration.minutes(5);

const PERIOD = Duration.minutes(1);
/** A checkpoint's scan stands out of minutes; over hours it is what it costs. */
const COST_PERIOD = Duration.hours(1);

/** What the metrics are about. */
export interface MeasuredResources {
  readonly pipelineName: string;
  readonly function: Function;
  readonly stream: IStream;
  readonly repartitionStream: IStream | undefined;
  readonly stateTable: AnyTable;
  /** Of the function, MiB. */
  readonly memorySize: number;
}

/** The metrics by which a pipeline is judged, once for alarms and dashboard; a point a minute. */
export interface PipelineMetrics {
  /** Milliseconds: the age of the last record of a batch when Lambda handed it in. */
  readonly iteratorAge: IMetric;
  /** Milliseconds: the age of the last record that was read from a repartition's internal stream. */
  readonly repartitionAge: IMetric | undefined;
  readonly invocations: IMetric;
  readonly errors: IMetric;
  readonly throttles: IMetric;
  readonly concurrency: IMetric;
  readonly medianDuration: IMetric;
  readonly slowDuration: IMetric;
  readonly deadLetters: IMetric;
  /** Records whose effect was committed. */
  readonly applied: IMetric;
  /** Records that were delivered again and skipped. */
  readonly duplicates: IMetric;
  readonly published: IMetric;
  /** Writes of items that somebody else had written meanwhile: read and folded again. */
  readonly conflicts: IMetric;
  /**
   * US dollars by list prices (`LIST_PRICES`) for a million applied records: units of the state table, and the function.
   * Without what does not go with the records (shards, storage, logs, alarms); `tidemark cost` counts that too.
   */
  readonly costPerMillion: IMetric;
  /** Seconds since the newest checkpoint was begun, written with every look whether one is due. */
  readonly checkpointAge: IMetric;
  readonly recordsIn: IMetric;
  readonly readThrottles: IMetric;
  readonly tableThrottles: IMetric;
  readonly readUnits: IMetric;
  readonly writeUnits: IMetric;
}

export function pipelineMetrics(resources: MeasuredResources): PipelineMetrics {
  const { function: lambda, stream, repartitionStream, stateTable, memorySize } = resources;
  const ofFunction = (metricName: string, statistic: string, period = PERIOD): IMetric =>
    lambda.metric(metricName, { statistic, period });
  const ofTable = (metricName: string, period = PERIOD): IMetric =>
    new Metric({
      namespace: 'AWS/DynamoDB',
      metricName,
      dimensionsMap: { TableName: stateTable.tableName },
      statistic: Stats.SUM,
      period,
    });

  const ofEngine = (metricName: string, period = PERIOD): IMetric =>
    new Metric({
      namespace: METRICS_NAMESPACE,
      metricName,
      dimensionsMap: { service: resources.pipelineName },
      statistic: Stats.SUM,
      period,
    });

  const { dynamoDb, lambda: prices } = LIST_PRICES;
  // Of a million records, and prices are for a million units: both go away. Duration is in milliseconds.
  const dollars = [
    `FILL(writeUnits, 0) * ${dynamoDb.millionWriteUnits}`,
    `FILL(readUnits, 0) * ${dynamoDb.millionReadUnits}`,
    `FILL(invocations, 0) * ${prices.millionRequests}`,
    `FILL(duration, 0) * ${(memorySize / 1_024) * prices.gbSecond * 1_000}`,
  ].join(' + ');

  return {
    iteratorAge: ofFunction('IteratorAge', Stats.MAXIMUM),
    repartitionAge: repartitionStream?.metricGetRecordsIteratorAgeMilliseconds({
      statistic: Stats.MAXIMUM,
      period: PERIOD,
    }),
    invocations: ofFunction('Invocations', Stats.SUM),
    errors: ofFunction('Errors', Stats.SUM),
    throttles: ofFunction('Throttles', Stats.SUM),
    concurrency: ofFunction('ConcurrentExecutions', Stats.MAXIMUM),
    medianDuration: ofFunction('Duration', Stats.p(50)),
    slowDuration: ofFunction('Duration', Stats.p(99)),
    deadLetters: ofEngine(METRIC.deadLetters),
    applied: ofEngine(METRIC.applied),
    duplicates: ofEngine(METRIC.duplicates),
    published: ofEngine(METRIC.published),
    conflicts: ofEngine(METRIC.conflicts),
    costPerMillion: new MathExpression({
      expression: `(${dollars}) / applied`,
      usingMetrics: {
        writeUnits: ofTable('ConsumedWriteCapacityUnits', COST_PERIOD),
        readUnits: ofTable('ConsumedReadCapacityUnits', COST_PERIOD),
        invocations: ofFunction('Invocations', Stats.SUM, COST_PERIOD),
        duration: ofFunction('Duration', Stats.SUM, COST_PERIOD),
        applied: ofEngine(METRIC.applied, COST_PERIOD),
      },
      label: `Dollars, list prices of ${LIST_PRICES.asOf}, ${LIST_PRICES.region}`,
      period: COST_PERIOD,
    }),
    checkpointAge: new Metric({
      namespace: METRICS_NAMESPACE,
      metricName: METRIC.checkpointAge,
      dimensionsMap: { service: resources.pipelineName },
      statistic: Stats.MAXIMUM,
      period: CHECKPOINT_TICK,
    }),
    recordsIn: stream.metricIncomingRecords({ statistic: Stats.SUM, period: PERIOD }),
    readThrottles: stream.metricReadProvisionedThroughputExceeded({
      statistic: Stats.SUM,
      period: PERIOD,
    }),
    tableThrottles: new MathExpression({
      // Each is only reported in minutes in which it happened; without FILL one of them alone would give no sum.
      expression: 'FILL(reads, 0) + FILL(writes, 0)',
      usingMetrics: {
        reads: ofTable('ReadThrottleEvents'),
        writes: ofTable('WriteThrottleEvents'),
      },
      label: 'State table throttles',
      period: PERIOD,
    }),
    readUnits: ofTable('ConsumedReadCapacityUnits'),
    writeUnits: ofTable('ConsumedWriteCapacityUnits'),
  };
}

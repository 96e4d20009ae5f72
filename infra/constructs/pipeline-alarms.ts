import type { Duration } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, TreatMissingData, type IMetric } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import { DEFAULTS } from './defaults.ts';
import type { PipelineMetrics } from './pipeline-metrics.ts';
import type { AlarmSettings } from './stateful-pipeline-props.ts';

export interface PipelineAlarmsProps {
  readonly pipelineName: string;
  readonly metrics: PipelineMetrics;
  /** Of the source stream, hours. */
  readonly retentionHours: number;
  /** `undefined` where none is taken by itself. */
  readonly checkpointInterval: Duration | undefined;
  readonly settings: AlarmSettings;
}

interface Condition {
  readonly metric: IMetric;
  /** The alarm goes off above this. */
  readonly above: number;
  /** In a row: minutes, where the metric has no other period. */
  readonly minutes: number;
  readonly meaning: string;
  /** Whether it is as bad when nothing is reported. */
  readonly isMissingBad?: true;
}

/** Minutes in a row of what cures itself (a retry, a scaling partition) before it is worth somebody's sleep. */
const LASTING_MINUTES = 3;

/** Looks whether a checkpoint is due, five minutes each: one may be missed. */
const LASTING_TICKS = 3;

/** Tells when a pipeline falls behind, fails, is throttled, rejects records, or is about to lose them. */
export class PipelineAlarms extends Construct {
  readonly alarms: readonly Alarm[];

  constructor(scope: Construct, id: string, props: PipelineAlarmsProps) {
    super(scope, id);
    const { metrics, settings } = props;
    const iteratorAge = settings.iteratorAge ?? DEFAULTS.iteratorAge;
    const halfRetentionMs = (props.retentionHours * 3_600_000) / 2;
    const conditions: Record<string, Condition> = {
      IteratorAge: {
        metric: metrics.iteratorAge,
        above: iteratorAge.toMilliseconds(),
        minutes: LASTING_MINUTES,
        meaning: 'falls behind: add shards or parallelization, or see whether one batch is being retried.',
      },
      RecordsNearLoss: {
        metric: metrics.iteratorAge,
        above: halfRetentionMs,
        minutes: 1,
        meaning:
          "has records waiting for half of the stream's retention; what is not processed before the rest is over " +
          'is lost. Raise the retention of the stream first, then look for the cause.',
      },
      ...(metrics.repartitionAge && {
        RepartitionAge: {
          metric: metrics.repartitionAge,
          above: iteratorAge.toMilliseconds(),
          minutes: LASTING_MINUTES,
          meaning:
            'falls behind on the internal stream of its repartition: what comes in is put there faster than it is applied.',
        },
      }),
      Errors: {
        metric: metrics.errors,
        above: 0,
        minutes: LASTING_MINUTES,
        meaning: 'fails in every minute: the same batch is being retried, and its shard stands still.',
      },
      Throttles: {
        metric: metrics.throttles,
        above: 0,
        minutes: LASTING_MINUTES,
        meaning: "is refused by Lambda: raise the account's concurrency.",
      },
      DeadLetters: {
        metric: metrics.deadLetters,
        above: 0,
        minutes: 1,
        meaning:
          "rejected records: read their reasons in the bucket's dead-letters folder, then redrive them.",
      },
      ReadThrottles: {
        metric: metrics.readThrottles,
        above: 0,
        minutes: LASTING_MINUTES,
        meaning: 'competes with other readers of its stream: add shards, or remove readers.',
      },
      TableThrottles: {
        metric: metrics.tableThrottles,
        above: 0,
        minutes: LASTING_MINUTES,
        meaning: 'is throttled by its state table: one key may take more than 1,000 write units a second.',
      },
      ...(props.checkpointInterval && {
        CheckpointAge: {
          metric: metrics.checkpointAge,
          above: 2 * props.checkpointInterval.toSeconds(),
          minutes: LASTING_TICKS,
          isMissingBad: true as const,
          meaning:
            "has no checkpoint of the last two intervals: read in the function's log why taking one fails, or raise " +
            'timeout and memorySize where it does not come to an end.',
        },
      }),
    };
    this.alarms = Object.entries(conditions).map(
      ([name, { metric, above, minutes, meaning, isMissingBad }]) => {
        const alarm = new Alarm(this, name, {
          metric,
          threshold: above,
          comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
          evaluationPeriods: minutes,
          datapointsToAlarm: minutes,
          // Most are not reported while nothing happens; what looks by the clock always is.
          treatMissingData: isMissingBad ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
          alarmDescription: `Pipeline ${props.pipelineName} ${meaning}`,
        });
        for (const action of settings.actions ?? []) {
          alarm.addAlarmAction(action);
          alarm.addOkAction(action);
        }
        return alarm;
      },
    );
  }
}

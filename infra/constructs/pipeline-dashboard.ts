import {
  AlarmStatusWidget,
  Dashboard,
  GraphWidget,
  PeriodOverride,
  type IAlarm,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Duration } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { PipelineMetrics } from './pipeline-metrics.ts';
import type { SinkDestinations } from './sink-destinations.ts';

export interface PipelineDashboardProps {
  readonly pipelineName: string;
  readonly metrics: PipelineMetrics;
  readonly alarms: readonly IAlarm[];
  readonly sinks: SinkDestinations;
}

const WIDTH = 8;
const FULL_WIDTH = 24;

/** One page that answers: is it keeping up, is it failing, what does it cost. */
export function pipelineDashboard(scope: Construct, id: string, props: PipelineDashboardProps): Dashboard {
  const { metrics } = props;
  const graph = (title: string, ...left: GraphWidgetMetrics): GraphWidget =>
    new GraphWidget({ title, left: [...left], width: WIDTH, leftYAxis: { min: 0 } });
  const sinkStreams = [...new Set(props.sinks.streams.values())];

  return new Dashboard(scope, id, {
    defaultInterval: Duration.hours(3),
    periodOverride: PeriodOverride.INHERIT,
    widgets: [
      [
        new AlarmStatusWidget({
          title: `Pipeline ${props.pipelineName}`,
          alarms: [...props.alarms],
          width: FULL_WIDTH,
        }),
      ],
      [
        graph(
          'Behind by (ms)',
          metrics.iteratorAge,
          ...(metrics.repartitionAge ? [metrics.repartitionAge] : []),
        ),
        graph('Records', metrics.recordsIn, metrics.applied, metrics.duplicates, metrics.published),
        graph('Dead letters', metrics.deadLetters),
      ],
      [
        graph('Invocations', metrics.invocations, metrics.errors, metrics.throttles),
        graph('Duration (ms)', metrics.medianDuration, metrics.slowDuration),
        graph('Concurrency', metrics.concurrency),
      ],
      [
        graph('Newest checkpoint (s)', metrics.checkpointAge),
        graph('Conflicts', metrics.conflicts),
        graph('Cost of a million records', metrics.costPerMillion),
      ],
      [
        graph('State table units', metrics.readUnits, metrics.writeUnits),
        graph('Throttles', metrics.tableThrottles, metrics.readThrottles),
        ...(sinkStreams.length === 0
          ? []
          : [
              graph(
                'Sink write throttles',
                ...sinkStreams.map((stream) =>
                  stream.metricWriteProvisionedThroughputExceeded({
                    statistic: 'Sum',
                    label: stream.node.id,
                    period: Duration.minutes(1),
                  }),
                ),
              ),
            ]),
      ],
    ],
  });
}

type GraphWidgetMetrics = NonNullable<ConstructorParameters<typeof GraphWidget>[0]['left']>;

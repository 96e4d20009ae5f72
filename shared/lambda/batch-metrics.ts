import type { Metrics } from '@aws-lambda-powertools/metrics';
import { MetricUnit } from '@aws-lambda-powertools/metrics';
import type { BatchReport } from '../engine/runtime.ts';
import { costsBetween } from '../state/cost-counter.ts';
import type { StoreCosts } from '../state/state-store.ts';

/** Namespace of the metrics in CloudWatch; their dimension is `service`, the pipeline's name. */
export const METRICS_NAMESPACE = 'Tidemark';

/** The names of the metrics, written once for the function, its alarms and whoever reads the log. */
export const METRIC = {
  records: 'records',
  applied: 'applied',
  duplicates: 'duplicates',
  deadLetters: 'deadLetters',
  conflicts: 'conflicts',
  keys: 'keys',
  published: 'published',
  unfinished: 'unfinished',
  outsideShard: 'outsideShard',
  late: 'late',
  stateWrites: 'stateWrites',
  stateWriteRequests: 'stateWriteRequests',
  stateReads: 'stateReads',
  wcu: 'wcu',
  rcu: 'rcu',
  blobPuts: 'blobPuts',
  blobGets: 'blobGets',
  blobRemovals: 'blobRemovals',
  batchDurationMs: 'batchDuration',
  oldestRecordAgeMs: 'oldestRecordAge',
  checkpointAge: 'checkpointAge',
} as const;

/** Metrics that commands write: seconds. */
export type GaugeName = 'checkpointAge';

const COUNTS = [
  'records',
  'applied',
  'duplicates',
  'deadLetters',
  'conflicts',
  'keys',
  'published',
  'unfinished',
] as const;

/** Writes one batch's figures as an embedded metric (EMF) line. */
export function emitBatchMetrics(
  metrics: Metrics,
  report: BatchReport,
  before: StoreCosts,
  after: StoreCosts,
  times: { readonly batchDurationMs: number; readonly oldestRecordAgeMs: number },
): void {
  for (const name of COUNTS) metrics.addMetric(METRIC[name], MetricUnit.Count, report[name]);
  const used = addCosts(metrics, before, after);
  // Only where there are any: a metric costs money, and most streams have no aggregates, and most keys small states.
  const seldom = {
    [METRIC.outsideShard]: report.outsideShard,
    [METRIC.late]: report.late,
    [METRIC.blobPuts]: used.blobPuts,
    [METRIC.blobGets]: used.blobGets,
    [METRIC.blobRemovals]: used.blobRemovals,
  };
  for (const [name, count] of Object.entries(seldom)) {
    if (count > 0) metrics.addMetric(name, MetricUnit.Count, count);
  }
  metrics.addMetric(METRIC.batchDurationMs, MetricUnit.Milliseconds, times.batchDurationMs);
  metrics.addMetric(METRIC.oldestRecordAgeMs, MetricUnit.Milliseconds, times.oldestRecordAgeMs);
  metrics.publishStoredMetrics();
}

/** Writes what a sweep of timers published and used, as an embedded metric line of its own: no batch counts it. */
export function emitSweepMetrics(
  metrics: Metrics,
  { published }: { readonly published: number },
  before: StoreCosts,
  after: StoreCosts,
): void {
  metrics.addMetric(METRIC.published, MetricUnit.Count, published);
  addCosts(metrics, before, after);
  metrics.publishStoredMetrics();
}

function addCosts(metrics: Metrics, before: StoreCosts, after: StoreCosts): StoreCosts {
  const used = costsBetween(before, after);
  metrics.addMetric(METRIC.stateWrites, MetricUnit.Count, used.writes);
  metrics.addMetric(METRIC.stateWriteRequests, MetricUnit.Count, used.writeRequests);
  metrics.addMetric(METRIC.stateReads, MetricUnit.Count, used.reads);
  metrics.addMetric(METRIC.wcu, MetricUnit.Count, used.wcu);
  metrics.addMetric(METRIC.rcu, MetricUnit.Count, used.rcu);
  return used;
}

/** Writes one figure of a command, seconds, as an embedded metric line of its own. */
export function emitGauge(metrics: Metrics, name: GaugeName, seconds: number): void {
  metrics.addMetric(METRIC[name], MetricUnit.Seconds, seconds);
  metrics.publishStoredMetrics();
}

import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics } from '@aws-lambda-powertools/metrics';
import type { Context, KinesisStreamBatchResponse } from 'aws-lambda';
import { processBatch } from '../engine/process-batch.ts';
import type { Pipeline } from '../pipeline/definition.ts';
import { readKinesisEvent } from '../source/kinesis-event.ts';
import { systemClock, type Clock } from '../time/clock.ts';
import { emitBatchMetrics, emitGauge, emitSweepMetrics, METRICS_NAMESPACE } from './batch-metrics.ts';
import { commandOf, type CommandAnswer } from './commands.ts';
import { makeContainer, type Container } from './container.ts';

export interface HandlerOptions {
  /** The process's own unless given. */
  environment?: Readonly<Record<string, string | undefined>>;
  clock?: Clock;
}

type KinesisHandler = (
  event: unknown,
  context: Context,
) => Promise<KinesisStreamBatchResponse | CommandAnswer>;

/**
 * The Lambda handler of a pipeline, for an event source mapping with ReportBatchItemFailures, and for commands.
 * What is thrown in here, and nowhere else caught, is logged without record contents and becomes a function error:
 * nothing of the batch is acknowledged, and it comes again.
 */
export function kinesisHandler(
  { definition }: Pipeline,
  { environment = process.env, clock = systemClock }: HandlerOptions = {},
): KinesisHandler {
  const logger = new Logger({ serviceName: definition.name });
  const metrics = new Metrics({ namespace: METRICS_NAMESPACE, serviceName: definition.name });
  // Made at the first invocation: importing a handler does no work, and a failure here fails an invocation.
  let container: Promise<Container> | undefined;

  return async (event, context) => {
    const startMs = clock.nowMs();
    const deadlineMs = startMs + context.getRemainingTimeInMillis();
    try {
      const command = commandOf(event);
      container ??= makeContainer(definition, environment, clock, logger);
      const { runtime: ownRuntime, runtimeFor, spilled, services, trace } = await container;
      if (command !== undefined) {
        return await command({
          runtime: ownRuntime,
          spilled,
          services,
          deadlineMs,
          requestId: context.awsRequestId,
          gauge: (name, value) => emitGauge(metrics, name, value),
          swept: (sweep, before) => emitSweepMetrics(metrics, sweep, before, ownRuntime.store.costs()),
        });
      }
      const batch = readKinesisEvent(event);
      const runtime = runtimeFor(batch.stream);
      const before = runtime.store.costs();
      const { failedFrom, report } = await trace.batch(() => processBatch(runtime, batch, deadlineMs));
      const endMs = clock.nowMs();
      emitBatchMetrics(metrics, report, before, runtime.store.costs(), {
        batchDurationMs: endMs - startMs,
        oldestRecordAgeMs: Math.max(0, endMs - (batch.records[0]?.arrivalMs ?? endMs)),
      });
      return {
        batchItemFailures: failedFrom === undefined ? [] : [{ itemIdentifier: failedFrom.sequence }],
      };
    } catch (error) {
      container = container && (await isUsable(container)) ? container : undefined;
      logger.error('The invocation failed; a batch comes again', error as Error);
      throw error;
    }
  };
}

async function isUsable(container: Promise<Container>): Promise<boolean> {
  return container.then(
    () => true,
    () => false,
  );
}

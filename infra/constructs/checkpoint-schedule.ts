import { Duration } from 'aws-cdk-lib';
import type { Function } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { CheckpointEvent } from '../../shared/lambda/checkpoint-command.ts';
import { commandRule } from './command-rule.ts';
import { CHECKPOINT_TICK } from './pipeline-metrics.ts';

/**
 * Every five minutes, or more often where checkpoints are, the pipeline's function goes on with an unfinished checkpoint,
 * or begins one that is due, or does nothing. It is the clock that invokes it again, because Lambda stops a function
 * that invokes itself.
 */
export function checkpointSchedule(
  scope: Construct,
  pipelineName: string,
  lambda: Function,
  interval: Duration,
): void {
  const tickMinutes = Math.min(CHECKPOINT_TICK.toMinutes(), interval.toMinutes());
  const event: CheckpointEvent = {
    tidemark: 'checkpoint',
    // Ticks come a little early or late: half of one, so that none that is due waits for the next.
    ifOlderThanSeconds: interval.toSeconds() - tickMinutes * 30,
  };
  commandRule(scope, 'Checkpoint', lambda, {
    description: `Takes checkpoints of the pipeline ${pipelineName}`,
    every: Duration.minutes(tickMinutes),
    event,
  });
}

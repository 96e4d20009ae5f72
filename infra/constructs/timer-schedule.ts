import { Duration } from 'aws-cdk-lib';
import type { Function } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { TimersEvent } from '../../shared/lambda/timers-command.ts';
import { commandRule } from './command-rule.ts';

/** The shortest time of a schedule. */
const MINUTE = Duration.minutes(1);

/**
 * Every minute the pipeline's function fires what no record fires; where that is to be more often, it waits in between and
 * does so again until the minute is over.
 */
export function timerSchedule(
  scope: Construct,
  pipelineName: string,
  lambda: Function,
  interval: Duration,
): void {
  const everySeconds = interval.toSeconds();
  const event: TimersEvent & { readonly tidemark: 'timers' } = {
    tidemark: 'timers',
    ...(everySeconds < MINUTE.toSeconds() && { everySeconds }),
  };
  commandRule(scope, 'Timers', lambda, {
    description: `Fires windows and timers of the pipeline ${pipelineName}`,
    every: MINUTE,
    event,
  });
}

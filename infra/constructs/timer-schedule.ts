import { Duration } from 'aws-cdk-lib';
import type { Function } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import { commandRule } from './command-rule.ts';

/** Every minute, the shortest time of a schedule, the pipeline's function fires what no record fires. */
export function timerSchedule(scope: Construct, pipelineName: string, lambda: Function): void {
  commandRule(scope, 'Timers', lambda, {
    description: `Fires windows and timers of the pipeline ${pipelineName}`,
    every: Duration.minutes(1),
    event: { tidemark: 'timers' },
  });
}

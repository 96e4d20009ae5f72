import { Duration } from 'aws-cdk-lib';
import { Rule, RuleTargetInput, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import type { Function } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { CommandName } from '../../shared/lambda/commands.ts';

const COMMAND: CommandName = 'timers';

/** Every minute, the shortest time of a schedule, the pipeline's function fires what no record fires. */
export function timerSchedule(scope: Construct, pipelineName: string, lambda: Function): void {
  new Rule(scope, 'Timers', {
    description: `Fires windows and timers of the pipeline ${pipelineName}`,
    schedule: Schedule.rate(Duration.minutes(1)),
    targets: [new LambdaFunction(lambda, { event: RuleTargetInput.fromObject({ tidemark: COMMAND }) })],
  });
}

import { Duration } from 'aws-cdk-lib';
import { Rule, RuleTargetInput, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import type { Function } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { CommandName } from '../../shared/lambda/commands.ts';

const COMMAND: CommandName = 'sweep';

/** Once a day the pipeline's function removes objects with spilled states that nothing points to any more. */
export function sweepSchedule(scope: Construct, pipelineName: string, lambda: Function): void {
  new Rule(scope, 'Sweep', {
    description: `Sweeps spilled states of the pipeline ${pipelineName}`,
    schedule: Schedule.rate(Duration.days(1)),
    targets: [new LambdaFunction(lambda, { event: RuleTargetInput.fromObject({ tidemark: COMMAND }) })],
  });
}

import type { Duration } from 'aws-cdk-lib';
import { Rule, RuleTargetInput, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import type { Function } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { CommandName } from '../../shared/lambda/commands.ts';

export interface CommandRuleProps {
  readonly description: string;
  readonly every: Duration;
  readonly event: { readonly tidemark: CommandName };
}

/** Asks a pipeline's function for a command, time after time. */
export function commandRule(
  scope: Construct,
  id: string,
  lambda: Function,
  { description, every, event }: CommandRuleProps,
): void {
  new Rule(scope, id, {
    description,
    schedule: Schedule.rate(every),
    targets: [new LambdaFunction(lambda, { event: RuleTargetInput.fromObject(event) })],
  });
}

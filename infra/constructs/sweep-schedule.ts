import { Duration } from 'aws-cdk-lib';
import type { Function } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import { commandRule } from './command-rule.ts';

/** Once a day the pipeline's function removes objects with spilled states that nothing points to any more. */
export function sweepSchedule(scope: Construct, pipelineName: string, lambda: Function): void {
  commandRule(scope, 'Sweep', lambda, {
    description: `Sweeps spilled states of the pipeline ${pipelineName}`,
    every: Duration.days(1),
    event: { tidemark: 'sweep' },
  });
}

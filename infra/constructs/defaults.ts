import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';

/** What holds for every setting that a pipeline does not give. */
export const DEFAULTS = {
  batchSize: 500,
  maximumBatchingWindow: Duration.seconds(1),
  parallelizationFactor: 1,
  bisectOnError: true,
  startingPosition: StartingPosition.TRIM_HORIZON,
  timeout: Duration.seconds(60),
  memorySize: 1024,
  logRetention: RetentionDays.ONE_MONTH,
  iteratorAge: Duration.minutes(5),
  checkpointInterval: Duration.hours(1),
  timerInterval: Duration.minutes(1),
  removalPolicy: RemovalPolicy.RETAIN,
} as const;

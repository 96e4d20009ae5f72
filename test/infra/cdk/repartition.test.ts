import { StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { Match } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { App, Stack } from 'aws-cdk-lib';
import { describe, expect, it } from 'vitest';
import { StatefulPipeline } from '../../../infra/constructs/stateful-pipeline.ts';
import { kinesis, pipeline } from '../../../shared/index.ts';
import { SMALL_HANDLER_FILE } from './fixtures/orders-pipeline.ts';
import { ordersStack, temporaryFolder, type OrdersSettings } from './fixtures/orders-stack.ts';

const arrivals = pipeline('arrivals')
  .from(kinesis<{ readonly to: string }>('flights', { retentionHours: 48 }))
  .repartition('by-destination', ({ to }) => to, { retentionHours: 36 })
  .keyBy(({ to }) => to);

const stackOf = (settings: OrdersSettings = {}) => ordersStack({ pipeline: arrivals, ...settings }).template;
const internal = { 'Fn::GetAtt': [Match.stringLikeRegexp('Repartitionbydestination'), 'Arn'] };

describe('a repartition', () => {
  it('has an internal stream, encrypted, with the retention that it says, beside the source stream with its own', () => {
    const template = stackOf({ repartitionShardCount: 3 });

    template.resourceCountIs('AWS::Kinesis::Stream', 2);
    template.hasResourceProperties('AWS::Kinesis::Stream', {
      RetentionPeriodHours: 36,
      ShardCount: 3,
      StreamEncryption: { EncryptionType: 'KMS', KeyId: 'alias/aws/kinesis' },
    });
    template.hasResourceProperties('AWS::Kinesis::Stream', { RetentionPeriodHours: 48 });
  });

  it('is read by the same function, from its beginning, with the parallelization that is asked for', () => {
    const template = stackOf({ parallelizationFactor: 4, startingPosition: StartingPosition.LATEST });

    template.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      EventSourceArn: internal,
      StartingPosition: 'TRIM_HORIZON',
      ParallelizationFactor: 4,
      MaximumRetryAttempts: -1,
    });
    template.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      EventSourceArn: { 'Fn::GetAtt': [Match.stringLikeRegexp('Source'), 'Arn'] },
      StartingPosition: 'LATEST',
      ParallelizationFactor: 1,
    });
    template.resourceCountIs('AWS::Lambda::Function', 1);
    template.hasResourceProperties('AWS::Lambda::Function', {
      Environment: { Variables: Match.objectLike({ TIDEMARK_SINK_BY_DESTINATION: Match.anyValue() }) },
    });
  });

  it('may be written and read by the function, and the source stream only read', () => {
    const policies = JSON.stringify(stackOf().findResources('AWS::IAM::Policy'));
    const put = /"kinesis:PutRecords"[^{]*"Resource":\{"Fn::GetAtt":\["(\w+)"/.exec(policies);

    expect(put?.[1]).toContain('Repartition');
    expect(policies.match(/kinesis:PutRecords/g)).toHaveLength(1);
    stackOf().hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: Match.arrayWith([Match.objectLike({ Action: Match.arrayWith(['kinesis:GetRecords']) })]),
      },
    });
  });

  it('has an alarm for the age of what waits in its stream', () => {
    stackOf().hasResourceProperties('AWS::CloudWatch::Alarm', {
      MetricName: 'GetRecords.IteratorAgeMilliseconds',
      Threshold: 300_000,
    });
  });

  it('breaks no rule that is not acknowledged', () => {
    const app = new App({ outdir: temporaryFolder() });
    new StatefulPipeline(new Stack(app, 'Test'), 'Arrivals', {
      pipeline: arrivals,
      handlerFile: SMALL_HANDLER_FILE,
    });

    expect(new AwsSolutionsChecks().validateScope(app).violations).toEqual([]);
  });

  it('is not configured where there is none', () => {
    expect(() => ordersStack({ repartitionShardCount: 2 })).toThrow(
      'repartitionShardCount is 2, but the pipeline has no repartition: remove it.',
    );
  });
});

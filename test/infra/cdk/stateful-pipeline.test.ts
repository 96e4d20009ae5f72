import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { Match } from 'aws-cdk-lib/assertions';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { Stream } from 'aws-cdk-lib/aws-kinesis';
import { StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { describe, expect, it } from 'vitest';
import { describeTable } from '../../../infra/local/provision/local-table.ts';
import { processStage } from '../../../shared/time/process-operator.ts';
import { ordersPipeline, TOTALS } from './fixtures/orders-pipeline.ts';
import { ordersStack } from './fixtures/orders-stack.ts';

const EXISTING_ARN = 'arn:aws:kinesis:eu-west-1:111122223333:stream/all-orders';

describe('the source stream', () => {
  it('is on demand, encrypted, kept, and holds records as long as the description says', () => {
    const { template } = ordersStack({ pipeline: ordersPipeline({ sinks: [] }) });

    template.resourceCountIs('AWS::Kinesis::Stream', 1);
    template.hasResource('AWS::Kinesis::Stream', {
      Properties: {
        RetentionPeriodHours: 48,
        StreamEncryption: { EncryptionType: 'KMS', KeyId: 'alias/aws/kinesis' },
        StreamModeDetails: { StreamMode: 'ON_DEMAND' },
        ShardCount: Match.absent(),
      },
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
    });
  });

  it('has the shards that it is given', () => {
    const { template } = ordersStack({ pipeline: ordersPipeline({ sinks: [] }), shardCount: 4 });

    template.hasResourceProperties('AWS::Kinesis::Stream', {
      ShardCount: 4,
      StreamModeDetails: { StreamMode: 'PROVISIONED' },
    });
  });

  it('is not created where one exists', () => {
    const { template } = ordersStack((stack) => ({
      pipeline: ordersPipeline({ sinks: [] }),
      stream: Stream.fromStreamArn(stack, 'AllOrders', EXISTING_ARN),
    }));

    template.resourceCountIs('AWS::Kinesis::Stream', 0);
    template.hasResourceProperties('AWS::Lambda::EventSourceMapping', { EventSourceArn: EXISTING_ARN });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      MetricName: 'ReadProvisionedThroughputExceeded',
      Dimensions: [{ Name: 'StreamName', Value: 'all-orders' }],
    });
  });
});

describe('the state table', () => {
  it('has the partition key pk alone, expires by x, can be recovered and cannot be deleted', () => {
    const { template } = ordersStack({ pipeline: ordersPipeline({ sinks: [] }) });

    template.resourceCountIs('AWS::DynamoDB::GlobalTable', 1);
    template.hasResource('AWS::DynamoDB::GlobalTable', {
      Properties: {
        AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
        BillingMode: 'PAY_PER_REQUEST',
        TimeToLiveSpecification: { AttributeName: 'x', Enabled: true },
        SSESpecification: { SSEEnabled: true, SSEType: 'KMS' },
        GlobalSecondaryIndexes: Match.absent(),
        Replicas: [
          {
            Region: { Ref: 'AWS::Region' },
            DeletionProtectionEnabled: true,
            PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
          },
        ],
      },
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
    });
  });
});

/** With a timer of processing time. */
const CLOCKED = ordersPipeline({
  time: { at: 0, latenessMs: 0 },
  keyedStages: [processStage('p', 1, { onRecord: () => undefined, onProcessingTimer: () => undefined })],
});

describe('the state table of a pipeline with an event time', () => {
  const pipeline = ordersPipeline({ sinks: [], time: { at: 0, latenessMs: 0 } });
  const tableOf = ({ template }: ReturnType<typeof ordersStack>) =>
    Object.entries(template.findResources('AWS::DynamoDB::GlobalTable'));

  it('is the same table with the index of what is due, of keys alone', () => {
    const [[id, plain] = []] = tableOf(ordersStack({ pipeline: ordersPipeline({ sinks: [] }) }));
    const [[timedId, timed] = []] = tableOf(ordersStack({ pipeline }));
    expect(timedId).toBe(id);
    const properties = plain?.['Properties'] as { readonly Replicas: readonly [object] };
    expect(timed).toEqual({
      ...plain,
      Properties: {
        ...properties,
        Replicas: [{ ...properties.Replicas[0], GlobalSecondaryIndexes: [{ IndexName: 'due' }] }],
        AttributeDefinitions: [
          { AttributeName: 'pk', AttributeType: 'S' },
          { AttributeName: 'i', AttributeType: 'S' },
          { AttributeName: 't', AttributeType: 'N' },
        ],
        GlobalSecondaryIndexes: [
          {
            IndexName: 'due',
            KeySchema: [
              { AttributeName: 'i', KeyType: 'HASH' },
              { AttributeName: 't', KeyType: 'RANGE' },
            ],
            Projection: { ProjectionType: 'KEYS_ONLY' },
          },
        ],
      },
    });
  });

  it('has another where timers go by the clock', () => {
    const [[, plain] = []] = tableOf(ordersStack({ pipeline }));
    const [[, clocked] = []] = tableOf(ordersStack({ pipeline: CLOCKED }));
    const [before, after] = [plain, clocked].map(
      (resource) => resource?.['Properties'] as { readonly GlobalSecondaryIndexes: readonly object[] },
    );
    expect(after?.GlobalSecondaryIndexes).toEqual([
      ...(before?.GlobalSecondaryIndexes ?? []),
      {
        IndexName: 'processing-due',
        KeySchema: [
          { AttributeName: 'i', KeyType: 'HASH' },
          { AttributeName: 'j', KeyType: 'RANGE' },
        ],
        Projection: { ProjectionType: 'KEYS_ONLY' },
      },
    ]);
  });

  it('has its index on this machine too', () => {
    const [[id = '', resource] = []] = tableOf(ordersStack({ pipeline }));
    const { creation } = describeTable({
      logicalId: id,
      ref: 'state',
      type: 'AWS::DynamoDB::GlobalTable',
      attributes: {},
      properties: resource?.['Properties'] as Record<string, unknown>,
      metadata: {},
    });
    expect(creation.GlobalSecondaryIndexes).toMatchObject([
      { IndexName: 'due', Projection: { ProjectionType: 'KEYS_ONLY' } },
    ]);
    expect(creation.AttributeDefinitions).toHaveLength(3);
  });
});

describe('the bucket', () => {
  it('is private, encrypted, versioned, kept, and forgets abandoned uploads', () => {
    const { template } = ordersStack();

    template.hasResource('AWS::S3::Bucket', {
      Properties: {
        BucketEncryption: {
          ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }],
        },
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          BlockPublicPolicy: true,
          IgnorePublicAcls: true,
          RestrictPublicBuckets: true,
        },
        VersioningConfiguration: { Status: 'Enabled' },
        LifecycleConfiguration: {
          Rules: [
            { Status: 'Enabled', AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } },
            {
              Status: 'Enabled',
              NoncurrentVersionExpiration: { NoncurrentDays: 30 },
              ExpiredObjectDeleteMarker: true,
            },
            { Status: 'Enabled', Prefix: 'closed-letters/orders/', ExpirationInDays: 30 },
            {
              Status: 'Enabled',
              Prefix: 'spilled/orders/',
              NoncurrentVersionExpiration: { NoncurrentDays: 1 },
            },
            {
              Status: 'Enabled',
              Prefix: 'checkpoints/orders/',
              NoncurrentVersionExpiration: { NoncurrentDays: 1 },
            },
          ],
        },
      },
      DeletionPolicy: 'Retain',
    });
  });

  it('refuses requests without TLS', () => {
    const { template } = ordersStack();

    template.hasResourceProperties('AWS::S3::BucketPolicy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
        ]),
      },
    });
  });
});

describe('the sinks', () => {
  it('get a stream, a table with the key pk, and nothing for a function of the user', () => {
    const { template, pipeline } = ordersStack();

    template.resourceCountIs('AWS::Kinesis::Stream', 2);
    template.resourceCountIs('AWS::DynamoDB::GlobalTable', 2);
    template.hasResourceProperties('AWS::DynamoDB::GlobalTable', {
      KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
      TimeToLiveSpecification: Match.absent(),
    });
    expect([...pipeline.sinks.streams.keys(), ...pipeline.sinks.tables.keys()]).toEqual(['totals', 'latest']);
  });

  it('are existing streams where they are given', () => {
    const { template } = ordersStack((stack) => ({
      pipeline: ordersPipeline({ sinks: [TOTALS] }),
      sinkStreams: { totals: Stream.fromStreamArn(stack, 'AllTotals', EXISTING_ARN) },
    }));

    template.resourceCountIs('AWS::Kinesis::Stream', 1);
    template.hasResourceProperties('AWS::Lambda::Function', {
      Environment: { Variables: Match.objectLike({ TIDEMARK_SINK_TOTALS: 'all-orders' }) },
    });
  });

  it('have the shards that they are given, which the source does not share', () => {
    const { template } = ordersStack({ sinkShardCount: 2 });

    template.hasResourceProperties('AWS::Kinesis::Stream', { ShardCount: 2, RetentionPeriodHours: 24 });
    template.hasResourceProperties('AWS::Kinesis::Stream', {
      StreamModeDetails: { StreamMode: 'ON_DEMAND' },
      RetentionPeriodHours: 48,
    });
  });
});

describe('the function', () => {
  it('runs Node 24 on ARM, traced, with the bundle as its code', () => {
    const { template } = ordersStack();

    template.hasResourceProperties('AWS::Lambda::Function', {
      Runtime: 'nodejs24.x',
      Architectures: ['arm64'],
      Handler: 'index.handler',
      Timeout: 60,
      MemorySize: 1024,
      TracingConfig: { Mode: 'Active' },
      LoggingConfig: { LogFormat: 'JSON', LogGroup: { Ref: Match.stringLikeRegexp('^PipelineLogs') } },
    });
  });

  it('is told by its environment where everything is', () => {
    const { template } = ordersStack({ parallelizationFactor: 3, environment: { CURRENCY: 'EUR' } });

    template.hasResourceProperties('AWS::Lambda::Function', {
      Environment: {
        Variables: {
          CURRENCY: 'EUR',
          NODE_OPTIONS: '--enable-source-maps',
          POWERTOOLS_METRICS_NAMESPACE: 'Tidemark',
          POWERTOOLS_SERVICE_NAME: 'orders',
          TIDEMARK_BUCKET: { Ref: Match.stringLikeRegexp('^PipelineBucket') },
          TIDEMARK_PARALLELIZATION_FACTOR: '3',
          TIDEMARK_SINK_LATEST: { Ref: Match.stringLikeRegexp('^PipelineSinkTablelatestorders') },
          TIDEMARK_SINK_TOTALS: { Ref: Match.stringLikeRegexp('^PipelineSinkStreamordertotals') },
          TIDEMARK_STATE_TABLE: { Ref: Match.stringLikeRegexp('^PipelineState') },
          TIDEMARK_WRITES: 'partiql',
        },
      },
    });
  });

  it('keeps its logs for a month', () => {
    ordersStack().template.hasResource('AWS::Logs::LogGroup', {
      Properties: { RetentionInDays: 30 },
      DeletionPolicy: 'Delete',
    });
  });
});

describe('the schedule', () => {
  it('lets the function sweep spilled states once a day', () => {
    const { template } = ordersStack();

    template.hasResourceProperties('AWS::Events::Rule', {
      ScheduleExpression: 'rate(1 day)',
      State: 'ENABLED',
      Targets: [Match.objectLike({ Input: '{"tidemark":"sweep"}' })],
    });
    template.hasResourceProperties('AWS::Lambda::Permission', { Principal: 'events.amazonaws.com' });
  });

  it.each([
    ['once a minute', {}, '{"tidemark":"timers"}'],
    ['once a minute', { timers: { interval: Duration.minutes(1) } }, '{"tidemark":"timers"}'],
    [
      'every ten seconds',
      { timers: { interval: Duration.seconds(10) } },
      '{"tidemark":"timers","everySeconds":10}',
    ],
  ])('lets the function of a pipeline with a time fire timers %s', (_, settings, input) => {
    const { template } = ordersStack({ pipeline: CLOCKED, ...settings });

    template.hasResourceProperties('AWS::Events::Rule', {
      ScheduleExpression: 'rate(1 minute)',
      Targets: [Match.objectLike({ Input: input })],
    });
  });
});

describe('the event source mapping', () => {
  it('never gives up, and takes partial answers', () => {
    const { template } = ordersStack();

    template.resourcePropertiesCountIs(
      'AWS::Lambda::EventSourceMapping',
      {
        EventSourceArn: { 'Fn::GetAtt': [Match.stringLikeRegexp('^PipelineSource'), 'Arn'] },
        FunctionName: { Ref: Match.stringLikeRegexp('^PipelineFunction') },
        BatchSize: 500,
        MaximumBatchingWindowInSeconds: 1,
        ParallelizationFactor: 1,
        BisectBatchOnFunctionError: true,
        FunctionResponseTypes: ['ReportBatchItemFailures'],
        MaximumRecordAgeInSeconds: -1,
        MaximumRetryAttempts: -1,
        StartingPosition: 'TRIM_HORIZON',
        DestinationConfig: Match.absent(),
        FilterCriteria: Match.absent(),
      },
      1,
    );
  });

  it('has the settings that it is given', () => {
    const { template } = ordersStack({
      batchSize: 10,
      maximumBatchingWindow: Duration.seconds(0),
      parallelizationFactor: 2,
      bisectOnError: false,
      startingPosition: StartingPosition.AT_TIMESTAMP,
      startingPositionTimestamp: 1_767_225_600,
    });

    template.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      BatchSize: 10,
      MaximumBatchingWindowInSeconds: 0,
      ParallelizationFactor: 2,
      BisectBatchOnFunctionError: false,
      StartingPosition: 'AT_TIMESTAMP',
      StartingPositionTimestamp: 1_767_225_600,
    });
  });
});

describe('the alarms', () => {
  it.each([
    ['AWS/Lambda', 'IteratorAge', 300_000, 3],
    ['AWS/Lambda', 'IteratorAge', 86_400_000, 1],
    ['AWS/Lambda', 'Errors', 0, 3],
    ['AWS/Lambda', 'Throttles', 0, 3],
    ['AWS/Kinesis', 'ReadProvisionedThroughputExceeded', 0, 3],
  ])('watch %s %s above %i for %i minutes', (Namespace, MetricName, Threshold, EvaluationPeriods) => {
    ordersStack().template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      Namespace,
      MetricName,
      Threshold,
      EvaluationPeriods,
      Period: 60,
      ComparisonOperator: 'GreaterThanThreshold',
      TreatMissingData: 'notBreaching',
    });
  });

  it('watch dead letters by the metric that the engine writes', () => {
    ordersStack().template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      Namespace: 'Tidemark',
      MetricName: 'deadLetters',
      Dimensions: [{ Name: 'service', Value: 'orders' }],
      Statistic: 'Sum',
      Threshold: 0,
      EvaluationPeriods: 1,
    });
  });

  it('watch reads and writes of the state table together', () => {
    const ofState = {
      Namespace: 'AWS/DynamoDB',
      Dimensions: [{ Name: 'TableName', Value: { Ref: Match.stringLikeRegexp('^PipelineState') } }],
    };
    ordersStack().template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      Metrics: Match.arrayWith([
        Match.objectLike({ Expression: 'FILL(reads, 0) + FILL(writes, 0)' }),
        Match.objectLike({
          Id: 'reads',
          MetricStat: Match.objectLike({ Metric: { ...ofState, MetricName: 'ReadThrottleEvents' } }),
        }),
        Match.objectLike({
          Id: 'writes',
          MetricStat: Match.objectLike({ Metric: { ...ofState, MetricName: 'WriteThrottleEvents' } }),
        }),
      ]),
    });
  });

  it('tell the same to whom they are told to tell, when they begin and when they end', () => {
    const { template, pipeline } = ordersStack((stack) => ({
      alarms: { iteratorAge: Duration.minutes(1), actions: [new SnsAction(new Topic(stack, 'OnCall'))] },
    }));

    const topic = [{ Ref: Match.stringLikeRegexp('^OnCall') }];
    template.allResourcesProperties('AWS::CloudWatch::Alarm', { AlarmActions: topic, OKActions: topic });
    template.resourceCountIs('AWS::CloudWatch::Alarm', pipeline.alarms.alarms.length);
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      MetricName: 'IteratorAge',
      Threshold: 60_000,
    });
  });
});

describe('the dashboard', () => {
  it('shows the alarms, the engine, the table and the sinks', () => {
    const [dashboard] = Object.values(ordersStack().template.findResources('AWS::CloudWatch::Dashboard'));
    const body = JSON.stringify(dashboard);

    for (const shown of [
      'IteratorAge',
      'IncomingRecords',
      'deadLetters',
      'ConsumedWriteCapacityUnits',
      'WriteProvisionedThroughputExceeded',
      'PipelineAlarmsRecordsNearLoss',
      'duplicates',
      'conflicts',
      'checkpointAge',
    ]) {
      expect(body).toContain(shown);
    }
  });

  it('shows what a million records cost, by list prices and the memory of the function', () => {
    const cost = (memorySize?: number): string => {
      const { template } = ordersStack(memorySize === undefined ? {} : { memorySize });
      const [dashboard] = Object.values(template.findResources('AWS::CloudWatch::Dashboard'));
      const [expression = ''] = /\(FILL\(writeUnits[^"]*\/ applied/.exec(JSON.stringify(dashboard)) ?? [];
      return expression;
    };
    // Write and read units, requests, and milliseconds of a gigabyte.
    const figures = [0.625, 0.125, 0.2, 0.0133334];
    expect(
      cost()
        .match(/[\d.]*[1-9]\d*(?=[ )])/g)
        ?.map(Number),
    ).toEqual(figures);
    expect(cost(2_048)).toContain('FILL(duration, 0) * 0.0266668');
  });
});

describe('checkpoints', () => {
  const ALARM = { MetricName: 'checkpointAge', Namespace: 'Tidemark', TreatMissingData: 'breaching' };

  it('are looked after every five minutes, begun every hour, and missed after two', () => {
    const { template } = ordersStack();

    template.hasResourceProperties('AWS::Events::Rule', {
      ScheduleExpression: 'rate(5 minutes)',
      Targets: [Match.objectLike({ Input: '{"tidemark":"checkpoint","ifOlderThanSeconds":3450}' })],
    });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', { ...ALARM, Threshold: 7_200, Period: 300 });
    template.hasResourceProperties('AWS::Lambda::Function', {
      Environment: { Variables: Match.objectLike({ TIDEMARK_STREAMS: { Ref: Match.anyValue() } }) },
    });
    expect(JSON.stringify(template.findResources('AWS::CloudWatch::Dashboard'))).toContain('checkpointAge');
  });

  it('come and stay as their settings say', () => {
    const { template } = ordersStack({
      checkpoints: {
        interval: Duration.minutes(2),
        keepLast: 5,
        keepDaily: 3,
        readUnitsPerSecond: 500,
        fullEvery: 12,
      },
    });

    template.hasResourceProperties('AWS::Events::Rule', {
      ScheduleExpression: 'rate(2 minutes)',
      Targets: [Match.objectLike({ Input: '{"tidemark":"checkpoint","ifOlderThanSeconds":60}' })],
    });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', { ...ALARM, Threshold: 240 });
    template.hasResourceProperties('AWS::Lambda::Function', {
      Environment: {
        Variables: Match.objectLike({
          TIDEMARK_CHECKPOINTS_KEEP_LAST: '5',
          TIDEMARK_CHECKPOINTS_KEEP_DAILY: '3',
          TIDEMARK_CHECKPOINT_READ_UNITS: '500',
          TIDEMARK_CHECKPOINTS_FULL_EVERY: '12',
        }),
      },
    });
  });

  it('tell by which code they were taken, and rewinds know the streams by their ARNs', () => {
    const { template } = ordersStack();

    template.hasResourceProperties('AWS::Lambda::Function', {
      Environment: {
        Variables: Match.objectLike({
          TIDEMARK_CODE: Match.stringLikeRegexp('^[0-9a-f]{64}$'),
          TIDEMARK_STREAM_ARNS: { 'Fn::GetAtt': [Match.stringLikeRegexp('^PipelineSource'), 'Arn'] },
        }),
      },
    });
  });

  it('come by nobody but an operator where they are switched off', () => {
    const { template } = ordersStack({ checkpoints: false });

    template.resourceCountIs('AWS::Events::Rule', 1);
    template.resourcePropertiesCountIs('AWS::CloudWatch::Alarm', ALARM, 0);
  });
});

describe('a pipeline whose data may go', () => {
  it('leaves nothing behind', () => {
    const { template } = ordersStack({ removalPolicy: RemovalPolicy.DESTROY });

    for (const type of ['AWS::Kinesis::Stream', 'AWS::DynamoDB::GlobalTable', 'AWS::S3::Bucket']) {
      template.allResources(type, { DeletionPolicy: 'Delete' });
    }
    template.allResourcesProperties('AWS::DynamoDB::GlobalTable', {
      Replicas: [Match.objectLike({ DeletionProtectionEnabled: false })],
    });
  });
});

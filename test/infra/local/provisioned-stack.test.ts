import { DescribeTableCommand, DescribeTimeToLiveCommand } from '@aws-sdk/client-dynamodb';
import { DescribeStreamSummaryCommand } from '@aws-sdk/client-kinesis';
import { HeadBucketCommand } from '@aws-sdk/client-s3';
import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Engines, startEngines } from '../../../infra/local/engines/engines.ts';
import { findJavaVersion, LOWEST_JAVA_VERSION } from '../../../infra/local/engines/java-runtime.ts';
import { readCloudAssembly } from '../../../infra/local/provision/cloud-assembly.ts';
import { type LocalStack, provisionStack } from '../../../infra/local/provision/local-stack.ts';
import { ORDERS_TEMPLATE, writeAssembly } from './fixtures/assembly.ts';

const hasJava = ((await findJavaVersion()) ?? 0) >= LOWEST_JAVA_VERSION;
const KINDS = [
  { dynamo: 'dynalite', isMissing: false, reason: '' },
  { dynamo: 'java', isMissing: !hasJava, reason: ' (skipped without Java 17)' },
] as const;

for (const { dynamo, isMissing, reason } of KINDS) {
  describe.skipIf(isMissing)(`a stack made with DynamoDB on ${dynamo}${reason}`, () => {
    const directories: string[] = [];
    const notices: string[] = [];
    let engines: Engines;
    let stack: LocalStack;

    const provision = (template: object, onNotice: (text: string) => void = () => undefined) => {
      const directory = writeAssembly({ Orders: template });
      directories.push(directory);
      return provisionStack({ assembly: readCloudAssembly(directory), engines, onNotice });
    };

    beforeAll(async () => {
      engines = await startEngines({ dynamo, onNotice: () => undefined });
      stack = await provision(ORDERS_TEMPLATE, (text) => notices.push(text));
    });
    afterAll(async () => {
      await engines.stop();
      for (const directory of directories) rmSync(directory, { recursive: true });
    });

    const describeStream = async (StreamName: string) =>
      (await engines.clients().kinesis.send(new DescribeStreamSummaryCommand({ StreamName })))
        .StreamDescriptionSummary;
    const describeTable = async (TableName: string) =>
      (await engines.clients().dynamodb.send(new DescribeTableCommand({ TableName }))).Table;

    it('has its streams, active, with their shards, retention and ARN', async () => {
      expect(await describeStream('Orders-Source')).toMatchObject({
        StreamStatus: 'ACTIVE',
        OpenShardCount: 2,
        RetentionPeriodHours: 48,
        StreamARN: stack.streams[0]?.arn,
      });
      expect(await describeStream('Orders-Sink')).toMatchObject({
        OpenShardCount: 4,
        RetentionPeriodHours: 24,
      });
    });

    it('has its tables, active, with their keys and indexes', async () => {
      expect(await describeTable('Orders-State')).toMatchObject({
        TableStatus: 'ACTIVE',
        KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
        GlobalSecondaryIndexes: [
          {
            IndexName: 'due',
            IndexStatus: 'ACTIVE',
            Projection: { ProjectionType: 'KEYS_ONLY' },
            KeySchema: [
              { AttributeName: 'bucket', KeyType: 'HASH' },
              { AttributeName: 'due', KeyType: 'RANGE' },
            ],
          },
        ],
      });
      expect(await describeTable('results')).toMatchObject({ TableStatus: 'ACTIVE' });
    });

    it.runIf(dynamo === 'java')(
      'lets items expire and has table streams (DynamoDB Local alone knows both)',
      async () => {
        const { TimeToLiveDescription } = await engines
          .clients()
          .dynamodb.send(new DescribeTimeToLiveCommand({ TableName: 'results' }));

        expect(TimeToLiveDescription).toMatchObject({ AttributeName: 'x', TimeToLiveStatus: 'ENABLED' });
        expect((await describeTable('results'))?.StreamSpecification).toEqual({
          StreamEnabled: true,
          StreamViewType: 'NEW_IMAGE',
        });
        expect(notices).toEqual([]);
      },
    );

    it.runIf(dynamo === 'dynalite')('says what dynalite leaves out', () => {
      expect(notices).toEqual([
        'Table results has no stream here: dynalite knows none.',
        'Items of table results do not expire here: dynalite knows no time to live.',
      ]);
    });

    it('has its bucket and queues', async () => {
      const { s3, sqs } = engines.clients();
      const [bucket] = stack.buckets;
      const letters = stack.queues.find(({ logicalId }) => logicalId === 'Letters');

      await expect(s3.send(new HeadBucketCommand({ Bucket: bucket?.name }))).resolves.toBeDefined();
      const { Attributes } = await sqs.send(
        new GetQueueAttributesCommand({ QueueUrl: letters?.url, AttributeNames: ['All'] }),
      );
      expect(Attributes).toMatchObject({
        QueueArn: letters?.arn,
        VisibilityTimeout: '60',
        RedrivePolicy: JSON.stringify({
          deadLetterTargetArn: 'arn:aws:sqs:us-east-1:000000000000:Orders-Dead',
          maxReceiveCount: 3,
        }),
      });
    });

    it('is the same stack when it is made again', async () => {
      const again = await provision(ORDERS_TEMPLATE);

      const ofAssembly = { functions: [] };
      expect({ ...again, ...ofAssembly }).toEqual({ ...stack, ...ofAssembly });
      expect(await describeStream('Orders-Source')).toMatchObject({ OpenShardCount: 2 });
    });

    it('follows a change of retention in both directions', async () => {
      const withHours = (RetentionPeriodHours: number) =>
        provision({
          Resources: {
            Kept: { Type: 'AWS::Kinesis::Stream', Properties: { ShardCount: 1, RetentionPeriodHours } },
          },
        });

      await withHours(72);
      expect(await describeStream('Orders-Kept')).toMatchObject({ RetentionPeriodHours: 72 });
      await withHours(30);
      expect(await describeStream('Orders-Kept')).toMatchObject({ RetentionPeriodHours: 30 });
    });

    it('is refused where a kept table has other keys', async () => {
      const table = (key: string) => ({
        Resources: {
          Changed: {
            Type: 'AWS::DynamoDB::Table',
            Properties: {
              AttributeDefinitions: [{ AttributeName: key, AttributeType: 'S' }],
              KeySchema: [{ AttributeName: key, KeyType: 'HASH' }],
            },
          },
        },
      });
      await provision(table('pk'));

      await expect(provision(table('id'))).rejects.toThrow(
        'Table Orders-Changed is kept from an earlier run with the keys "pk", and the template wants "id".',
      );
    });
  });
}

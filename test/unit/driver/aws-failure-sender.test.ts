import { CreateBucketCommand, GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAwsFailureSender } from '../../../infra/local/driver/aws-failure-sender.ts';
import type { FailureDelivery } from '../../../infra/local/driver/failure-sender.ts';
import { startEngineProcess, type EngineProcess } from '../../../infra/local/engines/engine-process.ts';
import { LOCAL_CREDENTIALS, LOCAL_REGION } from '../../../infra/local/engines/local-account.ts';
import { createFailureDocument } from '../../../shared/mapping/failure-document.ts';
import { ARRIVAL_MS, IDENTITY, recordsBetween, STREAM_ARN } from '../mapping/example-settings.ts';

const DOCUMENT = createFailureDocument(
  {
    requestId: 'request-1',
    functionArn: IDENTITY.functionArn,
    streamArn: STREAM_ARN,
    shardId: 'shardId-000000000000',
    condition: 'RecordAgeExceeded',
    invokeCount: 0,
    response: undefined,
    records: recordsBetween(1, 2),
  },
  ARRIVAL_MS,
);

function deliveryTo(service: 'sqs' | 'sns' | 's3', arn: string): FailureDelivery {
  const objectKey = service === 's3' ? 'aws/lambda/m/s/key' : undefined;
  return { kind: 'sendOnFailure', destination: { service, arn }, document: DOCUMENT, objectKey };
}

describe('a sender of failure documents', () => {
  let engine: EngineProcess;
  let sqs: SQSClient;
  let s3: S3Client;

  beforeAll(async () => {
    engine = await startEngineProcess({
      name: 'S3 and SQS (fauxqs)',
      entry: new URL('../../../infra/local/engines/object-and-queue-engine.ts', import.meta.url),
      settings: {},
      onNotice: () => undefined,
    });
    const common = { region: LOCAL_REGION, credentials: LOCAL_CREDENTIALS, endpoint: engine.endpoint };
    sqs = new SQSClient({ ...common, useQueueUrlAsEndpoint: false });
    s3 = new S3Client({ ...common, forcePathStyle: true });
  });

  afterAll(async () => {
    sqs.destroy();
    s3.destroy();
    await engine.stop();
  });

  it('puts them into a queue, found by its ARN', async () => {
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'failed' }));
    const sender = createAwsFailureSender(sqs, s3);
    await sender.send(deliveryTo('sqs', `arn:aws:sqs:${LOCAL_REGION}:000000000000:failed`));
    await sender.send(deliveryTo('sqs', `arn:aws:sqs:${LOCAL_REGION}:000000000000:failed`));
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 }),
    );
    expect(Messages.map((message) => JSON.parse(message.Body ?? '') as unknown)).toEqual([
      DOCUMENT,
      DOCUMENT,
    ]);
  });

  it('puts them into a bucket, under their key', async () => {
    await s3.send(new CreateBucketCommand({ Bucket: 'failed' }));
    await createAwsFailureSender(sqs, s3).send(deliveryTo('s3', 'arn:aws:s3:::failed'));
    const object = await s3.send(new GetObjectCommand({ Bucket: 'failed', Key: 'aws/lambda/m/s/key' }));
    expect(JSON.parse((await object.Body?.transformToString()) ?? '')).toEqual(DOCUMENT);
  });

  it('rejects a topic, and a queue that is not there', async () => {
    const sender = createAwsFailureSender(sqs, s3);
    await expect(sender.send(deliveryTo('sns', 'arn:aws:sns:us-east-1:000000000000:t'))).rejects.toThrow(
      /is an SNS topic; locally only SQS queues and S3 buckets work/,
    );
    await expect(
      sender.send(deliveryTo('sqs', 'arn:aws:sqs:us-east-1:000000000000:absent')),
    ).rejects.toThrow();
  });
});

import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { GetQueueUrlCommand, SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { FailureSender } from './failure-sender.ts';

/**
 * Sends documents to SQS and S3 through the AWS SDK, which retries by itself. The SQS client needs
 * `useQueueUrlAsEndpoint: false` where the endpoint is a local engine. SNS, which no local engine offers, is rejected.
 */
export function createAwsFailureSender(sqs: SQSClient, s3: S3Client): FailureSender {
  const queueUrls = new Map<string, string>();

  async function queueUrl(arn: string): Promise<string> {
    const known = queueUrls.get(arn);
    if (known !== undefined) return known;
    const queueName = arn.split(':').at(-1);
    const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: queueName }));
    if (QueueUrl === undefined) throw new Error(`SQS gave no URL for the on-failure queue ${arn}.`);
    queueUrls.set(arn, QueueUrl);
    return QueueUrl;
  }

  return {
    async send({ destination, document, objectKey }) {
      const body = JSON.stringify(document);
      switch (destination.service) {
        case 'sqs': {
          const QueueUrl = await queueUrl(destination.arn);
          await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: body }));
          return;
        }
        case 's3': {
          const Bucket = destination.arn.split(':::').at(-1);
          await s3.send(
            new PutObjectCommand({ Bucket, Key: objectKey, Body: body, ContentType: 'application/json' }),
          );
          return;
        }
        case 'sns':
          throw new Error(
            `On-failure destination ${destination.arn} is an SNS topic; locally only SQS queues and S3 buckets work.`,
          );
      }
    },
  };
}

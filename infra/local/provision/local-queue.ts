import { CreateQueueCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { IdentifiedResource } from '../template/resolved-template.ts';
import { Properties } from './properties.ts';

export interface LocalQueue {
  readonly logicalId: string;
  readonly name: string;
  readonly url: string;
  readonly arn: string;
  /** In the form of SQS' CreateQueue: every value a text. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** What a queue does; encryption and tags are left out. */
const PLAIN_ATTRIBUTES = [
  'ContentBasedDeduplication',
  'DelaySeconds',
  'FifoQueue',
  'MaximumMessageSize',
  'MessageRetentionPeriod',
  'ReceiveMessageWaitTimeSeconds',
  'VisibilityTimeout',
];

export function describeQueue(resource: IdentifiedResource): LocalQueue {
  const properties = Properties.of(resource);
  const attributes: Record<string, string> = {};
  for (const name of PLAIN_ATTRIBUTES) {
    const value = properties.text(name);
    if (value !== undefined) attributes[name] = value;
  }
  const redrive = properties.raw('RedrivePolicy');
  if (redrive !== undefined) {
    attributes['RedrivePolicy'] = typeof redrive === 'string' ? redrive : JSON.stringify(redrive);
  }
  return {
    logicalId: resource.logicalId,
    name: resource.attributes['QueueName'] ?? '',
    url: resource.ref,
    arn: resource.attributes['Arn'] ?? '',
    attributes,
  };
}

/**
 * Makes the queue unless it is there with the same attributes.
 * @throws Error when the engine gives it another URL than the template's functions were told.
 */
export async function createQueue(client: SQSClient, queue: LocalQueue): Promise<void> {
  const { QueueUrl } = await client.send(
    new CreateQueueCommand({ QueueName: queue.name, Attributes: { ...queue.attributes } }),
  );
  if (QueueUrl !== queue.url) {
    throw new Error(`Queue ${queue.name} has the URL ${QueueUrl}, and ${queue.url} was expected.`);
  }
}

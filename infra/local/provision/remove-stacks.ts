import { setTimeout as pause } from 'node:timers/promises';
import {
  DeleteTableCommand,
  ResourceNotFoundException as TableNotFoundException,
  DescribeTableCommand,
} from '@aws-sdk/client-dynamodb';
import {
  DeleteStreamCommand,
  DescribeStreamSummaryCommand,
  ResourceNotFoundException,
} from '@aws-sdk/client-kinesis';
import { DeleteObjectsCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { DeleteQueueCommand } from '@aws-sdk/client-sqs';
import type { EngineClients } from '../engines/engine-clients.ts';
import type { LocalStack } from './local-stack.ts';

const PAUSE_MS = 20;
const ATTEMPTS = 1_500;

/**
 * Removes what `provisionStacks` made, and waits until it is gone: what is made next under the same names is new. Buckets
 * are emptied and stay.
 */
export async function removeStacks(clients: EngineClients, stacks: readonly LocalStack[]): Promise<void> {
  // Stacks that feed each other share streams.
  const each = (names: readonly string[], remove: (name: string) => Promise<unknown>) =>
    [...new Set(names)].map(remove);
  await Promise.all([
    ...each(
      stacks.flatMap(({ streams }) => streams.map(({ name }) => name)),
      (name) => removeStream(clients, name),
    ),
    ...each(
      stacks.flatMap(({ tables }) => tables.map(({ name }) => name)),
      (name) => removeTable(clients, name),
    ),
    ...each(
      stacks.flatMap(({ buckets }) => buckets.map(({ name }) => name)),
      (name) => emptyBucket(clients, name),
    ),
    ...each(
      stacks.flatMap(({ queues }) => queues.map(({ url }) => url)),
      (url) => clients.sqs.send(new DeleteQueueCommand({ QueueUrl: url })),
    ),
  ]);
}

async function removeStream({ kinesis }: EngineClients, StreamName: string): Promise<void> {
  await kinesis.send(new DeleteStreamCommand({ StreamName, EnforceConsumerDeletion: true }));
  await untilGone(
    `Stream ${StreamName}`,
    () => kinesis.send(new DescribeStreamSummaryCommand({ StreamName })),
    (error) => error instanceof ResourceNotFoundException,
  );
}

async function removeTable({ dynamodb }: EngineClients, TableName: string): Promise<void> {
  await dynamodb.send(new DeleteTableCommand({ TableName }));
  await untilGone(
    `Table ${TableName}`,
    () => dynamodb.send(new DescribeTableCommand({ TableName })),
    (error) => error instanceof TableNotFoundException,
  );
}

async function emptyBucket({ s3 }: EngineClients, Bucket: string): Promise<void> {
  for await (const { Contents = [] } of paginateListObjectsV2({ client: s3 }, { Bucket })) {
    const Objects = Contents.flatMap(({ Key }) => (Key === undefined ? [] : [{ Key }]));
    if (Objects.length > 0) await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
  }
}

/** @throws Error when that takes about half a minute, and what `describe` throws otherwise. */
async function untilGone(
  name: string,
  describe: () => Promise<unknown>,
  isNotFound: (error: unknown) => boolean,
): Promise<void> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    try {
      await describe();
    } catch (error) {
      if (isNotFound(error)) return;
      throw error;
    }
    await pause(PAUSE_MS);
  }
  throw new Error(`${name} was deleted and does not go away.`);
}

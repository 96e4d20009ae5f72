import { CreateBucketCommand, S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEngineProcess, type EngineProcess } from '../../../infra/local/engines/engine-process.ts';
import { LOCAL_CREDENTIALS, LOCAL_REGION } from '../../../infra/local/engines/local-account.ts';
import type { DeadLetter } from '../../../shared/output/dead-letter-store.ts';
import { S3DeadLetterStore } from '../../../shared/output/s3-dead-letters.ts';
import { deadLetterStoreContract } from './dead-letter-store-contract.ts';

let engine: EngineProcess;
let client: S3Client;
let buckets = 0;

beforeAll(async () => {
  engine = await startEngineProcess({
    name: 'S3 (fauxqs)',
    entry: new URL('../../../infra/local/engines/object-and-queue-engine.ts', import.meta.url),
    settings: {},
    onNotice: () => undefined,
  });
  client = new S3Client({
    region: LOCAL_REGION,
    credentials: LOCAL_CREDENTIALS,
    endpoint: engine.endpoint,
    forcePathStyle: true,
  });
}, 60_000);
afterAll(async () => {
  client.destroy();
  await engine.stop();
});

async function newBucket(): Promise<string> {
  buckets += 1;
  const Bucket = `letters-${buckets}`;
  await client.send(new CreateBucketCommand({ Bucket }));
  return Bucket;
}

deadLetterStoreContract(async () => new S3DeadLetterStore(client, await newBucket(), 'p'));

describe('a bucket', () => {
  it('keeps the letters of several pipelines apart', async () => {
    const bucket = await newBucket();
    const letter = { pipeline: 'p' } as DeadLetter;
    const [one, other] = [
      new S3DeadLetterStore(client, bucket, 'p'),
      new S3DeadLetterStore(client, bucket, 'p2'),
    ];
    await one.put('1/a/0', letter);
    for await (const page of other.list('')) expect(page).toEqual([]);
    expect(await other.get('1/a/0')).toBeUndefined();
    await other.remove('1/a/0');
    expect(await one.get('1/a/0')).toEqual(letter);
  });

  // fauxqs checks no permissions.
  it('that denies what is not there, to who may list it, has no such letter; any other denial is one', async () => {
    const answering = (contents: object[]): S3Client =>
      ({
        send: async ({ constructor: { name } }: object) => {
          if (name === 'ListObjectsV2Command') return { Contents: contents };
          throw new S3ServiceException({
            name: 'AccessDenied',
            message: 'Access Denied',
            $fault: 'client',
            $metadata: {},
          });
        },
      }) as unknown as S3Client;
    expect(await new S3DeadLetterStore(answering([]), 'b', 'p').get('1/a/0')).toBeUndefined();
    const denied = new S3DeadLetterStore(answering([{ Key: 'dead-letters/p/1/a/0' }]), 'b', 'p');
    await expect(denied.get('1/a/0')).rejects.toThrow('Access Denied');
    await expect(denied.put('1/a/0', {} as DeadLetter)).rejects.toThrow('Access Denied');
  });
});

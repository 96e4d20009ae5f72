import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEngineProcess, type EngineProcess } from '../../../infra/local/engines/engine-process.ts';
import { S3BlobStore } from '../../../shared/state/s3-blob-store.ts';
import { blobStoreContract } from './blob-store-contract.ts';

describe('S3BlobStore on fauxqs', () => {
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
      endpoint: engine.endpoint,
      region: 'eu-west-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      forcePathStyle: true,
    });
  });
  afterAll(async () => {
    client.destroy();
    await engine.stop();
  });

  const make = async (): Promise<S3BlobStore> => {
    const bucket = `bucket-${++buckets}`;
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    // Neighbours that a listing must not show.
    for (const key of ['spilled/other/1', 'spilled/p', 'spilled/p0']) {
      await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: 'x' }));
    }
    return new S3BlobStore(client, bucket, 'spilled/p/');
  };

  blobStoreContract(make);

  it('throws where the bucket is not there, which is not the same as an object that is missing', async () => {
    const blobs = new S3BlobStore(client, 'no-such-bucket', 'p/');
    await expect(blobs.get('a')).rejects.toThrow();
    await expect(blobs.put('a', new Uint8Array([1]))).rejects.toThrow();
    await expect(blobs.list('')).rejects.toThrow();
  });
});

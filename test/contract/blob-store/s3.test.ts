import { PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { S3BlobStore } from '../../../shared/state/s3-blob-store.ts';
import { s3Engine } from '../../support/s3-engine.ts';
import { blobStoreContract } from './blob-store-contract.ts';

describe('S3BlobStore on fauxqs', () => {
  const { client, newBucket } = s3Engine();

  const make = async (): Promise<S3BlobStore> => {
    const bucket = await newBucket();
    // Neighbours that a listing must not show.
    for (const key of ['spilled/other/1', 'spilled/p', 'spilled/p0']) {
      await client().send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: 'x' }));
    }
    return new S3BlobStore(client(), bucket, 'spilled/p/');
  };

  blobStoreContract(make);

  it('throws where the bucket is not there, which is not the same as an object that is missing', async () => {
    const blobs = new S3BlobStore(client(), 'no-such-bucket', 'p/');
    await expect(blobs.get('a')).rejects.toThrow();
    await expect(blobs.put('a', new Uint8Array([1]))).rejects.toThrow();
    await expect(blobs.list('')).rejects.toThrow();
  });
});

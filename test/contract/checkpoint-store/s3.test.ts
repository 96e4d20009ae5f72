import { PutObjectCommand, S3ServiceException, type S3Client } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import type { Manifest } from '../../../shared/checkpoint/manifest.ts';
import { S3CheckpointStore } from '../../../shared/checkpoint/s3-checkpoint-store.ts';
import { s3Engine } from '../../support/s3-engine.ts';
import { checkpointStoreContract } from './checkpoint-store-contract.ts';

describe('S3CheckpointStore on fauxqs', () => {
  const { client, newBucket } = s3Engine();

  const make = async (): Promise<S3CheckpointStore> => {
    const bucket = await newBucket();
    // Neighbours that a listing must not show.
    for (const key of ['checkpoints/p2/a/manifest.json', 'checkpoints/p', 'checkpoints/p/loose']) {
      await client().send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: 'x' }));
    }
    return new S3CheckpointStore(client(), bucket, 'p');
  };

  checkpointStoreContract(make);

  it('throws where the bucket is not there, which is not the same as a checkpoint that is missing', async () => {
    const store = new S3CheckpointStore(client(), 'no-such-bucket', 'p');
    await expect(store.getManifest('a')).rejects.toThrow();
    await expect(store.putPart('a', 'b', new Uint8Array([1]))).rejects.toThrow();
    await expect(store.folders()).rejects.toThrow();
  });
});

describe('answers that fauxqs does not give', () => {
  const failure = (name: string): S3ServiceException =>
    new S3ServiceException({ name, message: name, $fault: 'client', $metadata: {} });

  function answering(answers: Record<string, () => unknown>): S3CheckpointStore {
    const client = {
      send: async ({ constructor: { name } }: object) => answers[name]?.(),
    } as unknown as S3Client;
    return new S3CheckpointStore(client, 'b', 'p');
  }

  it('a denial of what is not listed is a checkpoint that is not there; any other is an error', async () => {
    const denied = (): never => {
      throw failure('AccessDenied');
    };
    const missing = answering({ GetObjectCommand: denied, ListObjectsV2Command: () => ({}) });
    expect(await missing.getManifest('a')).toBeUndefined();
    const hidden = answering({
      GetObjectCommand: denied,
      ListObjectsV2Command: () => ({ Contents: [{ Key: 'checkpoints/p/a/manifest.json' }] }),
    });
    await expect(hidden.getManifest('a')).rejects.toThrow('AccessDenied');
  });

  it('a conflict is tried again, and work that its own first try has written is taken for written', async () => {
    let puts = 0;
    const store = answering({
      PutObjectCommand: () => {
        throw failure(++puts === 1 ? 'ConditionalRequestConflict' : 'PreconditionFailed');
      },
      GetObjectCommand: () => ({
        ETag: '"2"',
        Body: { transformToByteArray: async () => Buffer.from('mine') },
      }),
    });
    expect(await store.putWork('a', 'mine', '"1"')).toBe('"2"');
    expect(puts).toBe(2);
    expect(await store.putWork('a', 'other', '"1"')).toBeUndefined();
    expect(await store.putManifest({ id: 'a' } as Manifest)).toBe('exists');
  });
});

import { S3ServiceException, type S3Client } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import type { DeadLetter } from '../../../shared/output/dead-letter-store.ts';
import { deadLetterPrefix, S3DeadLetterStore } from '../../../shared/output/s3-dead-letters.ts';
import { s3Engine } from '../../support/s3-engine.ts';
import { deadLetterStoreContract } from './dead-letter-store-contract.ts';

const { client, newBucket } = s3Engine();

deadLetterStoreContract(
  async () => new S3DeadLetterStore(client(), await newBucket(), deadLetterPrefix('p')),
);

describe('a bucket', () => {
  it('keeps the letters of several pipelines apart', async () => {
    const bucket = await newBucket();
    const letter = { pipeline: 'p' } as DeadLetter;
    const [one, other] = [
      new S3DeadLetterStore(client(), bucket, deadLetterPrefix('p')),
      new S3DeadLetterStore(client(), bucket, deadLetterPrefix('p2')),
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
    expect(
      await new S3DeadLetterStore(answering([]), 'b', deadLetterPrefix('p')).get('1/a/0'),
    ).toBeUndefined();
    const denied = new S3DeadLetterStore(
      answering([{ Key: 'dead-letters/p/1/a/0' }]),
      'b',
      deadLetterPrefix('p'),
    );
    await expect(denied.get('1/a/0')).rejects.toThrow('Access Denied');
    await expect(denied.put('1/a/0', {} as DeadLetter)).rejects.toThrow('Access Denied');
  });
});

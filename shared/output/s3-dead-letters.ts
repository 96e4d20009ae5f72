import type { S3Client } from '@aws-sdk/client-s3';
import type { DeadLetter, DeadLetterStore } from './dead-letter-store.ts';

/** Where the dead letters of a pipeline lie in the bucket. */
export function deadLetterPrefix(pipeline: string): string {
  return `dead-letters/${pipeline}/`;
}

/** Stores each dead letter as one JSON object in a bucket. */
export class S3DeadLetterStore implements DeadLetterStore {
  readonly #bucket: string;
  readonly #makeClient: () => Promise<S3Client>;
  #client: Promise<S3Client> | undefined;

  /** @param makeClient called at the first dead letter: most containers never see one, and S3's client is the largest. */
  constructor(bucket: string, makeClient: () => Promise<S3Client>) {
    this.#bucket = bucket;
    this.#makeClient = makeClient;
  }

  async put(name: string, letter: DeadLetter): Promise<void> {
    const { PutObjectCommand } = await import('@aws-sdk/client-s3');
    const client = await (this.#client ??= this.#makeClient());
    await client.send(
      new PutObjectCommand({
        Bucket: this.#bucket,
        Key: deadLetterPrefix(letter.pipeline) + name,
        Body: JSON.stringify(letter),
        ContentType: 'application/json',
      }),
    );
  }
}

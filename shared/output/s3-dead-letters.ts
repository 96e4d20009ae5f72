import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { DeadLetter, DeadLetterStore } from './dead-letter-store.ts';

/** Where the dead letters of a pipeline lie in the bucket. */
export function deadLetterPrefix(pipeline: string): string {
  return `dead-letters/${pipeline}/`;
}

/** Stores each dead letter as one JSON object in a bucket. */
export class S3DeadLetterStore implements DeadLetterStore {
  readonly #client: S3Client;
  readonly #bucket: string;

  constructor(client: S3Client, bucket: string) {
    this.#client = client;
    this.#bucket = bucket;
  }

  async put(name: string, letter: DeadLetter): Promise<void> {
    await this.#client.send(
      new PutObjectCommand({
        Bucket: this.#bucket,
        Key: deadLetterPrefix(letter.pipeline) + name,
        Body: JSON.stringify(letter),
        ContentType: 'application/json',
      }),
    );
  }
}

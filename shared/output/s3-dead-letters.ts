import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3ServiceException,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { DeadLetter, DeadLetterStore, ListedLetter } from './dead-letter-store.ts';

/** Where the dead letters of a pipeline lie in the bucket. */
export function deadLetterPrefix(pipeline: string): string {
  return `dead-letters/${pipeline}/`;
}

/**
 * Where the letters of a pipeline lie that were redriven or dropped: a rewind to before that does it again. Of their
 * records it has the only copy once they have left the stream.
 */
export function closedLetterPrefix(pipeline: string): string {
  return `closed-letters/${pipeline}/`;
}

/** Stores each dead letter as one JSON object in a bucket. */
export class S3DeadLetterStore implements DeadLetterStore {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #folder: string;

  /** @param folder the beginning of all names in the bucket: `deadLetterPrefix` or `closedLetterPrefix`. */
  constructor(client: S3Client, bucket: string, folder: string) {
    this.#client = client;
    this.#bucket = bucket;
    this.#folder = folder;
  }

  async put(name: string, letter: DeadLetter): Promise<void> {
    await this.#client.send(
      new PutObjectCommand({
        ...this.#object(name),
        Body: JSON.stringify(letter),
        ContentType: 'application/json',
      }),
    );
  }

  async get(name: string): Promise<DeadLetter | undefined> {
    try {
      const { Body } = await this.#client.send(new GetObjectCommand(this.#object(name)));
      return Body === undefined ? undefined : (JSON.parse(await Body.transformToString()) as DeadLetter);
    } catch (error) {
      const code = error instanceof S3ServiceException ? error.name : '';
      if (code === 'NoSuchKey') return undefined;
      // To who may list a part of the bucket only, S3 denies what is not there.
      if (code === 'AccessDenied' && !(await this.#exists(name))) return undefined;
      throw error;
    }
  }

  async remove(name: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand(this.#object(name)));
  }

  async *list(prefix: string): AsyncGenerator<readonly ListedLetter[]> {
    let token: string | undefined;
    do {
      const page = await this.#client.send(
        new ListObjectsV2Command({
          Bucket: this.#bucket,
          Prefix: this.#folder + prefix,
          ContinuationToken: token,
        }),
      );
      token = page.NextContinuationToken;
      const letters = (page.Contents ?? []).map(({ Key = '', LastModified }) => ({
        name: Key.slice(this.#folder.length),
        storedMs: LastModified?.getTime() ?? 0,
      }));
      if (letters.length > 0) yield letters;
    } while (token !== undefined);
  }

  async #exists(name: string): Promise<boolean> {
    for await (const letters of this.list(name))
      if (letters.some((letter) => letter.name === name)) return true;
    return false;
  }

  #object(name: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#bucket, Key: this.#folder + name };
  }
}

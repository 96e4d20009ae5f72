import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { BlobPage, BlobStore } from './blob-store.ts';

/** Blobs as objects under one prefix of a bucket. */
export class S3BlobStore implements BlobStore {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  constructor(client: S3Client, bucket: string, prefix: string) {
    this.#client = client;
    this.#bucket = bucket;
    this.#prefix = prefix;
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    await this.#client.send(new PutObjectCommand({ ...this.#object(name), Body: bytes }));
  }

  async get(name: string, firstBytes?: number): Promise<Uint8Array | undefined> {
    try {
      const { Body: body } = await this.#client.send(
        new GetObjectCommand({
          ...this.#object(name),
          ...(firstBytes !== undefined && { Range: `bytes=0-${firstBytes - 1}` }),
        }),
      );
      return await body?.transformToByteArray();
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async remove(name: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand(this.#object(name)));
  }

  async list(after: string): Promise<BlobPage> {
    const { Contents: contents = [], IsTruncated: isTruncated = false } = await this.#client.send(
      new ListObjectsV2Command({
        Bucket: this.#bucket,
        Prefix: this.#prefix,
        ...(after !== '' && { StartAfter: this.#prefix + after }),
      }),
    );
    return {
      blobs: contents.map(({ Key: key = '', LastModified: modified }) => ({
        name: key.slice(this.#prefix.length),
        modifiedMs: modified?.getTime() ?? 0,
      })),
      isLast: !isTruncated,
    };
  }

  #object(name: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + name };
  }
}

/**
 * S3 says of an object that is not there that it is missing only to those who may list the whole bucket ("GetObject",
 * permissions); a function that may list its own prefix hears AccessDenied. Whoever needs the object finds out which.
 */
function isMissing(error: unknown): boolean {
  return error instanceof Error && (error.name === 'NoSuchKey' || error.name === 'AccessDenied');
}

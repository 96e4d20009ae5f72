import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** An object as S3 knows it. */
export interface StoredObject {
  readonly key: string;
  readonly body: Buffer;
  readonly contentType: string;
  readonly etag: string;
  readonly lastModified: Date;
  readonly metadata: Readonly<Record<string, string>>;
}

interface ObjectHead {
  key: string;
  contentType: string;
  etag: string;
  lastModifiedMs: number;
  metadata: Record<string, string>;
}

const UNFINISHED = '.unfinished';

/**
 * Objects in a folder: one folder per bucket, one file per object, with a line of JSON about the object before its
 * bytes. A file is named by the hash of its key, because keys are longer than file names may be and differ in case
 * where file names may not. A file is written whole or not at all.
 */
export class ObjectFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
  }

  listBuckets(): string[] {
    return readdirSync(this.#directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  }

  /** @throws Error naming the file when one was not written by this class. */
  *readObjects(bucket: string): Generator<StoredObject> {
    const directory = path.join(this.#directory, bucket);
    for (const name of readdirSync(directory)) {
      const file = path.join(directory, name);
      if (name.endsWith(UNFINISHED)) rmSync(file);
      else yield readObject(file);
    }
  }

  createBucket(bucket: string): void {
    mkdirSync(path.join(this.#directory, bucket), { recursive: true });
  }

  deleteBucket(bucket: string): void {
    rmSync(path.join(this.#directory, bucket), { recursive: true, force: true });
  }

  write(bucket: string, object: StoredObject): void {
    const head: ObjectHead = {
      key: object.key,
      contentType: object.contentType,
      etag: object.etag,
      lastModifiedMs: object.lastModified.getTime(),
      metadata: { ...object.metadata },
    };
    const file = this.#file(bucket, object.key);
    writeFileSync(file + UNFINISHED, Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), object.body]));
    renameSync(file + UNFINISHED, file);
  }

  delete(bucket: string, key: string): void {
    rmSync(this.#file(bucket, key), { force: true });
  }

  #file(bucket: string, key: string): string {
    return path.join(this.#directory, bucket, createHash('sha256').update(key).digest('hex'));
  }
}

function readObject(file: string): StoredObject {
  const bytes = readFileSync(file);
  const endOfHead = bytes.indexOf('\n');
  let head: ObjectHead;
  try {
    head = JSON.parse(bytes.toString('utf8', 0, endOfHead)) as ObjectHead;
  } catch (error) {
    throw new Error(`${file} is not an object that the local S3 has written; remove it and start again.`, {
      cause: error,
    });
  }
  return {
    key: head.key,
    body: bytes.subarray(endOfHead + 1),
    contentType: head.contentType,
    etag: head.etag,
    lastModified: new Date(head.lastModifiedMs),
    metadata: head.metadata,
  };
}

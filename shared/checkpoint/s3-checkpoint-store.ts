import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3ServiceException,
  type PutObjectCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3';
import {
  checkpointPrefix,
  HOLD_NAME,
  MANIFEST_NAME,
  REMOVED_NAME,
  WORK_NAME,
  type CheckpointStore,
  type KeptWork,
} from './checkpoint-store.ts';
import type { Manifest } from './manifest.ts';
import { manifestText, readManifest } from './manifest-text.ts';

/** How often a conditional write is made that S3 answers with "conflict, try again" (409); the SDK does not. */
const CONDITIONAL_TRIES = 5;

interface FoundObject {
  readonly bytes: Uint8Array;
  readonly etag: string;
}

/** Checkpoints as objects under `checkpoints/<pipeline>/<id>/`. */
export class S3CheckpointStore implements CheckpointStore {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  constructor(client: S3Client, bucket: string, pipeline: string) {
    this.#client = client;
    this.#bucket = bucket;
    this.#prefix = checkpointPrefix(pipeline);
  }

  async putPart(id: string, name: string, packed: Uint8Array): Promise<void> {
    await this.#client.send(
      new PutObjectCommand({ ...this.#object(id, name), Body: packed, ContentType: 'application/gzip' }),
    );
  }

  async getPart(id: string, name: string): Promise<Uint8Array | undefined> {
    return (await this.#get(id, name))?.bytes;
  }

  async putManifest(manifest: Manifest): Promise<'stored' | 'exists'> {
    const etag = await this.#putIf(manifest.id, MANIFEST_NAME, manifestText(manifest), { IfNoneMatch: '*' });
    return etag === undefined ? 'exists' : 'stored';
  }

  async getManifest(id: string): Promise<Manifest | undefined> {
    const found = await this.#get(id, MANIFEST_NAME);
    return found && readManifest(id, Buffer.from(found.bytes).toString());
  }

  async putWork(id: string, text: string, before: string | undefined): Promise<string | undefined> {
    const condition = before === undefined ? { IfNoneMatch: '*' } : { IfMatch: before };
    const etag = await this.#putIf(id, WORK_NAME, text, condition);
    if (etag !== undefined) return etag;
    // Where the SDK sent it twice, the first may have been ours: no two who work write the same text.
    const kept = await this.getWork(id);
    return kept?.text === text ? kept.version : undefined;
  }

  async getWork(id: string): Promise<KeptWork | undefined> {
    const found = await this.#get(id, WORK_NAME);
    return found && { text: Buffer.from(found.bytes).toString(), version: found.etag };
  }

  async removeWork(id: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand(this.#object(id, WORK_NAME)));
  }

  async putHold(id: string, untilMs: number): Promise<void> {
    await this.#client.send(
      new PutObjectCommand({
        ...this.#object(id, HOLD_NAME),
        Body: JSON.stringify({ untilMs }),
        ContentType: 'application/json',
      }),
    );
  }

  async getHold(id: string): Promise<number | undefined> {
    const found = await this.#get(id, HOLD_NAME);
    return found && (JSON.parse(Buffer.from(found.bytes).toString()) as { untilMs: number }).untilMs;
  }

  async folders(): Promise<string[]> {
    const ids: string[] = [];
    let token: string | undefined;
    do {
      const page = await this.#client.send(
        new ListObjectsV2Command({
          Bucket: this.#bucket,
          Prefix: this.#prefix,
          Delimiter: '/',
          ContinuationToken: token,
        }),
      );
      for (const { Prefix = '' } of page.CommonPrefixes ?? [])
        ids.push(Prefix.slice(this.#prefix.length, -1));
      token = page.NextContinuationToken;
    } while (token !== undefined);
    return ids.sort();
  }

  async hasManifest(id: string): Promise<boolean> {
    return this.#isListed(id, MANIFEST_NAME);
  }

  async hide(id: string): Promise<void> {
    if (!(await this.hasManifest(id))) return;
    await this.#client.send(
      new PutObjectCommand({
        ...this.#object(id, REMOVED_NAME),
        Body: '{}',
        ContentType: 'application/json',
      }),
    );
    await this.#client.send(new DeleteObjectCommand(this.#object(id, MANIFEST_NAME)));
  }

  async isHidden(id: string): Promise<boolean> {
    return this.#isListed(id, REMOVED_NAME);
  }

  async remove(id: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand(this.#object(id, MANIFEST_NAME)));
    // Always from the beginning: what was listed is gone.
    for (;;) {
      const { Contents: contents = [] } = await this.#client.send(
        new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: `${this.#prefix}${id}/` }),
      );
      if (contents.length === 0) return;
      const { Errors: errors = [] } = await this.#client.send(
        new DeleteObjectsCommand({
          Bucket: this.#bucket,
          Delete: { Objects: contents.map(({ Key }) => ({ Key })), Quiet: true },
        }),
      );
      const [first] = errors;
      if (first !== undefined) {
        throw new Error(
          `${errors.length} objects of checkpoint ${id} were not removed, ${first.Key} among them: ${first.Message}`,
        );
      }
    }
  }

  /** @returns the entity tag; `undefined` where the condition does not hold. */
  async #putIf(
    id: string,
    name: string,
    text: string,
    condition: Pick<PutObjectCommandInput, 'IfMatch' | 'IfNoneMatch'>,
  ): Promise<string | undefined> {
    for (let tries = 1; ; tries++) {
      try {
        const { ETag } = await this.#client.send(
          new PutObjectCommand({
            ...this.#object(id, name),
            ...condition,
            Body: text,
            ContentType: 'application/json',
          }),
        );
        return ETag ?? '';
      } catch (error) {
        const code = error instanceof S3ServiceException ? error.name : '';
        // 404 is the answer to If-Match where there is nothing.
        if (code === 'PreconditionFailed' || code === 'NoSuchKey') return undefined;
        if (code !== 'ConditionalRequestConflict' || tries === CONDITIONAL_TRIES) throw error;
      }
    }
  }

  async #get(id: string, name: string): Promise<FoundObject | undefined> {
    try {
      const { Body, ETag = '' } = await this.#client.send(new GetObjectCommand(this.#object(id, name)));
      return Body && { bytes: await Body.transformToByteArray(), etag: ETag };
    } catch (error) {
      const code = error instanceof S3ServiceException ? error.name : '';
      if (code === 'NoSuchKey') return undefined;
      // To who may list a part of the bucket only, S3 denies what is not there.
      if (code === 'AccessDenied' && !(await this.#isListed(id, name))) return undefined;
      throw error;
    }
  }

  async #isListed(id: string, name: string): Promise<boolean> {
    const { Bucket, Key } = this.#object(id, name);
    const { Contents = [] } = await this.#client.send(
      new ListObjectsV2Command({ Bucket, Prefix: Key, MaxKeys: 1 }),
    );
    return Contents[0]?.Key === Key;
  }

  #object(id: string, name: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#bucket, Key: `${this.#prefix}${id}/${name}` };
  }
}

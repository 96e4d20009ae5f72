import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll } from 'vitest';
import { startEngineProcess, type EngineProcess } from '../../infra/local/engines/engine-process.ts';
import { LOCAL_CREDENTIALS, LOCAL_REGION } from '../../infra/local/engines/local-account.ts';

/** S3 on this machine, while a test file or a `describe` runs. */
export interface S3Engine {
  readonly client: () => S3Client;
  /** For clients of the code under test. */
  readonly endpoint: () => string;
  /** @returns the name of a bucket that nobody else has. */
  readonly newBucket: () => Promise<string>;
}

/** Starts fauxqs before the tests that stand beside this call, and ends it behind them. */
export function s3Engine(): S3Engine {
  let engine: EngineProcess;
  let client: S3Client;
  let buckets = 0;
  beforeAll(async () => {
    engine = await startEngineProcess({
      name: 'S3 (fauxqs)',
      entry: new URL('../../infra/local/engines/object-and-queue-engine.ts', import.meta.url),
      settings: {},
      onNotice: () => undefined,
    });
    client = new S3Client({
      endpoint: engine.endpoint,
      region: LOCAL_REGION,
      credentials: LOCAL_CREDENTIALS,
      forcePathStyle: true,
    });
  }, 60_000);
  afterAll(async () => {
    client.destroy();
    await engine.stop();
  });
  return {
    client: () => client,
    endpoint: () => engine.endpoint,
    newBucket: async () => {
      const bucket = `bucket-${++buckets}`;
      await client.send(new CreateBucketCommand({ Bucket: bucket }));
      return bucket;
    },
  };
}

import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { Context } from 'aws-lambda';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { kinesis, pipeline } from '../../../shared/index.ts';
import { kinesisHandler } from '../../../shared/lambda/handler.ts';
import { S3BlobStore } from '../../../shared/state/s3-blob-store.ts';
import { packBlob, statesText } from '../../../shared/state/spilled-states.ts';
import { startDynalite, type DynamoDbEngine } from '../../support/dynamodb-engine.ts';
import { s3Engine } from '../../support/s3-engine.ts';

const NOW_MS = 1_800_000_100_000;
const clock = { nowMs: () => NOW_MS };
const context = { getRemainingTimeInMillis: () => 60_000, awsRequestId: 'r' } as unknown as Context;
const STEP = 'x'.repeat(250_000);

const seen: number[] = [];
const subject = pipeline('orders')
  .from(kinesis<number>('orders'))
  .keyBy(() => 'k')
  .updateStateByKey<string>('text', (_, text = '') => {
    seen.push(text.length);
    return text + STEP;
  });

function event(number: number): object {
  return {
    Records: [
      {
        eventSource: 'aws:kinesis',
        eventID: `shardId-000000000000:${number}`,
        eventSourceARN: 'arn:aws:kinesis:eu-west-1:123456789012:stream/orders',
        kinesis: {
          partitionKey: 'k',
          sequenceNumber: String(number),
          data: Buffer.from('1').toString('base64'),
          approximateArrivalTimestamp: NOW_MS / 1_000,
        },
      },
    ],
  };
}

let table: DynamoDbEngine;
let bucket: string;
const s3 = s3Engine();

beforeAll(async () => {
  table = await startDynalite();
  await table.createTable('state');
  bucket = await s3.newBucket();
});
afterAll(() => table.stop());
beforeEach(() => {
  for (const [name, value] of Object.entries({
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_ENDPOINT_URL_DYNAMODB: table.endpoint,
    AWS_ENDPOINT_URL_S3: s3.endpoint(),
    POWERTOOLS_DEV: 'true',
  })) {
    vi.stubEnv(name, value);
  }
  for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const) {
    vi.spyOn(console, method).mockReturnValue();
  }
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

async function keys(): Promise<string[]> {
  const { Contents = [] } = await s3.client().send(new ListObjectsV2Command({ Bucket: bucket }));
  return Contents.map(({ Key = '' }) => Key);
}

describe('a deployed function', () => {
  it('spills a state to its bucket, reads it in a cold container, and sweeps what nobody points to', async () => {
    const acknowledged = { batchItemFailures: [] };
    const environment = { TIDEMARK_STATE_TABLE: 'state', TIDEMARK_BUCKET: bucket, TIDEMARK_WRITES: 'single' };
    const warm = kinesisHandler(subject, { environment, clock });
    expect(await warm(event(100), context)).toEqual(acknowledged);
    expect(await keys()).toEqual([]);
    expect(await warm(event(101), context)).toEqual(acknowledged);
    expect(await keys()).toEqual([expect.stringMatching(/^spilled\/orders\/1\/[\w-]{22}\/\d+-[\w-]{43}$/)]);

    const cold = kinesisHandler(subject, { environment, clock });
    expect(await cold(event(102), context)).toEqual(acknowledged);
    expect(seen).toEqual([0, 250_000, 500_000]);
    const [live = ''] = await keys();
    expect(await keys()).toHaveLength(1);

    const blobs = new S3BlobStore(s3.client(), bucket, 'spilled/orders/');
    const lost = packBlob({ pk: '1/s/k', revision: 5 }, statesText(new Map([['text', 'lost']])));
    await blobs.put(`${live.slice('spilled/orders/'.length, live.lastIndexOf('/'))}/5-lost`, lost);
    expect(await cold({ tidemark: 'sweep' }, context)).toEqual({
      examined: 2,
      removed: 1,
      unreadable: 0,
      isComplete: true,
    });
    expect(await keys()).toEqual([live]);
  });
});

import { describe, expect, it } from 'vitest';
import { createFailureDocument, failureObjectKey } from '../../../shared/mapping/failure-document.ts';
import { createKinesisEvent } from '../../../shared/mapping/kinesis-event.ts';
import { ARRIVAL_MS, IDENTITY, record, sequence, settingsOf, STREAM_ARN } from './example-settings.ts';

const SHARD = 'shardId-000000000001';
const RECORDS = [record(1), record(2, { approximateArrivalTimestampMs: ARRIVAL_MS + 745 })];
const BATCH = {
  requestId: 'c9b8fa9f-5a7f-4000-af9c-0c604cde93a5',
  functionArn: IDENTITY.functionArn,
  streamArn: STREAM_ARN,
  shardId: SHARD,
  condition: 'RetryAttemptsExhausted' as const,
  invokeCount: 3,
  response: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
  records: RECORDS,
};

describe('the document about a discarded batch', () => {
  it('has the form that Lambda sends to a queue', () => {
    expect(createFailureDocument(BATCH, ARRIVAL_MS + 5021)).toEqual({
      requestContext: {
        requestId: 'c9b8fa9f-5a7f-4000-af9c-0c604cde93a5',
        functionArn: 'arn:aws:lambda:eu-west-1:123456789012:function:delays',
        condition: 'RetryAttemptsExhausted',
        approximateInvokeCount: 3,
      },
      responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
      version: '1.0',
      timestamp: '2026-03-01T12:00:05.021Z',
      KinesisBatchInfo: {
        shardId: SHARD,
        startSequenceNumber: sequence(1),
        endSequenceNumber: sequence(2),
        approximateArrivalOfFirstRecord: '2026-03-01T12:00:00.000Z',
        approximateArrivalOfLastRecord: '2026-03-01T12:00:00.745Z',
        batchSize: 2,
        streamArn: STREAM_ARN,
      },
    });
  });

  it('has no response context where the records aged out', () => {
    const document = createFailureDocument(
      { ...BATCH, condition: 'RecordAgeExceeded', response: undefined },
      ARRIVAL_MS,
    );
    expect(document).not.toHaveProperty('responseContext');
    expect(document).not.toHaveProperty('payload');
  });

  it('holds the event as JSON text for a bucket', () => {
    const event = createKinesisEvent(settingsOf(), SHARD, RECORDS);
    const { payload } = createFailureDocument(BATCH, ARRIVAL_MS, event);
    expect(payload).toBe(JSON.stringify(event));
  });

  it('is refused without a record', () => {
    expect(() => createFailureDocument({ ...BATCH, records: [] }, ARRIVAL_MS)).toThrow(/at least one record/);
  });

  it('lies in S3 under mapping, shard and time', () => {
    const uuid = '11111111-2222-4333-8444-555555555555';
    expect(failureObjectKey('m-1', SHARD, ARRIVAL_MS + 61_500, uuid)).toBe(
      `aws/lambda/m-1/${SHARD}/2026/03/01/2026-03-01T12.01.01-${uuid}`,
    );
  });
});

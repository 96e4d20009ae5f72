import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import {
  createKinesisEvent,
  ENVELOPE_BYTES,
  fixedRecordBytes,
  recordBytes,
} from '../../../shared/mapping/kinesis-event.ts';
import { record, sequence, settingsOf, STREAM_ARN } from './example-settings.ts';

const SHARD = 'shardId-000000000006';

describe('the event of a Kinesis mapping', () => {
  it('has the form that Lambda gives it', () => {
    const given = record(1, {
      partitionKey: 'FRA',
      data: Buffer.from('hello'),
      approximateArrivalTimestampMs: 1_545_084_650_987,
    });
    expect(createKinesisEvent(settingsOf(), SHARD, [given])).toEqual({
      Records: [
        {
          kinesis: {
            kinesisSchemaVersion: '1.0',
            partitionKey: 'FRA',
            sequenceNumber: sequence(1),
            data: 'aGVsbG8=',
            approximateArrivalTimestamp: 1_545_084_650.987,
          },
          eventSource: 'aws:kinesis',
          eventVersion: '1.0',
          eventID: `${SHARD}:${sequence(1)}`,
          eventName: 'aws:kinesis:record',
          invokeIdentityArn: 'arn:aws:iam::123456789012:role/delays',
          awsRegion: 'eu-west-1',
          eventSourceARN: STREAM_ARN,
        },
      ],
    });
  });

  it('is as long as it is counted to be, but for one comma', () => {
    const fixedBytes = fixedRecordBytes(settingsOf(), SHARD);
    const anyRecord = fc.record({
      number: fc.nat(),
      partitionKey: fc.string({ unit: 'binary' }),
      data: fc.oneof(fc.uint8Array(), fc.base64String()),
      approximateArrivalTimestampMs: fc.nat(2_000_000_000_000),
    });
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 5 }), (given) => {
        const records = given.map(({ number, ...rest }) => record(number, rest));
        const counted = records.reduce((sum, each) => sum + recordBytes(fixedBytes, each), ENVELOPE_BYTES);
        const event = createKinesisEvent(settingsOf(), SHARD, records);
        expect(Buffer.byteLength(JSON.stringify(event))).toBe(counted - 1);
      }),
      { seed: 1 },
    );
  });
});

import { describe, expect, it } from 'vitest';
import { byPartition } from '../../../shared/source/lane.ts';
import { readKinesisEvent } from '../../../shared/source/kinesis-event.ts';

const ARN = 'arn:aws:kinesis:eu-west-1:123456789012:stream/flights';

function record(
  number: number,
  changes: Record<string, unknown> = {},
  kinesis: Record<string, unknown> = {},
): object {
  const sequenceNumber = String(49_590_338_271_490n + BigInt(number));
  return {
    eventSource: 'aws:kinesis',
    eventVersion: '1.0',
    eventID: `shardId-000000000006:${sequenceNumber}`,
    eventName: 'aws:kinesis:record',
    eventSourceARN: ARN,
    awsRegion: 'eu-west-1',
    kinesis: {
      kinesisSchemaVersion: '1.0',
      partitionKey: `p${number}`,
      sequenceNumber,
      data: 'e30=',
      approximateArrivalTimestamp: 1_800_000_000.123 + number,
      ...kinesis,
    },
    ...changes,
  };
}

const read = (...Records: unknown[]) => readKinesisEvent({ Records });

describe('an event of Kinesis', () => {
  it('becomes a batch of one shard', () => {
    const { stream, shard, records } = read(record(0), record(1));
    expect(stream).toBe('flights');
    expect(shard).toMatch(/^[\w-]{6}\/6$/);
    expect(records).toEqual([
      {
        position: { sequence: '49590338271490', sub: 0 },
        partitionKey: 'p0',
        lane: shard,
        data: 'e30=',
        arrivalMs: 1_800_000_000_123,
      },
      expect.objectContaining({
        position: { sequence: '49590338271491', sub: 0 },
        arrivalMs: 1_800_000_001_123,
      }),
    ]);
  });

  it('has a lane per partition key with parallelization', () => {
    const batch = read(record(0), record(1), record(2, {}, { partitionKey: 'p0' }));
    const { shard, records } = byPartition(batch, undefined);
    expect(records.map(({ lane }) => lane.startsWith(`${shard}#`))).toEqual([true, true, true]);
    expect(records[0]?.lane).toBe(records[2]?.lane);
    expect(records[0]?.lane).not.toBe(records[1]?.lane);
  });

  it('has the lane of the shard up to where lanes became by partition key', () => {
    const batch = read(record(0), record(1), record(2));
    const { shard, records } = byPartition(batch, batch.records[1]?.position);
    expect(records.map(({ lane }) => lane === shard)).toEqual([true, true, false]);
  });

  it('is in order also where sequence numbers grow by a digit', () => {
    const sequences = ['99', '100'].map((sequenceNumber) => record(0, {}, { sequenceNumber }));
    expect(read(...sequences).records).toHaveLength(2);
  });
});

describe('an event that is none', () => {
  it.each([
    ['null', null, /has no 'Records' list \(it is object\)/],
    ['undefined', undefined, /it is undefined/],
    ['a text', 'hello', /it is string/],
    ['a list', [], /has no 'Records' list/],
    ['empty', {}, /its fields are: none/],
    [
      'of EventBridge',
      { source: 'aws.events', 'detail-type': 'Scheduled Event' },
      /its fields are: source, detail-type/,
    ],
    ['without a record', { Records: [] }, /Lambda never sends an empty batch/],
    ['with a list that is none', { Records: { 0: record(0) } }, /has no 'Records' list/],
    [
      'of SQS',
      { Records: [{ eventSource: 'aws:sqs', body: 'x' }] },
      /eventSource is "aws:sqs", not "aws:kinesis"/,
    ],
    ['of SNS', { Records: [{ EventSource: 'aws:sns' }] }, /eventSource is undefined/],
    ['of a DynamoDB stream', { Records: [{ eventSource: 'aws:dynamodb' }] }, /Remove that trigger/],
    ['with a hole', { Records: [null] }, /eventSource is undefined/],
    ['with a text for a record', { Records: ['x'] }, /eventSource is undefined/],
    ['with an intruder', { Records: [record(0), { eventSource: 'aws:sqs' }] }, /aws:sqs/],
  ])('is refused: %s', (_, event, message) => {
    expect(() => readKinesisEvent(event)).toThrow(message);
    expect(() => readKinesisEvent(event)).toThrow(expect.objectContaining({ name: 'EventError' }) as Error);
  });

  it.each([
    ['eventID', { eventID: undefined }, {}],
    ['eventSourceARN', { eventSourceARN: 5 }, {}],
    ['kinesis', { kinesis: undefined }, {}],
    ['partitionKey', {}, { partitionKey: undefined }],
    ['sequenceNumber', {}, { sequenceNumber: 49_590 }],
    ['data', {}, { data: null }],
    ['approximateArrivalTimestamp', {}, { approximateArrivalTimestamp: '1' }],
    ['kinesis that is an object', { kinesis: 5 }, {}],
    ['kinesis that is there', { kinesis: null }, {}],
  ])('is refused without a valid %s', (_, changes, kinesis) => {
    expect(() => read(record(0), record(1, changes, kinesis))).toThrow(/lacks what every Kinesis event has/);
  });

  it('is refused where shards or streams are mixed', () => {
    expect(() => read(record(0), record(1, { eventID: 'shardId-000000000007:1' }))).toThrow(/mixes shards/);
    expect(() => read(record(0), record(1, { eventSourceARN: `${ARN}s` }))).toThrow(/mixes shards/);
  });

  it('is refused where eventID names no shard', () => {
    expect(() => read(record(0, { eventID: '4959' }))).toThrow(/does not begin with a shard id and a colon/);
  });

  it('is refused where two records have one sequence number, which enhanced fan-out does to aggregates', () => {
    expect(() => read(record(0), record(0))).toThrow(/enhanced fan-out delivers KPL aggregates/);
  });

  it('is refused where records are out of order', () => {
    expect(() => read(record(1), record(0))).toThrow(/records must come in order/);
  });

  it('is refused without quoting what is in its records', () => {
    const secret = record(0, { eventID: 5 }, { data: 'c2VjcmV0', partitionKey: 'secret' });
    expect(() => read(secret)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('ecret') as string }) as Error,
    );
  });
});

import { base64Of, type StreamRecord } from './stream-record.ts';

/** What an event says of the mapping it comes from. */
export interface EventSource {
  readonly streamArn: string;
  /** The function's execution role: Lambda's event names it as the identity that reads the stream. */
  readonly invokeIdentityArn: string;
  readonly region: string;
}

export interface KinesisEventRecord {
  readonly kinesis: {
    readonly kinesisSchemaVersion: '1.0';
    readonly partitionKey: string;
    readonly sequenceNumber: string;
    /** Base64. */
    readonly data: string;
    /** Seconds since the epoch, with a fraction. */
    readonly approximateArrivalTimestamp: number;
  };
  readonly eventSource: 'aws:kinesis';
  readonly eventVersion: '1.0';
  /** `<shard id>:<sequence number>`, the only place where the shard stands. */
  readonly eventID: string;
  readonly eventName: 'aws:kinesis:record';
  readonly invokeIdentityArn: string;
  readonly awsRegion: string;
  readonly eventSourceARN: string;
}

/** What a function receives from a Kinesis mapping. */
export interface KinesisEvent {
  readonly Records: readonly KinesisEventRecord[];
}

/**
 * The most that an invocation may carry, bytes of JSON: Lambda's quota of 6 MB for a synchronous payload. Data travels
 * as base64, so this is about 4.5 MB of raw data.
 */
export const MAXIMUM_PAYLOAD_BYTES = 6 * 1024 * 1024;

/** Bytes of `{"Records":[]}`. */
export const ENVELOPE_BYTES = 14;

function eventRecord(source: EventSource, shardId: string, record: StreamRecord): KinesisEventRecord {
  return {
    kinesis: {
      kinesisSchemaVersion: '1.0',
      partitionKey: record.partitionKey,
      sequenceNumber: record.sequenceNumber,
      data: base64Of(record.data),
      approximateArrivalTimestamp: record.approximateArrivalTimestampMs / 1000,
    },
    eventSource: 'aws:kinesis',
    eventVersion: '1.0',
    eventID: `${shardId}:${record.sequenceNumber}`,
    eventName: 'aws:kinesis:record',
    invokeIdentityArn: source.invokeIdentityArn,
    awsRegion: source.region,
    eventSourceARN: source.streamArn,
  };
}

/** The event exactly as Lambda hands it to a function, for records of one shard. */
export function createKinesisEvent(
  source: EventSource,
  shardId: string,
  records: readonly StreamRecord[],
): KinesisEvent {
  return { Records: records.map((record) => eventRecord(source, shardId, record)) };
}

const BLANK: StreamRecord = {
  sequenceNumber: '',
  partitionKey: '',
  data: '',
  approximateArrivalTimestampMs: 0,
};

/** Bytes of JSON that every record of a shard costs in an event, whatever it holds; its comma is counted. */
export function fixedRecordBytes(source: EventSource, shardId: string): number {
  const zeroTimestamp = 1;
  return Buffer.byteLength(JSON.stringify(eventRecord(source, shardId, BLANK))) - zeroTimestamp + 1;
}

/**
 * Bytes of JSON that a record adds to an event, counted without building it. Exact but for the one comma that the last
 * record of an event does not have.
 */
export function recordBytes(fixedBytes: number, record: StreamRecord): number {
  const data =
    typeof record.data === 'string' ? record.data.length : Math.ceil(record.data.byteLength / 3) * 4;
  const quotes = 2;
  return (
    fixedBytes +
    data +
    Buffer.byteLength(JSON.stringify(record.partitionKey)) -
    quotes +
    record.sequenceNumber.length * 2 +
    String(record.approximateArrivalTimestampMs / 1000).length
  );
}

import { compareSequences, parseSequence } from './position.ts';
import { shardLane } from './lane.ts';
import type { RecordBatch, SourceRecord } from './record.ts';

/** The part of Lambda's Kinesis event that is read. */
interface KinesisEventRecord {
  readonly eventSource: string;
  readonly kinesis: {
    readonly partitionKey: string;
    readonly sequenceNumber: string;
    readonly data: string;
    /** Seconds since the epoch, fractional. */
    readonly approximateArrivalTimestamp: number;
  };
  /** `shardId-000000000006:<sequence number>`: the only place that names the shard. */
  readonly eventID: string;
  readonly eventSourceARN: string;
}

/** The event is not one that this pipeline can process at all: a fault of the deployment, never of a record. */
export class EventError extends Error {
  override readonly name = 'EventError';
}

/**
 * Reads Lambda's event into a batch of one shard.
 * @throws EventError when it is not a Kinesis event, mixes shards, or has records out of order; nothing of it is
 * acknowledged then.
 */
export function readKinesisEvent(event: unknown): RecordBatch {
  const records = eventRecords(event);
  if (records.length === 0) {
    throw new EventError('The event has no records; Lambda never sends an empty batch.');
  }
  const first = requireKinesis(records[0]);
  const shardId = shardIdOf(first);
  const streamArn = first.eventSourceARN;
  const stream = streamArn.slice(streamArn.lastIndexOf('/') + 1);
  const shard = shardLane(stream, shardId);

  const batch: SourceRecord[] = [];
  const shardPrefix = `${shardId}:`;
  let previous = '';
  for (const each of records) {
    const { kinesis, eventID, eventSourceARN } = requireKinesis(each);
    if (!eventID.startsWith(shardPrefix) || eventSourceARN !== streamArn) {
      throw new EventError(
        `The event mixes shards: '${eventID}' of ${eventSourceARN} stands beside '${first.eventID}' of ${streamArn}. ` +
          'A batch comes from one shard; does something other than an event source mapping call this function?',
      );
    }
    const sequence = parseSequence(kinesis.sequenceNumber);
    if (previous !== '') {
      const order = compareSequences(sequence, previous);
      if (order === 0) {
        throw new EventError(
          `Two records have the sequence number ${sequence}. That is how enhanced fan-out delivers KPL aggregates, ` +
            'without the sub-sequence numbers that tell them apart; nothing was processed, so that none is lost. ' +
            'Read the stream without enhanced fan-out, or switch aggregation off in the producer.',
        );
      }
      if (order < 0) {
        throw new EventError(
          `Sequence number ${sequence} comes after ${previous}: records must come in order.`,
        );
      }
    }
    previous = sequence;
    batch.push({
      position: { sequence, sub: 0 },
      partitionKey: kinesis.partitionKey,
      lane: shard,
      data: kinesis.data,
      arrivalMs: Math.round(kinesis.approximateArrivalTimestamp * 1_000),
    });
  }
  return { stream, streamArn, shardId, shard, records: batch };
}

function eventRecords(event: unknown): readonly unknown[] {
  const records = isObject(event) ? event['Records'] : undefined;
  if (Array.isArray(records)) return records as unknown[];
  throw new EventError(
    `The event is not from Kinesis: it has no 'Records' list (${describe(event)}). This handler is called by an ` +
      'event source mapping of a Kinesis stream and by nothing else.',
  );
}

function requireKinesis(record: unknown): KinesisEventRecord {
  const { eventSource, eventID, eventSourceARN, kinesis } = (record ?? {}) as Partial<KinesisEventRecord>;
  if (eventSource !== 'aws:kinesis') {
    throw new EventError(
      `The event is not from Kinesis: a record's eventSource is ${JSON.stringify(eventSource)}, not "aws:kinesis". ` +
        'Remove that trigger from the function.',
    );
  }
  const { partitionKey, sequenceNumber, data, approximateArrivalTimestamp } = kinesis ?? {};
  if (
    typeof eventID === 'string' &&
    typeof eventSourceARN === 'string' &&
    typeof partitionKey === 'string' &&
    typeof sequenceNumber === 'string' &&
    typeof data === 'string' &&
    typeof approximateArrivalTimestamp === 'number'
  ) {
    return record as KinesisEventRecord;
  }
  throw new EventError(
    'A record of the event lacks what every Kinesis event has: eventID, eventSourceARN and kinesis with partitionKey, ' +
      'sequenceNumber, data and approximateArrivalTimestamp.',
  );
}

function shardIdOf({ eventID }: KinesisEventRecord): string {
  const end = eventID.lastIndexOf(':');
  if (end <= 0)
    throw new EventError(`eventID ${JSON.stringify(eventID)} does not begin with a shard id and a colon.`);
  return eventID.slice(0, end);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function describe(event: unknown): string {
  return isObject(event)
    ? `its fields are: ${Object.keys(event).join(', ') || 'none'}`
    : `it is ${typeof event}`;
}

import type { KinesisEvent } from './kinesis-event.ts';
import type { StreamRecord } from './stream-record.ts';

export type FailureCondition = 'RetryAttemptsExhausted' | 'RecordAgeExceeded';

/** What the function answered last; a batch that aged out has none. */
export interface ResponseContext {
  readonly statusCode: number;
  readonly executedVersion: string;
  /** `Unhandled` for an error of the function, null where it answered with failed items. */
  readonly functionError: string | null;
}

/** What Lambda sends to an on-failure destination of a Kinesis mapping. */
export interface FailureDocument {
  readonly requestContext: {
    readonly requestId: string;
    readonly functionArn: string;
    readonly condition: FailureCondition;
    readonly approximateInvokeCount: number;
  };
  readonly responseContext?: ResponseContext;
  readonly version: '1.0';
  /** ISO 8601. */
  readonly timestamp: string;
  readonly KinesisBatchInfo: {
    readonly shardId: string;
    readonly startSequenceNumber: string;
    readonly endSequenceNumber: string;
    readonly approximateArrivalOfFirstRecord: string;
    readonly approximateArrivalOfLastRecord: string;
    readonly batchSize: number;
    readonly streamArn: string;
  };
  /** Only for S3: the event as JSON text. */
  readonly payload?: string;
}

export interface DiscardedBatch {
  readonly requestId: string;
  readonly functionArn: string;
  readonly streamArn: string;
  readonly shardId: string;
  readonly condition: FailureCondition;
  readonly invokeCount: number;
  readonly response: ResponseContext | undefined;
  /** At least one, in order. */
  readonly records: readonly StreamRecord[];
}

/**
 * The document about records that a mapping gave up on.
 * @param nowMs milliseconds since the epoch.
 * @param event for S3, which stores the records themselves; SQS and SNS get the metadata alone.
 * @throws RangeError when there is no record.
 */
export function createFailureDocument(
  batch: DiscardedBatch,
  nowMs: number,
  event?: KinesisEvent,
): FailureDocument {
  const first = batch.records[0];
  const last = batch.records.at(-1);
  if (first === undefined || last === undefined) {
    throw new RangeError('A failure document needs at least one record; the batch is empty.');
  }
  return {
    requestContext: {
      requestId: batch.requestId,
      functionArn: batch.functionArn,
      condition: batch.condition,
      approximateInvokeCount: batch.invokeCount,
    },
    ...(batch.response === undefined ? {} : { responseContext: batch.response }),
    version: '1.0',
    timestamp: new Date(nowMs).toISOString(),
    KinesisBatchInfo: {
      shardId: batch.shardId,
      startSequenceNumber: first.sequenceNumber,
      endSequenceNumber: last.sequenceNumber,
      approximateArrivalOfFirstRecord: new Date(first.approximateArrivalTimestampMs).toISOString(),
      approximateArrivalOfLastRecord: new Date(last.approximateArrivalTimestampMs).toISOString(),
      batchSize: batch.records.length,
      streamArn: batch.streamArn,
    },
    ...(event === undefined ? {} : { payload: JSON.stringify(event) }),
  };
}

/** Key of the document in S3: `aws/lambda/<mapping id>/<shard id>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<uuid>`, in UTC. */
export function failureObjectKey(mappingId: string, shardId: string, nowMs: number, uuid: string): string {
  const time = new Date(nowMs).toISOString();
  const day = time.slice(0, 10);
  const second = time.slice(0, 19).replaceAll(':', '.');
  return `aws/lambda/${mappingId}/${shardId}/${day.replaceAll('-', '/')}/${second}-${uuid}`;
}

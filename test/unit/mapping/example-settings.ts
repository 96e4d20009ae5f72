import { readMappingSettings, type MappingSettings } from '../../../shared/mapping/mapping-settings.ts';
import type { StreamRecord } from '../../../shared/mapping/stream-record.ts';

export const IDENTITY = {
  mappingId: '0f0e0d0c-0b0a-4908-8706-050403020100',
  functionArn: 'arn:aws:lambda:eu-west-1:123456789012:function:delays',
  invokeIdentityArn: 'arn:aws:iam::123456789012:role/delays',
};

export const STREAM_ARN = 'arn:aws:kinesis:eu-west-1:123456789012:stream/flights';

/** Properties that AWS would accept, with those under test. */
export function properties(given: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { EventSourceArn: STREAM_ARN, FunctionName: 'delays', StartingPosition: 'TRIM_HORIZON', ...given };
}

export function settingsOf(
  given: Readonly<Record<string, unknown>> = {},
  overrides: Partial<MappingSettings> = {},
): MappingSettings {
  return { ...readMappingSettings(properties(given), IDENTITY), ...overrides };
}

/** When the records of the examples arrive: 2026-03-01T12:00:00Z. */
export const ARRIVAL_MS = Date.UTC(2026, 2, 1, 12);

/** The sequence number of the n-th record: 56 digits. */
export function sequence(number: number): string {
  return `4957${String(number).padStart(52, '0')}`;
}

export function record(number: number, given: Partial<StreamRecord> = {}): StreamRecord {
  return {
    sequenceNumber: sequence(number),
    partitionKey: 'a',
    data: Buffer.from(String(number)),
    approximateArrivalTimestampMs: ARRIVAL_MS,
    ...given,
  };
}

/** Records `first` to `last`, both included. */
export function recordsBetween(
  first: number,
  last: number,
  given: Partial<StreamRecord> = {},
): StreamRecord[] {
  return Array.from({ length: last - first + 1 }, (_, index) => record(first + index, given));
}

/** The numbers of records, as `record` made them. */
export function numbersOf(records: readonly StreamRecord[]): number[] {
  return records.map((each) => Number(each.sequenceNumber.slice(4)));
}

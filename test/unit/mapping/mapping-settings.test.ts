import { describe, expect, it } from 'vitest';
import { readMappingSettings } from '../../../shared/mapping/mapping-settings.ts';
import { IDENTITY, properties } from './example-settings.ts';

function read(given: Readonly<Record<string, unknown>>) {
  return readMappingSettings(properties(given), IDENTITY);
}

describe('settings of a mapping', () => {
  it("have AWS's defaults", () => {
    expect(read({})).toMatchObject({
      enabled: true,
      region: 'eu-west-1',
      startingPosition: { kind: 'trimHorizon' },
      batchSize: 100,
      batchingWindowMs: 0,
      parallelizationFactor: 1,
      bisectBatchOnFunctionError: false,
      maximumRetryAttempts: undefined,
      maximumRecordAgeMs: undefined,
      reportBatchItemFailures: false,
      filter: undefined,
      onFailure: undefined,
    });
  });

  it('are read from the properties of the resource, texts included', () => {
    const settings = read({
      BatchSize: '10000',
      BisectBatchOnFunctionError: 'true',
      DestinationConfig: { OnFailure: { Destination: 'arn:aws:sqs:eu-west-1:123456789012:failed' } },
      Enabled: false,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      MaximumBatchingWindowInSeconds: 300,
      MaximumRecordAgeInSeconds: 60,
      MaximumRetryAttempts: 0,
      ParallelizationFactor: 10,
      StartingPosition: 'AT_TIMESTAMP',
      StartingPositionTimestamp: 1_700_000_000.9,
    });
    expect(settings).toMatchObject({
      enabled: false,
      startingPosition: { kind: 'timestamp', timestampMs: 1_700_000_000_000 },
      batchSize: 10_000,
      batchingWindowMs: 300_000,
      parallelizationFactor: 10,
      bisectBatchOnFunctionError: true,
      maximumRetryAttempts: 0,
      maximumRecordAgeMs: 60_000,
      reportBatchItemFailures: true,
      onFailure: { service: 'sqs', arn: 'arn:aws:sqs:eu-west-1:123456789012:failed' },
    });
  });

  it('take -1 as endless', () => {
    expect(read({ MaximumRetryAttempts: -1, MaximumRecordAgeInSeconds: -1 })).toMatchObject({
      maximumRetryAttempts: undefined,
      maximumRecordAgeMs: undefined,
    });
  });

  it.each([
    [{ BatchSize: 0 }, /BatchSize .* is 0; allowed: a whole number from 1 to 10000/],
    [{ BatchSize: 10_001 }, /from 1 to 10000/],
    [{ BatchSize: 1.5 }, /is 1.5/],
    [{ MaximumBatchingWindowInSeconds: 301 }, /from 0 to 300/],
    [{ ParallelizationFactor: 11 }, /from 1 to 10/],
    [{ MaximumRetryAttempts: -2 }, /from -1 to 10000/],
    [{ MaximumRecordAgeInSeconds: 59 }, /-1, or 60 to 604800/],
    [{ MaximumRecordAgeInSeconds: 604_801 }, /MaximumRecordAgeInSeconds/],
    [{ BisectBatchOnFunctionError: 'yes' }, /true or false/],
    [{ FunctionResponseTypes: ['Everything'] }, /ReportBatchItemFailures/],
    [{ StartingPosition: undefined }, /TRIM_HORIZON, LATEST or AT_TIMESTAMP/],
    [{ StartingPosition: 'AT_SEQUENCE_NUMBER' }, /TRIM_HORIZON, LATEST or AT_TIMESTAMP/],
    [{ StartingPosition: 'AT_TIMESTAMP' }, /seconds since the epoch/],
    [{ StartingPositionTimestamp: 5 }, /only with StartingPosition AT_TIMESTAMP/],
    [{ TumblingWindowInSeconds: 30 }, /TumblingWindowInSeconds/],
    [{ Topics: ['t'] }, /Topics/],
    [{ EventSourceArn: 'arn:aws:kinesis:eu-west-1:1:stream/a/consumer/b:1' }, /without a consumer/],
    [{ DestinationConfig: { OnFailure: { Destination: 'arn:aws:lambda:x:1:function:f' } } }, /a queue/],
    [{ FilterCriteria: { Filters: [{ Pattern: '{' }] } }, /is not JSON/],
  ])('refuse %j', (given, message) => {
    expect(() => read(given)).toThrow(message);
  });
});

import { compileFilterCriteria, type RecordFilter } from './record-filter.ts';

export type StartingPosition =
  | { readonly kind: 'trimHorizon' }
  | { readonly kind: 'latest' }
  /** Milliseconds since the epoch, whole seconds. */
  | { readonly kind: 'timestamp'; readonly timestampMs: number };

export interface FailureDestination {
  readonly service: 'sqs' | 'sns' | 's3';
  readonly arn: string;
}

/** How fast the mapping goes where AWS documents no setting. Milliseconds. */
export interface MappingTiming {
  /** Between two reads of a shard that has nothing more to give. */
  readonly pollIntervalMs: number;
  /** Between two reads of a shard that gave an empty page and is nevertheless behind. */
  readonly emptyPageIntervalMs: number;
  /** Between two listings of the stream's shards; the end of a shard asks for one at once. */
  readonly listIntervalMs: number;
  /** Before the first retry of a batch; doubles at each further one. */
  readonly firstRetryDelayMs: number;
  /** What the doubling ends at. */
  readonly maximumRetryDelayMs: number;
}

/**
 * Lambda polls each shard once per second [AWS: "Polling and batching streams"]; five reads per second are a shard's
 * quota [AWS: GetRecords]. How AWS backs off is not published, only that it does.
 */
export const DEFAULT_TIMING: MappingTiming = {
  pollIntervalMs: 1000,
  emptyPageIntervalMs: 200,
  listIntervalMs: 10_000,
  firstRetryDelayMs: 250,
  maximumRetryDelayMs: 30_000,
};

/** Everything that decides what a mapping does. */
export interface MappingSettings {
  /** UUID of the mapping: part of object keys and of the ids it gives out. */
  readonly mappingId: string;
  readonly functionArn: string;
  /** ARN of the function's execution role, as events name it. */
  readonly invokeIdentityArn: string;
  readonly streamArn: string;
  readonly region: string;
  readonly enabled: boolean;
  readonly startingPosition: StartingPosition;
  /** 1 to 10,000 records. */
  readonly batchSize: number;
  /** 0 to 300,000. */
  readonly batchingWindowMs: number;
  /** 1 to 10 sub-queues of each shard. */
  readonly parallelizationFactor: number;
  readonly bisectBatchOnFunctionError: boolean;
  /** Retries before a batch is discarded; undefined for ever. */
  readonly maximumRetryAttempts: number | undefined;
  /** Age at which a record is discarded, by its arrival; undefined for never. */
  readonly maximumRecordAgeMs: number | undefined;
  readonly reportBatchItemFailures: boolean;
  readonly filter: RecordFilter | undefined;
  readonly onFailure: FailureDestination | undefined;
  readonly timing: MappingTiming;
  /**
   * For fault injection: chooses the size of the next batch, at least 1 and at most `maximum`. Where it is given, a
   * batch that is retried whole is cut anew, shorter or longer than it was, as AWS may do.
   */
  readonly chooseBatchSize?: (maximum: number) => number;
}

/** What the resource's properties do not tell. */
export interface MappingIdentity {
  readonly mappingId: string;
  readonly functionArn: string;
  readonly invokeIdentityArn: string;
}

type Properties = Readonly<Record<string, unknown>>;

/** What a mapping may carry that changes nothing here. */
const WITHOUT_EFFECT = ['FunctionName', 'Tags', 'KmsKeyArn', 'MetricsConfig', 'LoggingConfig'];
const READ = [
  'BatchSize',
  'BisectBatchOnFunctionError',
  'DestinationConfig',
  'Enabled',
  'EventSourceArn',
  'FilterCriteria',
  'FunctionResponseTypes',
  'MaximumBatchingWindowInSeconds',
  'MaximumRecordAgeInSeconds',
  'MaximumRetryAttempts',
  'ParallelizationFactor',
  'StartingPosition',
  'StartingPositionTimestamp',
  'TumblingWindowInSeconds',
];

function refuse(name: string, value: unknown, allowed: string): never {
  throw new RangeError(
    `${name} of the event source mapping is ${JSON.stringify(value)}; allowed: ${allowed}. Change the template.`,
  );
}

/** CloudFormation takes numbers and booleans as text too. */
function readInteger(
  properties: Properties,
  name: string,
  fallback: number,
  minimum: number,
  maximum: number,
) {
  const value = properties[name];
  if (value === undefined) return fallback;
  const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < minimum || number > maximum) {
    return refuse(name, value, `a whole number from ${minimum} to ${maximum}`);
  }
  return number;
}

function readBoolean(properties: Properties, name: string, fallback: boolean): boolean {
  const value = properties[name];
  if (value === undefined) return fallback;
  if (value === true || value === 'true') return true;
  if (value === false || value === 'false') return false;
  return refuse(name, value, 'true or false');
}

function readStartingPosition(properties: Properties): StartingPosition {
  const position = properties.StartingPosition;
  const timestamp = properties.StartingPositionTimestamp;
  if (position !== 'AT_TIMESTAMP' && timestamp !== undefined) {
    return refuse('StartingPositionTimestamp', timestamp, 'only with StartingPosition AT_TIMESTAMP');
  }
  switch (position) {
    case 'TRIM_HORIZON':
      return { kind: 'trimHorizon' };
    case 'LATEST':
      return { kind: 'latest' };
    case 'AT_TIMESTAMP': {
      const seconds = Number(timestamp);
      if (timestamp === undefined || !Number.isFinite(seconds) || seconds < 0) {
        return refuse('StartingPositionTimestamp', timestamp, 'seconds since the epoch');
      }
      // Whole seconds, as AWS takes them; downwards, since a few records too many do less harm than one too few.
      return { kind: 'timestamp', timestampMs: Math.floor(seconds) * 1000 };
    }
    default:
      return refuse('StartingPosition', position, 'TRIM_HORIZON, LATEST or AT_TIMESTAMP');
  }
}

/** -1 is endless, as an absent value is. */
function readMaximumAgeMs(properties: Properties): number | undefined {
  const seconds = readInteger(properties, 'MaximumRecordAgeInSeconds', -1, -1, 604_800);
  if (seconds === -1) return undefined;
  if (seconds < 60) return refuse('MaximumRecordAgeInSeconds', seconds, '-1, or 60 to 604800');
  return seconds * 1000;
}

function readResponseTypes(properties: Properties): boolean {
  const types = properties.FunctionResponseTypes ?? [];
  if (!Array.isArray(types) || !types.every((type) => type === 'ReportBatchItemFailures')) {
    return refuse('FunctionResponseTypes', types, '["ReportBatchItemFailures"] or none');
  }
  return types.length > 0;
}

function readDestination(properties: Properties): FailureDestination | undefined {
  const config = properties.DestinationConfig as Properties | null | undefined;
  const onFailure = config?.OnFailure as Properties | null | undefined;
  const arn = onFailure?.Destination;
  if (arn === undefined || arn === null) return undefined;
  const service = typeof arn === 'string' ? /^arn:[^:]+:(sqs|sns|s3):/.exec(arn)?.[1] : undefined;
  if (typeof arn === 'string' && (service === 'sqs' || service === 'sns' || service === 's3')) {
    return { service, arn };
  }
  return refuse('DestinationConfig.OnFailure.Destination', arn, 'the ARN of a queue, a topic or a bucket');
}

function readStreamArn(properties: Properties): { streamArn: string; region: string } {
  const arn = properties.EventSourceArn;
  const region =
    typeof arn === 'string' ? /^arn:[^:]+:kinesis:([^:]+):[^:]*:stream\/[^/]+$/.exec(arn)?.[1] : undefined;
  if (typeof arn !== 'string' || region === undefined) {
    return refuse('EventSourceArn', arn, 'the ARN of a Kinesis stream, without a consumer');
  }
  return { streamArn: arn, region };
}

/**
 * Reads the properties of an AWS::Lambda::EventSourceMapping for Kinesis, with references resolved. Names, defaults and
 * ranges are AWS's [CloudFormation: AWS::Lambda::EventSourceMapping].
 * @throws RangeError at a value out of range and at what has no counterpart here (tumbling windows, enhanced fan-out,
 *   properties of other sources): a setting that is silently ignored would make local and deployed differ.
 */
export function readMappingSettings(
  properties: Properties,
  identity: MappingIdentity,
  timing: Partial<MappingTiming> = {},
): MappingSettings {
  for (const name of Object.keys(properties)) {
    if (properties[name] !== undefined && !READ.includes(name) && !WITHOUT_EFFECT.includes(name)) {
      refuse(name, properties[name], `${READ.join(', ')}`);
    }
  }
  readInteger(properties, 'TumblingWindowInSeconds', 0, 0, 0);
  const attempts = readInteger(properties, 'MaximumRetryAttempts', -1, -1, 10_000);
  return {
    ...identity,
    ...readStreamArn(properties),
    enabled: readBoolean(properties, 'Enabled', true),
    startingPosition: readStartingPosition(properties),
    batchSize: readInteger(properties, 'BatchSize', 100, 1, 10_000),
    batchingWindowMs: readInteger(properties, 'MaximumBatchingWindowInSeconds', 0, 0, 300) * 1000,
    parallelizationFactor: readInteger(properties, 'ParallelizationFactor', 1, 1, 10),
    bisectBatchOnFunctionError: readBoolean(properties, 'BisectBatchOnFunctionError', false),
    maximumRetryAttempts: attempts === -1 ? undefined : attempts,
    maximumRecordAgeMs: readMaximumAgeMs(properties),
    reportBatchItemFailures: readResponseTypes(properties),
    filter: compileFilterCriteria(properties.FilterCriteria),
    onFailure: readDestination(properties),
    timing: { ...DEFAULT_TIMING, ...timing },
  };
}

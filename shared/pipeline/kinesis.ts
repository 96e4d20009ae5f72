import type { StandardSchemaV1 } from '@standard-schema/spec';
import { requireName } from './name.ts';
import { requireSynchronous } from './synchronous.ts';
import type { KinesisSink, KinesisSource } from './definition.ts';

/** Kinesis keeps records for 24 hours at least and 365 days at most (Kinesis quotas). */
export const MINIMUM_RETENTION_HOURS = 24;
const MAXIMUM_RETENTION_HOURS = 8_760;

/** A Kinesis stream to read values of type `T` from. */
export interface KinesisInput<T> {
  readonly source: KinesisSource;
  /** Only for the compiler: what a record of the stream is once decoded. */
  readonly record?: T;
}

/** A Kinesis stream to write values of type `T` to. */
export interface KinesisOutput<T> {
  readonly sink: KinesisSink;
  /** Only for the compiler: what the stream takes. */
  readonly accepts?: (value: T) => void;
}

export interface RetentionOption {
  /** How long the stream keeps records, in hours: 24 (the default) to 8760. Marks are kept for it and an hour. */
  retentionHours?: number;
}
interface StreamOptions extends RetentionOption {
  /**
   * Records in aggregates (KPL) whose hash key lies outside their shard. `drop`, the default: the stream was resharded
   * while they were on their way, and the Kinesis Producer Library sends them again. `keep`: the producer aggregates
   * without regard to shards, and never does.
   */
  outsideShard?: NonNullable<KinesisSource['outsideShard']>;
}
type JsonOptions<S extends StandardSchemaV1> = StreamOptions & { codec?: 'json'; schema: S };
type PlainCodecOptions<C extends 'text' | 'bytes'> = StreamOptions & { codec: C };
interface OutputOptions<T> {
  /** The output's destination key, its Kinesis partition key; the state's key unless given. */
  key?: (value: T, key: string) => string;
  /** Tells two sinks of one stream apart; a part of each output's id, so keep it for ever. */
  name?: string;
}

/**
 * A Kinesis stream by its logical name: `from(kinesis('flights', { schema }))`, `to(kinesis('delays'))`.
 * Records are JSON unless `codec` says `text` (a string) or `bytes` (a Uint8Array); gzipped JSON and text are
 * recognized and unpacked. A schema is any Standard Schema (zod, valibot, arktype) that validates synchronously.
 * @throws TypeError where a name or an option cannot be used.
 */
export function kinesis<S extends StandardSchemaV1>(
  stream: string,
  options: JsonOptions<S>,
): KinesisInput<StandardSchemaV1.InferOutput<S>>;
export function kinesis(stream: string, options: PlainCodecOptions<'text'>): KinesisInput<string>;
export function kinesis(stream: string, options: PlainCodecOptions<'bytes'>): KinesisInput<Uint8Array>;
export function kinesis<T>(
  stream: string,
  options: OutputOptions<T> & ({ key: NonNullable<OutputOptions<T>['key']> } | { name: string }),
): KinesisOutput<T>;
export function kinesis<T = unknown>(
  stream: string,
  options?: StreamOptions & { codec?: 'json' },
): KinesisInput<T> & KinesisOutput<T>;
export function kinesis<T>(
  stream: string,
  options: StreamOptions & {
    codec?: KinesisSource['codec'];
    schema?: StandardSchemaV1;
    key?: (value: T, key: string) => string;
    name?: string;
  } = {},
): KinesisInput<T> & KinesisOutput<T> {
  requireName('stream', stream);
  const {
    retentionHours = MINIMUM_RETENTION_HOURS,
    outsideShard = 'drop',
    codec = 'json',
    schema,
    key,
    name = stream,
  } = options;
  requireRetention(stream, retentionHours);
  if (!['drop', 'keep'].includes(outsideShard)) {
    throw new TypeError(
      `Stream '${stream}': outsideShard is ${JSON.stringify(outsideShard)}; allowed are 'drop' and 'keep'.`,
    );
  }
  if (schema !== undefined && codec !== 'json') {
    throw new TypeError(`Stream '${stream}': a schema needs codec 'json'; codec is '${codec}'.`);
  }
  requireName('sink', name);
  return Object.freeze({
    source: Object.freeze({
      kind: 'kinesis',
      stream,
      codec,
      retentionHours,
      outsideShard,
      ...(schema && { schema }),
    }),
    sink: Object.freeze({
      kind: 'kinesis',
      name,
      stream,
      ...(key && {
        key: (value: unknown, stateKey: string) =>
          requireSynchronous(key(value as T, stateKey), 'the key function'),
      }),
    }),
  });
}

/** @throws TypeError when Kinesis cannot keep records for so long. */
export function requireRetention(stream: string, retentionHours: number): void {
  if (
    Number.isInteger(retentionHours) &&
    retentionHours >= MINIMUM_RETENTION_HOURS &&
    retentionHours <= MAXIMUM_RETENTION_HOURS
  ) {
    return;
  }
  throw new TypeError(
    `Stream '${stream}': retentionHours is ${retentionHours}; Kinesis allows whole hours from ` +
      `${MINIMUM_RETENTION_HOURS} to ${MAXIMUM_RETENTION_HOURS}.`,
  );
}

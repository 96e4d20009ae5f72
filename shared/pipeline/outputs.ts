import type { StandardSchemaV1 } from '@standard-schema/spec';
import { sinksOf, type Pipeline } from './definition.ts';
import {
  MINIMUM_RETENTION_HOURS,
  requireRetention,
  type KinesisInput,
  type RetentionOption,
} from './kinesis.ts';
import { requireName } from './name.ts';

interface UpstreamOption {
  /**
   * What the streams before this one keep records, hours, all together: for the first pipeline of a chain the
   * `retentionHours` of its source. For so long an output may be put again, and marks are kept accordingly.
   */
  upstreamRetentionHours: number;
}

interface KeyOption {
  /** Each output enters as `{ key, value }`, with the key under which it was published. Unless given: the value alone. */
  withKey: true;
}

/** An output with the key under which it was published. */
export interface KeyedOutput<T> {
  readonly key: string;
  readonly value: T;
}

/**
 * The outputs of another pipeline, by the logical name of the stream that they are in: what a Kinesis sink put there,
 * unpacked to its value. Each output has its effect on this pipeline's state once, however often it was put.
 * A schema is any Standard Schema that validates synchronously, and sees the value.
 * @throws TypeError where a name or an option cannot be used.
 */
export function outputs<S extends StandardSchemaV1>(
  stream: string,
  options: RetentionOption & UpstreamOption & KeyOption & { schema: S },
): KinesisInput<KeyedOutput<StandardSchemaV1.InferOutput<S>>>;
export function outputs<S extends StandardSchemaV1>(
  stream: string,
  options: RetentionOption & UpstreamOption & { schema: S },
): KinesisInput<StandardSchemaV1.InferOutput<S>>;
export function outputs<T = unknown>(
  stream: string,
  options: RetentionOption & UpstreamOption & KeyOption,
): KinesisInput<KeyedOutput<T>>;
export function outputs<T = unknown>(
  stream: string,
  options: RetentionOption & UpstreamOption,
): KinesisInput<T>;
export function outputs(
  stream: string,
  {
    schema,
    retentionHours = MINIMUM_RETENTION_HOURS,
    upstreamRetentionHours,
    withKey,
  }: RetentionOption & UpstreamOption & Partial<KeyOption> & { schema?: StandardSchemaV1 },
): KinesisInput<unknown> {
  requireName('stream', stream);
  requireRetention(stream, retentionHours);
  if (!Number.isInteger(upstreamRetentionHours) || upstreamRetentionHours < MINIMUM_RETENTION_HOURS) {
    throw new TypeError(
      `Stream '${stream}': upstreamRetentionHours is ${upstreamRetentionHours}; it is the sum of what the streams ` +
        `before this one keep records, whole hours from ${MINIMUM_RETENTION_HOURS}.`,
    );
  }
  return Object.freeze({
    source: Object.freeze({
      kind: 'kinesis',
      stream,
      codec: 'json',
      retentionHours,
      ...(schema && { schema }),
      chained: Object.freeze({ upstreamRetentionHours, ...(withKey && { withKey }) }),
    }),
  });
}

/**
 * As `outputs`, for a pipeline that is at hand: its sink gives the stream, and its own source says for how long outputs
 * may be put again.
 * @param sink the name of one of its Kinesis sinks: the stream's name unless it was given one.
 * @throws TypeError where the pipeline has no such Kinesis sink, or an option cannot be used.
 */
export function outputsOf<S extends StandardSchemaV1>(
  upstream: Pipeline,
  sink: string,
  options: RetentionOption & KeyOption & { schema: S },
): KinesisInput<KeyedOutput<StandardSchemaV1.InferOutput<S>>>;
export function outputsOf<S extends StandardSchemaV1>(
  upstream: Pipeline,
  sink: string,
  options: RetentionOption & { schema: S },
): KinesisInput<StandardSchemaV1.InferOutput<S>>;
export function outputsOf<T = unknown>(
  upstream: Pipeline,
  sink: string,
  options: RetentionOption & KeyOption,
): KinesisInput<KeyedOutput<T>>;
export function outputsOf<T = unknown>(
  upstream: Pipeline,
  sink: string,
  options?: RetentionOption,
): KinesisInput<T>;
export function outputsOf(
  { definition }: Pipeline,
  sink: string,
  options: RetentionOption & Partial<KeyOption> & { schema?: StandardSchemaV1 } = {},
): KinesisInput<unknown> {
  const sinks = sinksOf(definition).filter(({ kind }) => kind === 'kinesis');
  const found = sinks.find(({ name }) => name === sink);
  if (found?.kind !== 'kinesis') {
    const names = sinks.map(({ name }) => `'${name}'`).join(', ') || 'none';
    throw new TypeError(
      `Pipeline '${definition.name}' has no Kinesis sink '${sink}' whose outputs could be read; its Kinesis sinks ` +
        `are: ${names}.`,
    );
  }
  const { retentionHours, chained } = definition.source;
  const upstreamRetentionHours = retentionHours + (chained?.upstreamRetentionHours ?? 0);
  return outputs(found.stream, { ...(options as RetentionOption), upstreamRetentionHours });
}

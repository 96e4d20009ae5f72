import { requireRetention, MINIMUM_RETENTION_HOURS, type RetentionOption } from './kinesis.ts';
import { requireName } from './name.ts';
import { requireSynchronous } from './synchronous.ts';
import type { PipelineDefinition, StatelessStage } from './definition.ts';

/** How long the internal stream keeps records, hours. */
export type RepartitionOptions = RetentionOption;

type Head = Pick<PipelineDefinition, 'name' | 'source' | 'onRecordError' | 'repartition' | 'time'>;

/** Objects that JSON writes as something else, and never gives back. */
type OtherInJson =
  | Date
  | RegExp
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | ArrayBuffer
  | ArrayBufferView
  | ((...args: never[]) => unknown);

/** What of a type JSON does not give back as it was; `never` where it gives back all of it. */
export type NotJson<T> = unknown extends T
  ? never
  : T extends string | number | boolean | null
    ? never
    : T extends bigint | symbol | undefined | OtherInJson
      ? T
      : T extends readonly (infer Element)[]
        ? NotJson<Element>
        : T extends object
          ? { [Name in keyof T]-?: NotJson<Exclude<T[Name], undefined>> }[keyof T]
          : T;

/**
 * The head of a pipeline behind a repartition: what stood before is the front, and the source is the internal stream.
 * @throws TypeError as `Stream.repartition` says.
 */
export function repartitioned(
  { name: pipeline, source, onRecordError, repartition, time }: Head,
  stages: readonly StatelessStage[],
  name: string,
  key: (value: unknown) => string,
  { retentionHours = MINIMUM_RETENTION_HOURS }: RepartitionOptions = {},
): Head {
  requireName('repartition', name);
  requireRetention(name, retentionHours);
  if (time !== undefined) {
    throw new TypeError(
      `Pipeline '${pipeline}' has its time before the repartition '${name}', which mixes the shards in whose order it ` +
        'is known: give it eventTime or arrivalTime behind the repartition.',
    );
  }
  if (repartition !== undefined) {
    throw new TypeError(
      `Pipeline '${pipeline}' has the repartitions '${repartition.sink.name}' and '${name}'; a pipeline takes one. ` +
        'Make what stands behind the first a pipeline of its own, that reads its outputs.',
    );
  }
  if (source.chained !== undefined) {
    throw new TypeError(
      `Pipeline '${pipeline}' reads the outputs in '${source.stream}' and cannot repartition them: let the sink that ` +
        'puts them there publish under this key, with to(kinesis(stream, { key })).',
    );
  }
  return {
    name: pipeline,
    onRecordError,
    source: Object.freeze({
      kind: 'kinesis',
      stream: name,
      codec: 'json',
      retentionHours,
      outsideShard: 'drop',
      chained: Object.freeze({ upstreamRetentionHours: source.retentionHours }),
    }),
    repartition: Object.freeze({
      source,
      stages,
      key: (value: unknown) => requireSynchronous(key(value), 'the key function'),
      sink: Object.freeze({ kind: 'kinesis', name, stream: name }),
    }),
  };
}

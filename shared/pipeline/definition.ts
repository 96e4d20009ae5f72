import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Document } from '../state/document.ts';

/** How the bytes of a record become a value. gzip is recognized by its magic bytes and unpacked first. */
export type CodecName = 'json' | 'text' | 'bytes';

export interface KinesisSource {
  readonly kind: 'kinesis';
  /** Logical name of the stream; infra decides which physical stream it is. */
  readonly stream: string;
  readonly codec: CodecName;
  readonly schema?: StandardSchemaV1;
  /** How long the stream keeps records, hours: 24 to 8760. The horizon of marks is this and an hour. */
  readonly retentionHours: number;
  /**
   * What becomes of a record of an aggregate whose hash key lies outside the shard that the aggregate is in: `drop`,
   * as where nothing is said, for the Kinesis Producer Library sends it again; `keep` for producers that mix keys of any shards and do not.
   */
  readonly outsideShard?: 'drop' | 'keep';
  /** Present where the stream holds the outputs of another pipeline, in their envelopes. */
  readonly chained?: ChainedSource;
}

/**
 * The stream holds outputs of other pipelines. What enters this one is their value; marks are kept by their provenance,
 * so that an output that stands in the stream twice counts once.
 */
export interface ChainedSource {
  /**
   * What the streams before this one keep records, hours, all together: for so long an output may be put again. The
   * horizon of marks is this, the stream's own retention, and an hour.
   */
  readonly upstreamRetentionHours: number;
  /** What enters is `{ key, value }`, with the key under which the output was published; absent: the value alone. */
  readonly withKey?: true;
}

export interface MapStage {
  readonly kind: 'map';
  readonly apply: (value: unknown) => unknown;
}
export interface FlatMapStage {
  readonly kind: 'flatMap';
  readonly apply: (value: unknown) => Iterable<unknown>;
}
export interface FilterStage {
  readonly kind: 'filter';
  readonly apply: (value: unknown) => boolean;
}
export type StatelessStage = MapStage | FlatMapStage | FilterStage;

/** An item of a table that is not the pipeline's, as a plain object. */
export type Row = Readonly<Record<string, unknown>>;

/** What is looked up, and how old it may be. */
export interface Lookup {
  /** Logical name of the table; infra decides which it is. */
  readonly table: string;
  /** The attribute that is its key, a string. */
  readonly partitionKey: string;
  /** For how long what was read is taken for what is there, milliseconds. */
  readonly stalenessMs: number;
}

/**
 * Brings in rows of another table, behind `keyBy` alone: what is found may be another when the record comes again, and
 * what keys, and so marks, are made of must not. What a record became with the row that it found is committed with it.
 */
export interface LookupStage {
  readonly kind: 'lookup';
  readonly lookup: Lookup;
  /** In a test: the table's rows, by their keys. */
  readonly rows?: Readonly<Record<string, Row>>;
  /** The key of the row of a value, undefined for none; absent where all rows are given, by their keys. */
  readonly of?: (value: unknown, key: string) => string | undefined;
  readonly apply: (value: unknown, found: Row | ReadonlyMap<string, Row> | undefined, key: string) => unknown;
}

/** One operator's state while a record is folded. */
export interface StateCell {
  /** The state itself: whoever changes it in place must `set` or `remove` it in the same call. */
  get(): Document | undefined;
  /** A copy, which may be changed without any effect. */
  copy(): Document | undefined;
  /** @throws StateError when it is not a document, or too large. */
  set(state: unknown): void;
  remove(): void;
}

/** What an operator may know of the record that it folds besides the value. */
export interface FoldContext {
  /** Approximate arrival, milliseconds since the epoch: neither exact nor monotonic, and the same at every replay. */
  readonly arrivalMs: number;
  /** In a pipeline that has a time. */
  readonly time?: ValueTime;
}

/** Event time goes by the records, processing time by the clock. */
export type TimeDomain = 'event' | 'processing';

export interface ValueTime {
  /** Event time of the value, milliseconds since the epoch. */
  readonly eventMs: number;
  /**
   * Up to here event time is over for the value's lane and for the key: a window that ends at or before it is late,
   * milliseconds since the epoch; -Infinity where nothing is over.
   */
  readonly overMs: number;
  /** Up to where the key's timers have fired, milliseconds since the epoch; -Infinity where none has. */
  readonly firedMs: number;
  /** The like of the key's timers by the clock. */
  readonly processingFiredMs: number;
  /** To be told of a value that came too late and is dropped. */
  readonly onLate?: () => void;
}

/** How event time comes into a pipeline. */
export interface PipelineTime {
  /** Event time of a value, as a number of milliseconds or a Date; absent where it is the record's arrival. */
  readonly of?: (value: unknown) => unknown;
  /** Before which of `PipelineDefinition.stages` it is read; their number where behind all of them. */
  readonly at: number;
  /** How long records may come behind later ones of their shard, milliseconds. */
  readonly latenessMs: number;
  /** Records that arrive in one interval are judged alike, milliseconds. */
  readonly batchIntervalMs?: number;
}

/** When a timer fires, besides the time for which it waited. Milliseconds since the epoch. */
export interface FiringMoment {
  /** Processing time: arrival of the record before which it fires, or the sweep's clock. */
  readonly nowMs: number;
  /** Up to where the key's timers have fired, by either time; -Infinity where none has. */
  readonly firedMs: number;
  readonly processingFiredMs: number;
}

/** What an operator does when a time has come. Its timers are in its state: no state, no timers. */
export interface DueTimers {
  /**
   * The earliest time above `firedMs` for which it waits, milliseconds since the epoch.
   * @param firedMs up to where the key's timers of that time have fired, of all its operators; -Infinity where none has.
   */
  readonly dueMs: (state: Document, firedMs: number) => number | undefined;
  /**
   * The time `dueMs` has come, for which it waits: gives the outputs, in order.
   * What it throws leaves the timer where it is.
   */
  readonly fire: (key: string, dueMs: number, state: StateCell, moment: FiringMoment) => readonly unknown[];
}

/** What an operator does when event time has come. */
export interface OperatorTimers extends DueTimers {
  /** And when the clock has: its timers of processing time. */
  readonly processing?: DueTimers;
}

export interface StatefulStage {
  readonly kind: 'stateful';
  /** The storage name, unique in the pipeline: renaming a variable never orphans state. */
  readonly name: string;
  /** Version of the state's form; 1 where the user gave none. */
  readonly version: number;
  /** Names that it had before: state under them is its own. */
  readonly renamedFrom?: readonly string[];
  /** By version: brings a state of that version to the next. */
  readonly migrate?: ReadonlyMap<number, (state: unknown, key: string) => unknown>;
  /**
   * `event`: every output counts. `change`: an output is the key's new value and only the newest counts. `same`: it
   * passes values on, as what they were.
   */
  readonly outputs: 'event' | 'change' | 'same';
  /** The state says nothing any more this long after the key's last record: no item is kept for its sake. */
  readonly forgetsAfterSeconds?: number;
  /** State of a key never seen before. */
  readonly initial?: (key: string) => unknown;
  /** Folds one value; gives the outputs, in order. */
  readonly fold: (key: string, value: unknown, state: StateCell, context: FoldContext) => readonly unknown[];
  /** Of an operator that waits for event time; only in a pipeline that has one. */
  readonly timers?: OperatorTimers;
  /** Event time of an output, milliseconds since the epoch, where that is not the value's own. */
  readonly outputMs?: (output: unknown) => number;
  /** Under which key an output goes to a sink that has no key of its own; under the state's key where absent. */
  readonly destinationKey?: (key: string, output: unknown) => string;
}

/** A Kinesis stream as a sink. */
export interface KinesisSink {
  readonly kind: 'kinesis';
  /** Unique among the pipeline's sinks; a part of each output's id. The stream's name unless given. */
  readonly name: string;
  readonly stream: string;
  /** Destination key of a value; the state's key where absent. Order is kept per destination key. */
  readonly key?: (value: unknown, key: string) => string;
}

/** A DynamoDB table as a sink: one item per output id (events) or per destination key (changes). */
export interface DynamoDbSink {
  readonly kind: 'dynamodb';
  readonly name: string;
  readonly table: string;
  readonly upsertBy: 'id' | 'key';
  readonly key?: (value: unknown, key: string) => string;
}

/** The user's own idempotent call. */
export interface ForEachSink {
  readonly kind: 'forEach';
  readonly name: string;
  readonly call: (output: {
    readonly id: string;
    readonly key: string;
    readonly value: unknown;
  }) => Promise<void> | void;
}

export type Sink = KinesisSink | DynamoDbSink | ForEachSink;
export interface SinkStage {
  readonly kind: 'sink';
  readonly sink: Sink;
}
export type KeyedStage = StatelessStage | LookupStage | StatefulStage | SinkStage;

export const RECORD_ERROR_POLICIES = ['deadLetter', 'parkKey', 'stop'] as const;
export type RecordErrorPolicy = (typeof RECORD_ERROR_POLICIES)[number];

/**
 * What stands before an internal stream through which a pipeline re-keys its values: they are put there in order per
 * key, and `PipelineDefinition.source` reads them. Nothing of it is state.
 */
export interface Repartition {
  readonly source: KinesisSource;
  readonly stages: readonly StatelessStage[];
  readonly key: (value: unknown) => unknown;
  /** The internal stream, under the repartition's name: a part of the provenance of what goes through it. */
  readonly sink: KinesisSink;
}

/** A pipeline as frozen data: CDK reads it, the engine runs it, importing it does nothing. */
export interface PipelineDefinition {
  readonly name: string;
  /** What the stages read: the internal stream where the pipeline has a repartition. See `outerSourceOf`. */
  readonly source: KinesisSource;
  readonly repartition?: Repartition;
  /** Before `keyBy`. */
  readonly stages: readonly StatelessStage[];
  readonly keyBy: (value: unknown) => unknown;
  /** After `keyBy`, in order; the value that leaves one stage enters the next. */
  readonly keyedStages: readonly KeyedStage[];
  readonly onRecordError: RecordErrorPolicy;
  /** Present where the pipeline has a time: windows and timers go by it. */
  readonly time?: PipelineTime;
}

/** What `infra/` and the handler take: the end of a fluent chain. */
export interface Pipeline {
  readonly definition: PipelineDefinition;
}

/** The stream from which records come into the pipeline. */
export function outerSourceOf({ source, repartition }: PipelineDefinition): KinesisSource {
  return repartition?.source ?? source;
}

/** The logical names of the tables that a pipeline looks rows up in, each once. */
export function lookupTablesOf({ keyedStages }: PipelineDefinition): string[] {
  return [...new Set(keyedStages.flatMap((stage) => (stage.kind === 'lookup' ? [stage.lookup.table] : [])))];
}

/** By which times a pipeline's operators wait: event time where it has a time, processing time where one has such timers. */
export function timeDomainsOf({ time, keyedStages }: PipelineDefinition): TimeDomain[] {
  if (time === undefined) return [];
  const isClocked = keyedStages.some((stage) => stage.kind === 'stateful' && stage.timers?.processing);
  return isClocked ? ['event', 'processing'] : ['event'];
}

/** The sinks of a pipeline, in order. */
export function sinksOf(definition: PipelineDefinition): Sink[] {
  return definition.keyedStages.flatMap((stage) => (stage.kind === 'sink' ? [stage.sink] : []));
}

import { itself, type Aggregation } from '../aggregation/aggregation.ts';
import type { Document } from '../state/document.ts';
import { processStage, type DeclaredStates, type ProcessFunctions } from '../time/process-operator.ts';
import { batchStateStage } from '../time/batch-state.ts';
import { timeoutStateStage } from '../time/timeout-state.ts';
import { tumbling, type Windows } from '../time/window-spec.ts';
import { ConfigurationError } from './configuration-error.ts';
import { secondsOf, type Duration } from './duration.ts';
import { WindowedStream, type WindowedOptions } from './windowed-stream.ts';
import {
  dedupeStage,
  watermarkDedupeStage,
  type DedupeOptions,
  type WatermarkDedupeOptions,
} from './dedupe.ts';
import type { DynamoDbOutput } from './dynamodb.ts';
import type { KinesisInput, KinesisOutput } from './kinesis.ts';
import { lookupStage, type LookupOptions, type LookupTable } from './lookup.ts';
import { requireName } from './name.ts';
import { repartitioned, type NotJson, type RepartitionOptions } from './repartition.ts';
import { joinOf, type Joined, type JoinOptions } from './join.ts';
import { filterStage, flatMapStage, mapStage } from './stateless-stage.ts';
import { requireSynchronous } from './synchronous.ts';
import { requireVersion } from './version.ts';
import {
  RECORD_ERROR_POLICIES,
  type ForEachSink,
  type KeyedStage,
  type LookupStage,
  type OperatorTimers,
  type Pipeline,
  type PipelineTime,
  type PipelineDefinition,
  type RecordErrorPolicy,
  type Row,
  type Sink,
  type StateCell,
  type StatefulStage,
  type StatelessStage,
} from './definition.ts';

export interface PipelineOptions {
  /**
   * What happens to a record that the decoder or user code rejects: it becomes a dead letter and the shard goes on
   * (`deadLetter`, the default); or its key's later records wait behind it too, as dead letters in their order, until it
   * is redriven or dropped, and other keys go on (`parkKey`); or the shard stops in front of it until the code is mended
   * (`stop`).
   */
  onRecordError?: RecordErrorPolicy;
}

interface StatefulOptions<S> {
  /** State of a key that was never seen before; called with the key. */
  initial?: (key: string) => S;
  /** Version of the state's form, a whole number from 1. Code that meets newer state than its own refuses it. */
  version?: number;
  /**
   * By version, what brings a state of that version to the next: `{ 1: (old: Before) => … }` where `version` is 2. Runs when
   * old state is loaded, as often as that happens: it must depend on nothing but what it is given. Where it throws, the
   * shard waits for mended code; no record is lost for it.
   */
  migrate?: { readonly [version: number]: (state: never, key: string) => unknown };
  /** A name, or names, that the operator had before: it takes over what state there is under them. */
  renamedFrom?: string | readonly string[];
}

interface TimeoutOptions<S, U> {
  /**
   * The state of a key for which nothing has come for so long is removed, by the pipeline's time: Spark's `timeout`. The
   * stored form of the state changes where it is given or taken away; give the operator another name then.
   */
  timeout?: Duration;
  /** Called once before the state is removed: Spark's last call with `isTimingOut`. What it returns goes downstream. */
  onTimeout?: (state: S, key: string) => U | undefined;
}

interface ChangeOptions<S> extends StatefulOptions<S> {
  /** `last`: of several changes of a key in one batch only the newest is published. `every`: each one counts. */
  emit?: 'last' | 'every';
}

/** One key's state inside `mapWithState`. */
export interface KeyState<S> {
  exists(): boolean;
  get(): S | undefined;
  /** Replaces the state; a state that was got and changed in place counts only once it is given here. */
  update(state: S): void;
  remove(): void;
}

/** Sinks are told apart in environment variables, which have neither lower case nor hyphens. */
function variableForm(sinkName: string): string {
  return sinkName.toUpperCase().replaceAll('-', '_');
}

const NOTHING: readonly unknown[] = Object.freeze([]);

/** The names under which an operator finds its state. */
function namesOf({ name, renamedFrom = [] }: StatefulStage): readonly string[] {
  return [name, ...renamedFrom];
}

/** @throws TypeError where a version is none that can be migrated, or a step towards `version` is missing. */
function migrationsOf(
  name: string,
  version: number,
  migrate: NonNullable<StatefulOptions<unknown>['migrate']>,
): NonNullable<StatefulStage['migrate']> {
  const from = Object.keys(migrate)
    .map(Number)
    .sort((a, b) => a - b);
  const isInRow = from.every((each, place) => each === version - from.length + place);
  if (from.length === 0 || !isInRow || (from[0] as number) < 1) {
    throw new TypeError(
      `Operator '${name}': 'migrate' has the versions ${from.join(', ') || 'none'}; each brings state to the next, so ` +
        `they are whole numbers in a row up to ${version - 1}, which is one below 'version'.`,
    );
  }
  return new Map(
    from.map((each) => {
      const step = migrate[each] as (state: unknown, key: string) => unknown;
      return [
        each,
        (state, key) =>
          requireSynchronous(step(state, key), `the migration of operator '${name}' from version ${each}`),
      ];
    }),
  );
}

/** Migrations of a state that stands beside its timeout. */
function migrationsInside(
  migrate: NonNullable<StatefulOptions<unknown>['migrate']>,
): NonNullable<StatefulOptions<unknown>['migrate']> {
  return Object.fromEntries(
    Object.entries(migrate).map(([version, step]) => [
      version,
      (held: { readonly s: never }, key: string) => ({ ...held, s: step(held.s, key) }),
    ]),
  );
}

/** Where a pipeline begins. */
export interface PipelineStart {
  from<T>(input: KinesisInput<T>): Stream<T>;
}

/**
 * Begins a pipeline. The name is storage: it names the table and is a part of every output's id.
 * Everything that follows only builds frozen data; nothing runs.
 * @throws TypeError when the name cannot be used.
 */
export function pipeline(name: string, options: PipelineOptions = {}): PipelineStart {
  requireName('pipeline', name);
  const { onRecordError = 'deadLetter' } = options;
  if (!RECORD_ERROR_POLICIES.includes(onRecordError)) {
    throw new TypeError(
      `Pipeline '${name}': onRecordError is ${JSON.stringify(onRecordError)}; allowed are ` +
        `${RECORD_ERROR_POLICIES.map((policy) => `'${policy}'`).join(', ')}.`,
    );
  }
  return Object.freeze({
    from: <T>(input: KinesisInput<T>) => new Stream<T>({ name, source: input.source, onRecordError }, []),
  });
}

/** For the compiler alone: whether a stream has a time, without which there are no windows. */
declare const TIMED: unique symbol;

type Head = Pick<PipelineDefinition, 'name' | 'source' | 'onRecordError' | 'repartition' | 'time'>;

/** Values of type `T` before they have a key. Immutable: each method gives a new stream. */
export class Stream<T, Timed extends boolean = false> {
  declare readonly [TIMED]: Timed;
  readonly #head: Head;
  readonly #stages: readonly StatelessStage[];

  /** Use `pipeline(name).from(source)`. */
  constructor(head: Head, stages: readonly StatelessStage[]) {
    this.#head = head;
    this.#stages = stages;
  }

  map<U>(apply: (value: T) => U): Stream<U, Timed> {
    return this.#then(mapStage(apply));
  }

  flatMap<U>(apply: (value: T) => Iterable<U>): Stream<U, Timed> {
    return this.#then(flatMapStage(apply));
  }

  filter<U extends T>(apply: (value: T) => value is U): Stream<U, Timed>;
  filter(apply: (value: T) => boolean): Stream<T, Timed>;
  filter(apply: (value: T) => boolean): Stream<T, Timed> {
    return this.#then(filterStage(apply));
  }

  /** Applies a reusable piece of pipeline. */
  transform<R>(piece: (stream: Stream<T, Timed>) => R): R {
    return piece(this);
  }

  /**
   * Windows and timers behind it go by this time of the value, and by its records' order alone: never by a clock. The
   * highest time that has come in a shard, less the lateness, is how far it is; a window is over once all shards are
   * beyond its end.
   * @param of a Date, or milliseconds since 1970; what is neither rejects the record.
   * @throws TypeError where the pipeline has a time already.
   */
  eventTime(of: (value: T) => Date | number): Stream<T, true> {
    return this.#timed({ of: (value) => requireSynchronous(of(value as T), 'eventTime') });
  }

  /** Windows and timers behind it go by when records arrived in the stream. @throws TypeError as `eventTime`. */
  arrivalTime(): Stream<T, true> {
    return this.#timed({});
  }

  /**
   * How long values may come behind later ones of their shard: so much longer a window waits for them. What comes later
   * still is late.
   * @throws TypeError where it is no duration.
   */
  watermark(this: Stream<T, true>, { lateness }: { lateness: Duration }): Stream<T, true> {
    return this.#withTime({ latenessMs: secondsOf("'lateness' of the watermark", lateness) * 1_000 });
  }

  /**
   * Takes all records that arrive in one interval for one batch, as Spark's `StreamingContext` does: event time moves
   * between batches alone, and `batches()` behind `keyBy` gives windows of them. However Lambda cuts, results are the same.
   * @throws TypeError where it is no duration.
   */
  batchInterval(this: Stream<T, true>, interval: Duration): Stream<T, true> {
    return this.#withTime({ batchIntervalMs: secondsOf('The batch interval', interval) * 1_000 });
  }

  #timed(time: Pick<PipelineTime, 'of'>): Stream<T, true> {
    if (this.#head.time !== undefined) {
      throw new TypeError(`Pipeline '${this.#head.name}' is given a time twice; it has one.`);
    }
    return this.#withTime({ ...time, at: this.#stages.length });
  }

  #withTime(changes: Partial<PipelineTime>): Stream<T, true> {
    const time = { at: 0, latenessMs: 0, ...this.#head.time, ...changes };
    return new Stream<T, true>({ ...this.#head, time: Object.freeze(time) }, this.#stages);
  }

  /**
   * State belongs to the key from here on. A key is a string of up to 2,000 bytes of UTF-8; a record whose key is
   * none becomes a dead letter.
   */
  keyBy(key: (value: T) => string): KeyedStream<T, Timed> {
    return new KeyedStream<T, Timed>({
      ...this.#head,
      stages: this.#stages,
      keyBy: (value) => requireSynchronous(key(value as T), 'keyBy'),
      keyedStages: [],
    });
  }

  /**
   * Re-keys the values through an internal stream, which the stack makes: behind it, every key is fed by one shard and
   * in the order of that stream. Each value gets there once, as far as the state behind it can tell. Needed where the
   * producer's partition keys have nothing to do with the key by which state is kept.
   * What JSON does not give back as it was cannot pass: the compiler refuses such a type, and such a value becomes a
   * dead letter.
   * @param name of the internal stream, unique among the pipeline's sinks; keep it for ever.
   * @param key by which the values are dealt out and keep their order; usually what `keyBy` gives behind it.
   * @throws TypeError where the name or an option cannot be used, for a second one in a pipeline, and behind the outputs
   * of another pipeline: let its sink publish under this key.
   */
  repartition(
    this: Stream<T>,
    name: string,
    key: (value: T) => string,
    ...rest: NotJson<T> extends never ? [options?: RepartitionOptions] : [refused: NotJson<T>]
  ): Stream<T> {
    const options = rest[0] as RepartitionOptions | undefined;
    return new Stream<T>(
      repartitioned(this.#head, this.#stages, name, key as (value: unknown) => string, options),
      [],
    );
  }

  #then<U>(stage: StatelessStage): Stream<U, Timed> {
    return new Stream<U, Timed>(this.#head, Object.freeze([...this.#stages, Object.freeze(stage)]));
  }
}

/** Values of type `T` under their key. Immutable: each method gives a new stream, and each is a whole pipeline. */
export class KeyedStream<T, Timed extends boolean = false> implements Pipeline {
  declare readonly [TIMED]: Timed;
  readonly definition: PipelineDefinition;

  /** Use `stream.keyBy(key)`. */
  constructor(definition: PipelineDefinition) {
    this.definition = Object.freeze(definition);
  }

  map<U>(apply: (value: T) => U): KeyedStream<U, Timed> {
    return this.#then(mapStage(apply));
  }

  flatMap<U>(apply: (value: T) => Iterable<U>): KeyedStream<U, Timed> {
    return this.#then(flatMapStage(apply));
  }

  filter<U extends T>(apply: (value: T) => value is U): KeyedStream<U, Timed>;
  filter(apply: (value: T) => boolean): KeyedStream<T, Timed>;
  filter(apply: (value: T) => boolean): KeyedStream<T, Timed> {
    return this.#then(filterStage(apply));
  }

  /** Applies a reusable piece of pipeline. */
  transform<R>(piece: (stream: KeyedStream<T, Timed>) => R): R {
    return piece(this);
  }

  /**
   * Spark's `updateStateByKey`: from new values and the old state (`undefined` where there is none) to the new state,
   * or to `undefined` to remove it. Called record by record, so `values` has one value: grouping by batch would let
   * the cut of a batch change the state. Each new state goes downstream, as a change.
   */
  updateStateByKey<S>(
    name: string,
    update: (values: readonly T[], state: S | undefined, key: string) => S | undefined,
    options: ChangeOptions<S> = {},
  ): KeyedStream<S, Timed> {
    const what = `operator '${name}'`;
    const fold = (key: string, value: unknown, cell: StateCell): readonly unknown[] => {
      const next = requireSynchronous(update([value as T], cell.get() as S | undefined, key), what);
      if (next === undefined) {
        cell.remove();
        return NOTHING;
      }
      cell.set(next);
      return [next];
    };
    return this.#stateful(name, fold, options, options.emit === 'every' ? 'event' : 'change');
  }

  /**
   * Spark's `mapWithState`: per value, with the key's state to look at, update or remove; what it returns goes
   * downstream as an event, `undefined` nothing.
   */
  mapWithState<S, U>(
    name: string,
    map: (value: T, state: KeyState<S>, key: string) => U | undefined,
    options: StatefulOptions<S> & TimeoutOptions<S, U> = {},
  ): KeyedStream<U, Timed> {
    const what = `operator '${name}'`;
    const { timeout, onTimeout } = options;
    const call = (value: unknown, cell: StateCell, key: string): unknown => {
      const state: KeyState<S> = {
        exists: () => cell.get() !== undefined,
        // A copy: a change in place that is never given to `update` must not last until the batch happens to end.
        get: () => cell.copy() as S | undefined,
        update: (next) => cell.set(next),
        remove: () => cell.remove(),
      };
      return requireSynchronous(map(value as T, state, key), what);
    };
    if (timeout === undefined) {
      const fold = (key: string, value: unknown, cell: StateCell): readonly unknown[] => {
        const output = call(value, cell, key);
        return output === undefined ? NOTHING : [output];
      };
      return this.#stateful<U, S>(name, fold, options, 'event');
    }
    const timeoutMs = secondsOf(`'timeout' of operator '${name}'`, timeout) * 1_000;
    const { initial, migrate } = options;
    const { fold, timers } = timeoutStateStage(name, 1, timeoutMs, call, (state, key) =>
      onTimeout?.(state as S, key),
    );
    return this.#stateful<U, S>(
      name,
      fold,
      {
        ...options,
        ...(initial && { initial: (key: string) => ({ s: initial(key) }) as S }),
        ...(migrate && { migrate: migrationsInside(migrate) }),
      },
      'event',
      timers,
    );
  }

  /** Running reduction per key; the result after each value goes downstream, as a change. */
  reduceByKey(
    name: string,
    reduce: (accumulated: T, value: T) => T,
    options: ChangeOptions<T> = {},
  ): KeyedStream<T, Timed> {
    return this.updateStateByKey<T>(
      name,
      ([value], state) => (state === undefined ? value : reduce(state, value as T)),
      options,
    );
  }

  /** Running aggregation per key from `zero`; the result after each value goes downstream, as a change. */
  aggregateByKey<A>(
    name: string,
    zero: (key: string) => A,
    add: (aggregate: A, value: T) => A,
    options: Omit<ChangeOptions<A>, 'initial'> = {},
  ): KeyedStream<A, Timed> {
    return this.updateStateByKey<A>(
      name,
      ([value], state, key) =>
        add(
          state === undefined ? requireSynchronous(zero(key), `zero of operator '${name}'`) : state,
          value as T,
        ),
      options,
    );
  }

  /**
   * Running aggregation per key, such as `count()` or `all({ … })`; its result after each value goes downstream, as a
   * change. Where the state is of another aggregation, the shard waits: change the name, or raise `version` and give
   * `migrate`.
   */
  aggregate<A, R>(
    name: string,
    aggregation: Aggregation<T, A, R>,
    options: Omit<ChangeOptions<A>, 'initial'> = {},
  ): KeyedStream<R, Timed> {
    const { initial, add, result, accepts } = aggregation;
    const states = this.updateStateByKey<A>(
      name,
      ([value], state) => {
        if (state === undefined) return add(initial(), value as T);
        if (accepts?.(state) ?? true) return add(state, value as T);
        throw new ConfigurationError(
          `The state of operator '${name}' is none of its aggregation: another was stored under this name, or with ` +
            "other parts or options. Give the operator another name, or raise 'version' and give 'migrate'.",
        );
      },
      options,
    );
    // Without a step behind the operator, what is published refers to the state instead of having a copy of it.
    if (result === (itself as unknown)) return states as unknown as KeyedStream<R, Timed>;
    return states.#then(mapStage(result, `the result of operator '${name}'`));
  }

  /**
   * Groups each key's values by windows: `tumbling`, `sliding` or `session`. Needs a time: `eventTime` or `arrivalTime`.
   * @throws TypeError where an option cannot be used.
   */
  window(this: KeyedStream<T, true>, windows: Windows<T>, options: WindowedOptions = {}): WindowedStream<T> {
    return new WindowedStream<T>(windows, options, (stage) => this.#operator(stage));
  }

  /**
   * A key's values batch by batch, in a pipeline with a `batchInterval`: `perBatch().reduce(…)` is what `reduceByKey` is
   * to a DStream, `perBatch().collect(…)` its `groupByKey`.
   * @throws TypeError where the pipeline has no batch interval.
   */
  perBatch(this: KeyedStream<T, true>): WindowedStream<T> {
    return this.window(tumbling({ seconds: this.#batchIntervalMs('perBatch') / 1_000 }));
  }

  /**
   * Spark's `updateStateByKey` to the letter, where `updateStateByKey` here is called value by value: called when a batch
   * is over, with all of its values of the key, and for every key that has a state also without any. Each key with a state
   * is written at each interval for it. The new state goes downstream, as an event.
   * @throws TypeError where the pipeline has no batch interval.
   */
  updateStateByBatch<S>(
    this: KeyedStream<T, true>,
    name: string,
    update: (values: readonly T[], state: S | undefined, key: string, batchEnd: number) => S | undefined,
    { version = 1 }: Pick<StatefulOptions<S>, 'version'> = {},
  ): KeyedStream<S, true> {
    requireVersion(name, version);
    const intervalMs = this.#batchIntervalMs('updateStateByBatch');
    const call = (values: readonly Document[], state: Document | undefined, key: string, endMs: number) =>
      requireSynchronous(
        update(values as readonly T[], state as S | undefined, key, endMs),
        `operator '${name}'`,
      ) as Document | undefined;
    return this.#operator(batchStateStage(name, version, intervalMs, call));
  }

  #batchIntervalMs(what: string): number {
    const { name, time } = this.definition;
    if (time?.batchIntervalMs !== undefined) return time.batchIntervalMs;
    throw new TypeError(
      `Pipeline '${name}' has ${what} and no batches: give it batchInterval(…) before keyBy.`,
    );
  }

  /**
   * Joins a key's values of two kinds whose event times are near enough: each pair once, as an event. A value waits until
   * nothing that could join it can come in time any more.
   * @throws TypeError where an option cannot be used.
   */
  join<L extends T, R extends T>(
    this: KeyedStream<T, true>,
    name: string,
    options: JoinOptions<T, L, R>,
  ): KeyedStream<Joined<L, R>, true> {
    return this.#operator(joinOf(name, 'inner', options));
  }

  /** Like `join`; a left value that nothing has joined is given alone when its time is over, with `right: null`. */
  leftOuterJoin<L extends T, R extends T>(
    this: KeyedStream<T, true>,
    name: string,
    options: JoinOptions<T, L, R>,
  ): KeyedStream<Joined<L, R | null>, true> {
    return this.#operator(joinOf(name, 'leftOuter', options));
  }

  /** Like `join`; a right value that has joined nothing is given alone when its time is over, with `left: null`. */
  rightOuterJoin<L extends T, R extends T>(
    this: KeyedStream<T, true>,
    name: string,
    options: JoinOptions<T, L, R>,
  ): KeyedStream<Joined<L | null, R>, true> {
    return this.#operator(joinOf(name, 'rightOuter', options));
  }

  /** Like `leftOuterJoin` and `rightOuterJoin` together. */
  fullOuterJoin<L extends T, R extends T>(
    this: KeyedStream<T, true>,
    name: string,
    options: JoinOptions<T, L, R>,
  ): KeyedStream<Joined<L | null, R | null>, true> {
    return this.#operator(joinOf(name, 'fullOuter', options));
  }

  /** The left values that a right one joins, each once. */
  leftSemiJoin<L extends T, R extends T>(
    this: KeyedStream<T, true>,
    name: string,
    options: JoinOptions<T, L, R>,
  ): KeyedStream<L, true> {
    return this.#operator(joinOf(name, 'leftSemi', options));
  }

  /**
   * User code with state and timers of its own: Spark's `transformWithState`, Flink's `KeyedProcessFunction`. Its
   * outputs are events. Beside its one value (`get`, `update`) it may declare `states`: values, lists and maps, each with a
   * time to live of its own.
   * @throws TypeError where an option cannot be used.
   */
  process<S, U>(
    this: KeyedStream<T, true>,
    name: string,
    functions: ProcessFunctions<T, S, U> & { states?: never },
    options?: Pick<StatefulOptions<S>, 'version'>,
  ): KeyedStream<U, true>;
  process<S, U, States>(
    this: KeyedStream<T, true>,
    name: string,
    functions: ProcessFunctions<T, S, U, States> & DeclaredStates<States>,
    options?: Pick<StatefulOptions<S>, 'version'>,
  ): KeyedStream<U, true>;
  process<U>(
    this: KeyedStream<T, true>,
    name: string,
    functions: unknown,
    { version = 1 }: Pick<StatefulOptions<unknown>, 'version'> = {},
  ): KeyedStream<U, true> {
    requireVersion(name, version);
    return this.#operator(processStage(name, version, functions as Parameters<typeof processStage>[2]));
  }

  /**
   * Drops values whose id was seen under the same key within a time: a producer that sends a record again gives it a
   * new sequence number, and only a business id can tell. What is kept passes unchanged. An id that is no string, or
   * empty, rejects its record; what a rejected record brought is not remembered.
   * @throws TypeError where an option cannot be used.
   */
  dedupeBy(id: (value: T) => string, options: DedupeOptions): KeyedStream<T, Timed>;
  /**
   * Without `within`, the watermark bounds it: Spark's `dropDuplicatesWithinWatermark`. Drops values whose id was seen
   * under the key with an event time that is at most the lateness before theirs, and what comes too late.
   * @throws TypeError where an option cannot be used, or the pipeline has no lateness.
   */
  dedupeBy(
    this: KeyedStream<T, true>,
    id: (value: T) => string,
    options?: WatermarkDedupeOptions,
  ): KeyedStream<T, Timed>;
  dedupeBy(
    id: (value: T) => string,
    options: DedupeOptions | WatermarkDedupeOptions = {},
  ): KeyedStream<T, Timed> {
    const { name = 'dedupe' } = options;
    const { time } = this.definition;
    const idOf = id as (value: unknown) => string;
    return this.#operator(
      time === undefined || 'within' in options
        ? dedupeStage(name, idOf, options as DedupeOptions)
        : watermarkDedupeStage(name, idOf, time.latenessMs, options),
    );
  }

  /**
   * Brings in the row of another table that belongs to a value: Spark's join of a stream with static data. Rows are read
   * in batches and kept in the container for `staleness`; one batch sees one row. What the record became with it is
   * committed with the record, so that a retry changes nothing; a rewind finds the table as it is then.
   * Only behind `keyBy`: a key must not hang on what a table says today. Where it has to, publish what was found under
   * the new key, and read that in a pipeline of its own.
   * @param of the key of the row; undefined where there is none to look for.
   * @param apply called with `undefined` where there is no such row.
   * @throws TypeError where an option cannot be used.
   */
  lookup<R extends Row, U>(
    table: LookupTable<R>,
    of: (value: T, key: string) => string | undefined,
    apply: (value: T, row: R | undefined, key: string) => U,
    options: LookupOptions = {},
  ): KeyedStream<U, Timed> {
    return this.#lookup(lookupStage(table, of as LookupStage['of'], apply as LookupStage['apply'], options));
  }

  /**
   * Gives every function all rows of a small table, up to 4 MB, by their keys: Spark's broadcast variable. Rows may be the
   * newest values of a small stream, kept by a pipeline of their own: `.to(dynamodb('rules'))`. As `lookup` otherwise.
   * @throws TypeError where an option cannot be used.
   */
  broadcast<R extends Row, U>(
    table: LookupTable<R>,
    apply: (value: T, rows: ReadonlyMap<string, R>, key: string) => U,
    options: LookupOptions = {},
  ): KeyedStream<U, Timed> {
    return this.#lookup(lookupStage(table, undefined, apply as LookupStage['apply'], options));
  }

  /** Publishes each value; the stream goes on behind it, so that several sinks can follow each other. */
  to(output: KinesisOutput<T> | DynamoDbOutput<T>): KeyedStream<T, Timed> {
    return this.#sink(output.sink);
  }

  /**
   * The user's own call per value, in order per key. It comes again after a failure, with the same id: make it
   * idempotent. A call that throws is made again by Lambda's retry and holds its shard back until it succeeds.
   */
  forEach(
    name: string,
    call: (output: { readonly id: string; readonly key: string; readonly value: T }) => Promise<void> | void,
  ): KeyedStream<T, Timed> {
    requireName('sink', name);
    return this.#sink(Object.freeze({ kind: 'forEach', name, call: call as ForEachSink['call'] }));
  }

  #stateful<U, S>(
    name: string,
    fold: StatefulStage['fold'],
    { initial, version = 1, migrate, renamedFrom = [] }: StatefulOptions<S>,
    outputs: StatefulStage['outputs'],
    timers?: OperatorTimers,
  ): KeyedStream<U, Timed> {
    requireVersion(name, version);
    const earlier = typeof renamedFrom === 'string' ? [renamedFrom] : renamedFrom;
    return this.#operator({
      kind: 'stateful',
      name,
      version,
      outputs,
      fold,
      ...(timers && { timers }),
      ...(initial && {
        initial: (key) => requireSynchronous(initial(key), `initial of operator '${name}'`),
      }),
      ...(migrate && { migrate: migrationsOf(name, version, migrate) }),
      ...(earlier.length > 0 && { renamedFrom: Object.freeze([...earlier]) }),
    });
  }

  #operator<U>(stage: StatefulStage): KeyedStream<U, Timed> {
    const { name: pipelineName, keyedStages, time } = this.definition;
    if (stage.timers !== undefined && time === undefined) {
      throw new TypeError(
        `Operator '${stage.name}' waits for time, and pipeline '${pipelineName}' has no time: give it eventTime(…) or ` +
          'arrivalTime() before keyBy.',
      );
    }
    const before = keyedStages.find((other) => other.kind === 'stateful' && other.timers?.processing);
    if (stage.timers !== undefined && before?.kind === 'stateful') {
      throw new TypeError(
        `Operator '${stage.name}' goes by event time and stands behind '${before.name}', which has timers of processing ` +
          'time: what these give has no event time. Put it before that operator, or into a pipeline of its own.',
      );
    }
    const others = keyedStages.flatMap((other) => (other.kind === 'stateful' ? namesOf(other) : []));
    for (const [place, each] of namesOf(stage).entries()) {
      requireName('operator', each);
      if (!others.includes(each) && namesOf(stage).indexOf(each) === place) continue;
      throw new TypeError(
        `Pipeline '${pipelineName}' has two operators named '${each}', now or once; the name is where the state is ` +
          `stored, so give each its own${stage.outputs === 'same' ? " with the option 'name'" : ''}.`,
      );
    }
    return this.#then(stage);
  }

  #lookup<U>(stage: LookupStage): KeyedStream<U, Timed> {
    const { name, keyedStages } = this.definition;
    const { table, partitionKey } = stage.lookup;
    for (const other of keyedStages) {
      if (other.kind !== 'lookup' || variableForm(other.lookup.table) !== variableForm(table)) continue;
      if (other.lookup.table === table && other.lookup.partitionKey === partitionKey) continue;
      throw new TypeError(
        `Pipeline '${name}' looks up the tables '${other.lookup.table}' by '${other.lookup.partitionKey}' and ` +
          `'${table}' by '${partitionKey}'; a table has one key, and two have names that differ in more than case and hyphens.`,
      );
    }
    return this.#then(stage);
  }

  #sink(sink: Sink): KeyedStream<T, Timed> {
    const { name, keyedStages, repartition } = this.definition;
    const others = keyedStages.flatMap((stage) => (stage.kind === 'sink' ? [stage.sink] : []));
    for (const other of repartition === undefined ? others : [repartition.sink, ...others]) {
      if (variableForm(other.name) !== variableForm(sink.name)) continue;
      throw new TypeError(
        other.name === sink.name
          ? `Pipeline '${name}' has two sinks named '${sink.name}'; the name is a part of each output's id, so give ` +
              "each its own with the option 'name'."
          : `Pipeline '${name}' has the sinks '${other.name}' and '${sink.name}', which share one environment ` +
              "variable; give one of them another name with the option 'name'.",
      );
    }
    return this.#then({ kind: 'sink', sink });
  }

  #then<U>(stage: KeyedStage): KeyedStream<U, Timed> {
    return new KeyedStream<U, Timed>({
      ...this.definition,
      keyedStages: Object.freeze([...this.definition.keyedStages, Object.freeze(stage)]),
    });
  }
}

import { itself, type Aggregation } from '../aggregation/aggregation.ts';
import { collect, type CollectOptions } from '../aggregation/collect.ts';
import { count } from '../aggregation/count.ts';
import type { Document } from '../state/document.ts';
import { alignedWindowStage } from '../time/aligned-windows.ts';
import { sessionWindowStage } from '../time/session-windows.ts';
import {
  requireLatePolicy,
  type LatePolicy,
  type WindowFold,
  type WindowResult,
} from '../time/window-operator.ts';
import type { Windows } from '../time/window-spec.ts';
import type { StatefulStage } from './definition.ts';
import { secondsOf, type Duration } from './duration.ts';
import type { KeyedStream } from './pipeline.ts';
import { incrementalWindowStage } from '../time/incremental-windows.ts';
import { requireSynchronous } from './synchronous.ts';
import { requireVersion } from './version.ts';

export interface WindowedOptions {
  /**
   * `onClose`, unless given: one result when the window is over, as an event. `onUpdate`: the result so far with every
   * value, as a change under the key and the window's start; not with sessions, whose start may change.
   */
  emit?: 'onClose' | 'onUpdate';
  /**
   * Results before a window is over: at whole multiples of `every` of event time, of each window that has something new,
   * marked `isEarly`, as events. With tumbling and sliding windows that emit `onClose`, and not with an `inverse`.
   */
  early?: { every: Duration };
  /** A window takes values for so long behind its end, and gives a new result with each; not with sessions. */
  allowedLateness?: Duration;
  /**
   * What becomes of a value that comes too late for its windows: it is dropped and counted (`drop`, unless given), it
   * becomes a dead letter (`deadLetter`), or it gives a result of its own, without what the window had (`accept`).
   */
  late?: LatePolicy;
}

interface WindowOperatorOptions {
  /** Version of the aggregation's accumulator, a whole number from 1. */
  version?: number;
}

export interface InverseOptions<T> {
  /** Takes a value out of an accumulated one, to which it was added: `(a, b) => a - b` for `(a, b) => a + b`. */
  inverse?: (accumulated: T, value: T) => T;
  /** Whether a key stays with this value of a window. */
  filter?: (value: T, key: string) => boolean;
}

/** A key's values by window, before they become a result. */
export class WindowedStream<T> {
  readonly #windows: Windows<T>;
  readonly #options: WindowedOptions;
  readonly #then: (stage: StatefulStage) => KeyedStream<unknown, true>;

  /** Use `stream.window(windows)`. */
  constructor(
    windows: Windows<T>,
    options: WindowedOptions,
    then: (stage: StatefulStage) => KeyedStream<unknown, true>,
  ) {
    const { emit = 'onClose', late = 'drop', early, allowedLateness } = options;
    if (emit !== 'onClose' && emit !== 'onUpdate') {
      throw new TypeError(`'emit' of a window is ${JSON.stringify(emit)}; it is 'onClose' or 'onUpdate'.`);
    }
    requireLatePolicy('a window', late);
    if (windows.kind === 'session' && (emit === 'onUpdate' || allowedLateness !== undefined)) {
      throw new TypeError(
        `Sessions have no ${emit === 'onUpdate' ? "'onUpdate'" : "'allowedLateness'"}: a later value may make two of ` +
          'them one, and nothing would take back the results of both. Give the watermark a larger lateness.',
      );
    }
    if (early !== undefined && (windows.kind === 'session' || emit === 'onUpdate')) {
      const why =
        windows.kind === 'session'
          ? 'a session may become one with another, and nothing would take its early result back'
          : "'onUpdate' gives a result with every value";
      throw new TypeError(`'early' of a window is given, and ${why}. Leave it out.`);
    }
    this.#windows = windows;
    this.#options = options;
    this.#then = then;
  }

  /**
   * One value out of all of a window, two by two. With `inverse`, each window is made of the one before it: what left is
   * taken out, what came is added, as in Spark's `reduceByKeyAndWindow`; a key then gives a result at every slide, until
   * `filter` drops it.
   * @throws TypeError for an inverse of sessions, or together with `onUpdate`, `early` or `allowedLateness`.
   */
  reduce(
    name: string,
    reduce: (accumulated: T, value: T) => T,
    options: WindowOperatorOptions & InverseOptions<T> = {},
  ): KeyedStream<WindowResult<T>, true> {
    const what = `operator '${name}'`;
    const both = (a: unknown, b: unknown): Document =>
      requireSynchronous(reduce(a as T, b as T), what) as Document;
    const { inverse, filter } = options;
    if (inverse !== undefined) return this.#incremental(name, both, inverse, filter, options);
    if (filter !== undefined) {
      throw new TypeError(
        `Operator '${name}' has a 'filter' and no 'inverse': a filter drops keys that would stay.`,
      );
    }
    return this.#operator(
      name,
      {
        add: (before, value) => (before === undefined ? (value as Document) : both(before, value)),
        merge: both,
        result: itself,
      },
      options,
    );
  }

  /** An aggregation, such as `count()` or `all({ … })`, over the values of a window. */
  aggregate<A, R>(
    name: string,
    { initial, add, merge, result }: Aggregation<T, A, R>,
    options?: WindowOperatorOptions,
  ): KeyedStream<WindowResult<R>, true> {
    return this.#operator(
      name,
      {
        add: (before, value) => add(before === undefined ? initial() : (before as A), value as T) as Document,
        merge: (earlier, later) => merge(earlier as A, later as A) as Document,
        result: (accumulator) => result(accumulator as A),
      },
      options,
    );
  }

  /** How many values a window has. */
  count(name: string, options?: WindowOperatorOptions): KeyedStream<WindowResult<number>, true> {
    return this.aggregate(name, count(), options);
  }

  /** The values of a window, by the panes that it is made of, and within each in the order in which they came. */
  collect(
    name: string,
    options: CollectOptions & WindowOperatorOptions,
  ): KeyedStream<WindowResult<readonly T[]>, true> {
    return this.aggregate(name, collect<T>(options), options);
  }

  #incremental(
    name: string,
    reduce: (accumulated: unknown, value: unknown) => Document,
    inverse: (accumulated: T, value: T) => T,
    filter: InverseOptions<T>['filter'],
    { version = 1 }: WindowOperatorOptions,
  ): KeyedStream<WindowResult<T>, true> {
    const { emit = 'onClose', late = 'drop', early, allowedLateness } = this.#options;
    const windows = this.#windows;
    requireVersion(name, version);
    const isCorrected = early !== undefined || allowedLateness !== undefined;
    if (windows.kind === 'session' || emit === 'onUpdate' || isCorrected) {
      throw new TypeError(
        `Operator '${name}' has an 'inverse', which goes from window to window: it takes tumbling or sliding windows, ` +
          "'onClose', and neither 'early' nor 'allowedLateness'.",
      );
    }
    const stage = incrementalWindowStage(
      name,
      version,
      windows,
      {
        reduce,
        inverse: (a, b) =>
          requireSynchronous(inverse(a as T, b as T), `the inverse of operator '${name}'`) as Document,
        filter:
          filter &&
          ((key, value) => requireSynchronous(filter(value as T, key), `the filter of operator '${name}'`)),
      },
      late,
    );
    return this.#then(stage) as KeyedStream<WindowResult<T>, true>;
  }

  #operator<R>(
    name: string,
    fold: WindowFold,
    { version = 1 }: WindowOperatorOptions = {},
  ): KeyedStream<WindowResult<R>, true> {
    const { emit = 'onClose', late = 'drop', early, allowedLateness } = this.#options;
    const windows = this.#windows as Windows<unknown>;
    requireVersion(name, version);
    if (windows.kind === 'session') {
      return this.#then(sessionWindowStage(name, version, windows, fold, late)) as KeyedStream<
        WindowResult<R>,
        true
      >;
    }
    const allowedLatenessMs =
      allowedLateness === undefined ? 0 : secondsOf("'allowedLateness' of a window", allowedLateness) * 1_000;
    const earlyMs = early && secondsOf("'early.every' of a window", early.every) * 1_000;
    const settings = { emit, late, earlyMs, allowedLatenessMs };
    return this.#then(alignedWindowStage(name, version, windows, fold, settings)) as KeyedStream<
      WindowResult<R>,
      true
    >;
  }
}

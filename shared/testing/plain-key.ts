import type {
  DueTimers,
  FiringMoment,
  FoldContext,
  KeyedStage,
  LookupStage,
  Row,
  Sink,
  StateCell,
  StatefulStage,
  TimeDomain,
} from '../pipeline/definition.ts';
import { canonicalDocument } from '../state/canonical-document.ts';
import type { Document } from '../state/document.ts';
import { utf8Bytes } from '../state/utf8-bytes.ts';

/** One key's states by operator, and which operators it has ever had state of. */
export interface KeyStates {
  readonly states: ReadonlyMap<string, Document>;
  readonly seen: ReadonlySet<string>;
}

/**
 * Told each value that reaches a sink, whether it is a key's new value, of which only the newest counts, and under which
 * key it goes to a sink that has none of its own.
 */
export type Emit = (sink: Sink, value: unknown, isChange: boolean, ownKey: string) => void;

/** A timer of a key: of which of the stages, and when it is due, milliseconds since the epoch. */
export interface PlainTimer {
  readonly place: number;
  readonly dueMs: number;
  readonly domain: TimeDomain;
}

function timersOf(stage: KeyedStage, domain: TimeDomain): DueTimers | undefined {
  if (stage.kind !== 'stateful') return undefined;
  return domain === 'event' ? stage.timers : stage.timers?.processing;
}

/** What a value brings along on its way through the stages. */
interface Way {
  readonly isChange: boolean;
  readonly ownKey: string;
  readonly context: FoldContext;
}

/** Bytes of UTF-8 of a key; DynamoDB's 2,048 less what the engine puts before it. */
const LONGEST_KEY_BYTES = 2_000;

/** Of DynamoDB. */
const LONGEST_ROW_KEY_BYTES = 2_048;

/** Whether a table takes the key. */
export function isKey(key: unknown): key is string {
  return typeof key === 'string' && key.isWellFormed() && Buffer.byteLength(key) <= LONGEST_KEY_BYTES;
}

/**
 * One key while one record is folded for it, by the pipeline's own functions over plain Maps. It shares nothing with the
 * engine, which it is compared with, but the definition and the form of a state. What it began with stays as it is, for
 * a record that is rejected in the middle.
 */
export class PlainKey implements KeyStates {
  readonly states: Map<string, Document>;
  readonly seen: Set<string>;
  readonly #key: string;
  readonly #stages: readonly KeyedStage[];
  readonly #cells = new Map<StatefulStage, StateCell>();

  constructor(stages: readonly KeyedStage[], key: string, before: KeyStates | undefined) {
    this.#stages = stages;
    this.#key = key;
    this.states = new Map(before?.states);
    this.seen = new Set(before?.seen);
    for (const stage of stages) if (stage.kind === 'stateful') this.#cells.set(stage, this.#cell(stage));
  }

  /** Folds one value of the record. @throws what user code throws. */
  fold(value: unknown, context: FoldContext, emit: Emit): void {
    this.#run(this.#stages, value, { isChange: false, ownKey: this.#key, context }, emit);
  }

  /**
   * The key's next timer by a time, of one moment that of the first operator.
   * @param firedMs up to where timers of that time have fired.
   */
  nextTimer(firedMs: number, domain: TimeDomain = 'event'): PlainTimer | undefined {
    let next: PlainTimer | undefined;
    for (const [place, stage] of this.#stages.entries()) {
      const timers = timersOf(stage, domain);
      if (stage.kind !== 'stateful' || timers === undefined) continue;
      const state = this.states.get(stage.name);
      const dueMs = state === undefined ? undefined : timers.dueMs(state, firedMs);
      if (dueMs !== undefined && (next === undefined || dueMs < next.dueMs)) next = { place, dueMs, domain };
    }
    return next;
  }

  /** Fires a timer. What it gives is in time for the stages behind it. @throws what user code throws. */
  fire({ place, dueMs, domain }: PlainTimer, moment: FiringMoment, emit: Emit): void {
    const stage = this.#stages[place] as KeyedStage;
    const timers = timersOf(stage, domain);
    if (stage.kind !== 'stateful' || timers === undefined) return;
    const { nowMs, processingFiredMs } = moment;
    const outputs = timers.fire(this.#key, dueMs, this.#cells.get(stage) as StateCell, moment);
    const time = { eventMs: dueMs, overMs: dueMs - 1, firedMs: dueMs - 1, processingFiredMs };
    const context = { arrivalMs: nowMs, ...(domain === 'event' && { time }) };
    const way: Way = { isChange: false, ownKey: this.#key, context };
    for (const output of outputs)
      this.#run(this.#stages.slice(place + 1), output, this.#behind(stage, output, way), emit);
  }

  #run(stages: readonly KeyedStage[], value: unknown, way: Way, emit: Emit): void {
    const [stage, ...rest] = stages;
    if (stage === undefined) return;
    const goOn = (next: unknown, nextWay = way): void => this.#run(rest, next, nextWay, emit);
    switch (stage.kind) {
      case 'map':
        return goOn(stage.apply(value));
      case 'filter':
        return stage.apply(value) ? goOn(value) : undefined;
      case 'flatMap':
        for (const each of stage.apply(value)) goOn(each);
        return;
      case 'lookup':
        return goOn(stage.apply(value, this.#found(stage, value), this.#key));
      case 'sink':
        emit(stage.sink, value, way.isChange, way.ownKey);
        return goOn(value);
      case 'stateful': {
        const cell = this.#cells.get(stage) as StateCell;
        for (const output of stage.fold(this.#key, value, cell, way.context))
          goOn(output, this.#behind(stage, output, way));
        return;
      }
    }
  }

  #found({ lookup, of, rows = {} }: LookupStage, value: unknown): Row | ReadonlyMap<string, Row> | undefined {
    if (of === undefined) return new Map(Object.entries(rows));
    const key: unknown = of(value, this.#key);
    if (key === undefined) return undefined;
    const bytes = typeof key === 'string' ? utf8Bytes(key) : 0;
    if (typeof key !== 'string' || bytes <= 0 || bytes > LONGEST_ROW_KEY_BYTES)
      throw new TypeError(`There is no such key to look up in table '${lookup.table}'.`);
    return Object.hasOwn(rows, key) ? rows[key] : undefined;
  }

  #behind({ outputs, destinationKey, outputMs }: StatefulStage, output: unknown, way: Way): Way {
    const { time } = way.context;
    const context =
      outputMs === undefined || time === undefined
        ? way.context
        : { ...way.context, time: { ...time, eventMs: outputMs(output) } };
    if (outputs === 'same') return { ...way, context };
    const ownKey = destinationKey?.(this.#key, output) ?? this.#key;
    return { isChange: outputs === 'change', ownKey, context };
  }

  /** A cell over the Maps; a state goes in and comes out as a copy. */
  #cell({ name, initial }: StatefulStage): StateCell {
    const { states, seen } = this;
    const read = (): Document | undefined => {
      if (!seen.has(name) && !states.has(name)) {
        seen.add(name);
        const first = initial?.(this.#key);
        if (first !== undefined) states.set(name, canonicalDocument(first, name).document);
      }
      const state = states.get(name);
      return state === undefined ? undefined : canonicalDocument(state, name).document;
    };
    return {
      get: read,
      copy: read,
      set(state) {
        seen.add(name);
        states.set(name, canonicalDocument(state, name).document);
      },
      remove() {
        seen.add(name);
        states.delete(name);
      },
    };
  }
}

import type { OperatorTimers, StateCell, StatefulStage, ValueTime } from '../pipeline/definition.ts';
import { requireSynchronous } from '../pipeline/synchronous.ts';
import type { Document } from '../state/document.ts';
import { without } from '../state/without.ts';
import { eventMsOf } from './event-ms.ts';
import { requireTime } from './window-operator.ts';

/** One key's timers of one operator, by name: setting one again moves it. */
export interface KeyTimers {
  /**
   * @param at event time, as a Date or milliseconds since the epoch. A time that is over already comes as soon as it can.
   * @throws TypeError for what is no time, or no name.
   */
  set: (name: string, at: Date | number) => void;
  clear: (name: string) => void;
  /** When it comes, milliseconds since the epoch. */
  get: (name: string) => number | undefined;
}

/** What user code may do while it processes a value or a timer. */
export interface ProcessContext<S, U> {
  readonly key: string;
  /** Event time of the value, or of the timer, milliseconds since the epoch. */
  readonly eventMs: number;
  /** Of a value: whether its time was over for the key already. */
  readonly isLate: boolean;
  /** The key's state, a copy; `undefined` where there is none. */
  get: () => S | undefined;
  /** Replaces the state. */
  update: (state: S) => void;
  remove: () => void;
  readonly timers: KeyTimers;
  /** Sends a value downstream, as an event. */
  emit: (output: U) => void;
}

export interface ProcessFunctions<T, S, U> {
  onRecord: (value: T, context: ProcessContext<S, U>) => void;
  /** A timer has come, and is set no more. */
  onTimer?: (timer: string, context: ProcessContext<S, U>) => void;
}

/** State and timers as they are stored: the user's state, and timers by name. */
interface Held {
  readonly v?: Document;
  readonly t?: { readonly [timer: string]: number };
}

/** User code with state and timers. */
export function processStage(
  name: string,
  version: number,
  { onRecord, onTimer }: ProcessFunctions<unknown, Document, unknown>,
): StatefulStage {
  const timers: OperatorTimers = {
    dueMs: (state, firedMs) => {
      const times = Object.values((state as Held).t ?? {});
      return times.length === 0 ? undefined : Math.max(Math.min(...times), firedMs + 1);
    },
    fire: (key, dueMs, cell) => {
      const outputs: unknown[] = [];
      const due = dueTimers(cell, dueMs);
      for (const timer of due) {
        // One before it may have moved it.
        const at = (cell.get() as Held | undefined)?.t?.[timer];
        if (at === undefined || at > dueMs) continue;
        const time = { eventMs: dueMs, overMs: dueMs - 1, firedMs: dueMs };
        const context = contextOf(name, key, cell, time, outputs);
        context.timers.clear(timer);
        requireSynchronous(onTimer?.(timer, context), `onTimer of operator '${name}'`);
      }
      return outputs;
    },
  };
  return {
    kind: 'stateful',
    name,
    version,
    outputs: 'event',
    timers,
    fold: (key, value, cell, { time }) => {
      const outputs: unknown[] = [];
      const context = contextOf(name, key, cell, requireTime(name, time), outputs);
      requireSynchronous(onRecord(value, context), `onRecord of operator '${name}'`);
      return outputs;
    },
  };
}

/** In the order of their times, those of one time in the order of their names. */
function dueTimers(cell: StateCell, dueMs: number): readonly string[] {
  return Object.entries((cell.get() as Held).t ?? {})
    .filter(([, at]) => at <= dueMs)
    .sort(([a, atA], [b, atB]) => atA - atB || (a < b ? -1 : 1))
    .map(([timer]) => timer);
}

/** Closures, so that user code may take them out of the context one by one. */
function contextOf(
  operator: string,
  key: string,
  cell: StateCell,
  { eventMs, overMs, firedMs }: ValueTime,
  outputs: unknown[],
): ProcessContext<Document, unknown> {
  const held = (): Held => (cell.get() as Held | undefined) ?? {};
  const hold = (changes: { readonly [Part in keyof Held]: Held[Part] | undefined }): void => {
    const { v, t = {} } = { ...held(), ...changes };
    const hasTimers = Object.keys(t).length > 0;
    if (v === undefined && !hasTimers) cell.remove();
    else cell.set({ ...(v !== undefined && { v }), ...(hasTimers && { t }) });
  };
  return {
    key,
    eventMs,
    isLate: eventMs <= overMs,
    get: () => (cell.copy() as Held | undefined)?.v,
    update: (state) => hold({ v: state }),
    remove: () => hold({ v: undefined }),
    emit: (output) => void outputs.push(output),
    timers: {
      set: (timer, at) => {
        if (typeof timer !== 'string' || timer === '' || !timer.isWellFormed()) {
          throw new TypeError(`operator '${operator}' sets a timer whose name is no text, or empty`);
        }
        const atMs = eventMsOf(at);
        if (atMs === undefined) {
          throw new TypeError(
            `operator '${operator}' sets the timer '${timer}' to a time that is none: a Date or milliseconds since 1970`,
          );
        }
        // What is over comes at the next moment: a key's timers come in the order of their times.
        hold({ t: { ...held().t, [timer]: Math.max(atMs, firedMs + 1) } });
      },
      clear: (timer) => hold({ t: without(held().t ?? {}, timer) }),
      get: (timer) => held().t?.[timer],
    },
  };
}

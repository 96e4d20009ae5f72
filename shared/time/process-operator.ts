import type { OperatorTimers, StateCell, StatefulStage, ValueTime } from '../pipeline/definition.ts';
import { requireSynchronous } from '../pipeline/synchronous.ts';
import { canonicalDocument } from '../state/canonical-document.ts';
import type { Document } from '../state/document.ts';
import { without } from '../state/without.ts';
import { eventMsOf } from './event-ms.ts';
import {
  lastExpiryMs,
  living,
  openStates,
  requireStates,
  type HeldStates,
  type StateSpec,
  type StateSpecs,
} from './process-states.ts';
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

/** The states of an operator that declares none. */
export type NoStates = Readonly<Record<never, never>>;

/** What user code may do while it processes a value or a timer. */
export interface ProcessContext<S, U, States = NoStates> {
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
  /** What was declared as `states`, by its name. */
  readonly states: States;
  readonly timers: KeyTimers;
  /** Sends a value downstream, as an event. */
  emit: (output: U) => void;
}

export interface ProcessFunctions<T, S, U, States = NoStates> {
  onRecord: (value: T, context: ProcessContext<S, U, States>) => void;
  /** A timer has come, and is set no more. */
  onTimer?: (timer: string, context: ProcessContext<S, U, States>) => void;
}

/** States beside the value, by name; the name is where it is stored. */
export interface DeclaredStates<States> {
  states: { readonly [Name in keyof States]: StateSpec<States[Name]> };
}

/** As it is stored: the user's state, the declared ones, and timers by name. */
interface Held {
  readonly v?: Document;
  readonly s?: HeldStates;
  readonly t?: { readonly [timer: string]: number };
}

type Functions = ProcessFunctions<unknown, Document, unknown, unknown>;

/** User code with state and timers. What has a time to live goes, at the latest, when the last of it is over: by a timer. */
export function processStage(
  name: string,
  version: number,
  { onRecord, onTimer, states: specs = {} }: Functions & { readonly states?: StateSpecs },
): StatefulStage {
  requireStates(name, specs);
  const timers: OperatorTimers = {
    dueMs: (state, firedMs) => {
      const { t = {}, s = {} } = state as Held;
      const expiryMs = lastExpiryMs(specs, s);
      const dueMs = Math.min(...Object.values(t), expiryMs === -Infinity ? Infinity : expiryMs);
      return dueMs === Infinity ? undefined : Math.max(dueMs, firedMs + 1);
    },
    fire: (key, dueMs, cell) => {
      const outputs: unknown[] = [];
      const due = dueTimers(cell, dueMs);
      for (const timer of due) {
        // One before it may have moved it.
        const at = timerOf(cell.get() as Held | undefined, timer);
        if (at === undefined || at > dueMs) continue;
        const time = { eventMs: dueMs, overMs: dueMs - 1, firedMs: dueMs };
        const context = contextOf(name, specs, key, cell, time, outputs);
        context.timers.clear(timer);
        requireSynchronous(onTimer?.(timer, context), `onTimer of operator '${name}'`);
      }
      const held = (cell.get() ?? {}) as Held;
      if (held.s !== undefined) hold(cell, { ...held, s: living(specs, held.s, dueMs) });
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
      const context = contextOf(name, specs, key, cell, requireTime(name, time), outputs);
      requireSynchronous(onRecord(value, context), `onRecord of operator '${name}'`);
      return outputs;
    },
  };
}

function hold(
  cell: StateCell,
  { v, s, t = {} }: { readonly [Part in keyof Held]: Held[Part] | undefined },
): void {
  const hasTimers = Object.keys(t).length > 0;
  if (v === undefined && s === undefined && !hasTimers) cell.remove();
  else {
    cell.set({ ...(v !== undefined && { v }), ...(s !== undefined && { s }), ...(hasTimers && { t }) });
  }
}

function timerOf({ t = {} }: Held = {}, timer: string): number | undefined {
  return Object.hasOwn(t, timer) ? t[timer] : undefined;
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
  specs: StateSpecs,
  key: string,
  cell: StateCell,
  { eventMs, overMs, firedMs }: ValueTime,
  outputs: unknown[],
): ProcessContext<Document, unknown, unknown> {
  const held = (): Held => (cell.get() as Held | undefined) ?? {};
  const change = (changes: { readonly [Part in keyof Held]: Held[Part] | undefined }): void =>
    hold(cell, { ...held(), ...changes });
  return {
    key,
    eventMs,
    isLate: eventMs <= overMs,
    get: () => {
      const { v } = held();
      return v === undefined ? undefined : canonicalDocument(v).document;
    },
    update: (state) => change({ v: state }),
    remove: () => change({ v: undefined }),
    emit: (output) => void outputs.push(output),
    states: openStates(
      operator,
      specs,
      { get: () => held().s ?? {}, set: (s) => change({ s }) },
      Math.max(eventMs, firedMs),
    ),
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
        change({ t: { ...held().t, [timer]: Math.max(atMs, firedMs + 1) } });
      },
      clear: (timer) => change({ t: without(held().t ?? {}, timer) }),
      get: (timer) => timerOf(held(), timer),
    },
  };
}

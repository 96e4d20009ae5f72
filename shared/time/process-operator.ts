import { ConfigurationError } from '../pipeline/configuration-error.ts';
import type {
  DueTimers,
  OperatorTimers,
  StateCell,
  StatefulStage,
  ValueTime,
} from '../pipeline/definition.ts';
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

/** One key's timers of one operator and one time, by name: setting one again moves it. */
export interface KeyTimers {
  /**
   * @param at as a Date or milliseconds since the epoch. A time that is over already comes as soon as it can.
   * @throws TypeError for what is no time, or no name.
   */
  set: (name: string, at: Date | number) => void;
  clear: (name: string) => void;
  /** When it comes, milliseconds since the epoch. */
  get: (name: string) => number | undefined;
}

/** One key's timers of one operator: of event time and, under names of their own, of processing time. */
export interface ProcessTimers extends KeyTimers {
  /**
   * Timers that go by the clock, whatever event time does: one comes with the first sweep that begins behind it, or before
   * a record of the key that arrived behind it. Reckon from `processingMs`; a clock of your own would tell each retry
   * another time. Setting one where there is no `onProcessingTimer` stops the batch with a ConfigurationError.
   */
  readonly processing: KeyTimers;
}

/** The states of an operator that declares none. */
export type NoStates = Readonly<Record<never, never>>;

/** What user code may do while it processes a value or a timer. */
export interface ProcessContext<S, U, States = NoStates> {
  readonly key: string;
  /**
   * Event time of the value, or of the timer; of a timer of processing time that of the call that set it. Milliseconds since
   * the epoch.
   */
  readonly eventMs: number;
  /**
   * Processing time, milliseconds since the epoch: when the value arrived in the stream, or the timer of processing time was
   * due, which no retry changes; of a timer of event time when the record arrived before which it fires, or the sweep's
   * clock.
   */
  readonly processingMs: number;
  /** Of a value: whether its time was over for the key already. */
  readonly isLate: boolean;
  /** The key's state, a copy; `undefined` where there is none. */
  get: () => S | undefined;
  /** Replaces the state. */
  update: (state: S) => void;
  remove: () => void;
  /** What was declared as `states`, by its name. */
  readonly states: States;
  readonly timers: ProcessTimers;
  /** Sends a value downstream, as an event. */
  emit: (output: U) => void;
}

export interface ProcessFunctions<T, S, U, States = NoStates> {
  onRecord: (value: T, context: ProcessContext<S, U, States>) => void;
  /** A timer has come, and is set no more. */
  onTimer?: (timer: string, context: ProcessContext<S, U, States>) => void;
  /** A timer of processing time has come, and is set no more. */
  onProcessingTimer?: (timer: string, context: ProcessContext<S, U, States>) => void;
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
  /** Of processing time: when it is due, and the event time of the call that set it. */
  readonly p?: { readonly [timer: string]: readonly [atMs: number, eventMs: number] };
}

type Parts = { readonly [Part in keyof Held]: Held[Part] | undefined };

/** When user code is called. */
type Moment = ValueTime & Pick<ProcessContext<never, never>, 'processingMs'>;

type Functions = ProcessFunctions<unknown, Document, unknown, unknown>;

/** User code with state and timers. What has a time to live goes, at the latest, when the last of it is over: by a timer. */
export function processStage(
  name: string,
  version: number,
  { onRecord, onTimer, onProcessingTimer, states: specs = {} }: Functions & { readonly states?: StateSpecs },
): StatefulStage {
  requireStates(name, specs);
  const opened = { name, specs, hasProcessing: onProcessingTimer !== undefined };
  const processing: DueTimers = {
    dueMs: (state, firedMs) => {
      const { p = {} } = state as unknown as Held;
      const dueMs = Math.min(...Object.values(p).map(([atMs]) => atMs));
      return dueMs === Infinity ? undefined : Math.max(dueMs, firedMs + 1);
    },
    fire: (key, dueMs, cell, { firedMs }) => {
      const outputs: unknown[] = [];
      const held = (): Held['p'] => (cell.get() as unknown as Held | undefined)?.p;
      for (const timer of dueTimers(held(), ([atMs]) => atMs, dueMs)) {
        const [atMs, eventMs] = ownOf(held(), timer) ?? [Infinity, 0];
        // One before it may have moved it.
        if (atMs > dueMs) continue;
        const moment = { eventMs, overMs: -Infinity, firedMs, processingFiredMs: dueMs, processingMs: dueMs };
        const context = contextOf(opened, key, cell, moment, outputs);
        context.timers.processing.clear(timer);
        requireSynchronous(onProcessingTimer?.(timer, context), `onProcessingTimer of operator '${name}'`);
      }
      return outputs;
    },
  };
  const timers: OperatorTimers = {
    ...(onProcessingTimer !== undefined && { processing }),
    dueMs: (state, firedMs) => {
      const { t = {}, s = {} } = state as unknown as Held;
      const expiryMs = lastExpiryMs(specs, s);
      const dueMs = Math.min(...Object.values(t), expiryMs === -Infinity ? Infinity : expiryMs);
      return dueMs === Infinity ? undefined : Math.max(dueMs, firedMs + 1);
    },
    fire: (key, dueMs, cell, { nowMs, processingFiredMs }) => {
      const outputs: unknown[] = [];
      const set = (): Held['t'] => (cell.get() as unknown as Held | undefined)?.t;
      for (const timer of dueTimers(set(), (at) => at, dueMs)) {
        // One before it may have moved it.
        const at = ownOf(set(), timer);
        if (at === undefined || at > dueMs) continue;
        const moment = {
          eventMs: dueMs,
          overMs: dueMs - 1,
          firedMs: dueMs,
          processingFiredMs,
          processingMs: nowMs,
        };
        const context = contextOf(opened, key, cell, moment, outputs);
        context.timers.clear(timer);
        requireSynchronous(onTimer?.(timer, context), `onTimer of operator '${name}'`);
      }
      const held = (cell.get() ?? {}) as unknown as Held;
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
    fold: (key, value, cell, { time, arrivalMs }) => {
      const outputs: unknown[] = [];
      const moment = { ...requireTime(name, time), processingMs: arrivalMs };
      const context = contextOf(opened, key, cell, moment, outputs);
      requireSynchronous(onRecord(value, context), `onRecord of operator '${name}'`);
      return outputs;
    },
  };
}

function hold(cell: StateCell, { v, s, t = {}, p = {} }: Parts): void {
  const hasTimers = Object.keys(t).length > 0;
  const hasProcessing = Object.keys(p).length > 0;
  if (v === undefined && s === undefined && !hasTimers && !hasProcessing) cell.remove();
  else {
    cell.set({
      ...(v !== undefined && { v }),
      ...(s !== undefined && { s }),
      ...(hasTimers && { t }),
      ...(hasProcessing && { p }),
    });
  }
}

/** Names come from user code: `constructor` is one that was not set. */
function ownOf<T>(timers: Readonly<Record<string, T>> | undefined, timer: string): T | undefined {
  return timers !== undefined && Object.hasOwn(timers, timer) ? timers[timer] : undefined;
}

/** In the order of their times, those of one time in the order of their names. */
function dueTimers<T>(
  timers: Readonly<Record<string, T>> | undefined,
  atMsOf: (timer: T) => number,
  dueMs: number,
): readonly string[] {
  return Object.entries(timers ?? {})
    .map(([timer, each]): [string, number] => [timer, atMsOf(each)])
    .filter(([, at]) => at <= dueMs)
    .sort(([a, atA], [b, atB]) => atA - atB || (a < b ? -1 : 1))
    .map(([timer]) => timer);
}

/** @throws TypeError for what is no name of a timer, or no time. */
function timeOf(operator: string, timer: unknown, at: unknown): number {
  if (typeof timer !== 'string' || timer === '' || !timer.isWellFormed()) {
    throw new TypeError(`operator '${operator}' sets a timer whose name is no text, or empty`);
  }
  const atMs = eventMsOf(at);
  if (atMs !== undefined) return atMs;
  throw new TypeError(
    `operator '${operator}' sets the timer '${timer}' to a time that is none: a Date or milliseconds since 1970`,
  );
}

interface OpenedOperator {
  readonly name: string;
  readonly specs: StateSpecs;
  /** Whether it has `onProcessingTimer`. */
  readonly hasProcessing: boolean;
}

/** Closures, so that user code may take them out of the context one by one. */
function contextOf(
  { name: operator, specs, hasProcessing }: OpenedOperator,
  key: string,
  cell: StateCell,
  { eventMs, overMs, firedMs, processingMs, processingFiredMs }: Moment,
  outputs: unknown[],
): ProcessContext<Document, unknown, unknown> {
  const held = (): Held => (cell.get() as unknown as Held | undefined) ?? {};
  const change = (changes: Parts): void => hold(cell, { ...held(), ...changes });
  return {
    key,
    eventMs,
    processingMs,
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
        const atMs = timeOf(operator, timer, at);
        // What is over comes at the next moment: a key's timers come in the order of their times.
        change({ t: { ...held().t, [timer]: Math.max(atMs, firedMs + 1) } });
      },
      clear: (timer) => change({ t: without(held().t ?? {}, timer) }),
      get: (timer) => ownOf(held().t, timer),
      processing: {
        set: (timer, at) => {
          if (!hasProcessing) {
            throw new ConfigurationError(
              `Operator '${operator}' sets a timer of processing time and has no 'onProcessingTimer' that it could call: ` +
                'give it one. Nothing of the batch was processed.',
            );
          }
          const atMs = Math.max(timeOf(operator, timer, at), processingFiredMs + 1);
          change({ p: { ...held().p, [timer]: [atMs, eventMs] } });
        },
        clear: (timer) => change({ p: without(held().p ?? {}, timer) }),
        get: (timer) => ownOf(held().p, timer)?.[0],
      },
    },
  };
}

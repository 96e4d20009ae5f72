import { ConfigurationError } from '../pipeline/configuration-error.ts';
import { secondsOf, type Duration } from '../pipeline/duration.ts';
import { requireName } from '../pipeline/name.ts';
import { canonicalDocument } from '../state/canonical-document.ts';
import type { Document } from '../state/document.ts';

/** What each entry of a state is given: the value of a value state, each element of a list, each entry of a map. */
export interface StateOptions {
  /**
   * How long an entry lives; for ever unless given. By the key's time, never by a clock: the highest of the event times of
   * the value or timer at hand, of the key's timers that have fired, and of when what the operator holds was written.
   */
  ttl?: Duration;
  /** What gives an entry its time anew: `write`, unless given, or `readAndWrite`; then a read is a write, too. */
  refreshedBy?: 'write' | 'readAndWrite';
}

/** One value of a key. What it gives is a copy. */
export interface ValueState<T> {
  /** `undefined` where there is none, or its time is over. */
  get: () => T | undefined;
  update: (value: T) => void;
  remove: () => void;
}

/** A list of a key, in the order in which it was written. What it gives is a copy. */
export interface ListState<T> {
  /** The elements whose time is not over. */
  get: () => readonly T[];
  append: (...values: readonly T[]) => void;
  /** Replaces the elements. */
  update: (values: readonly T[]) => void;
  remove: () => void;
}

/** Values of a key under names of their own: texts that are not empty. What it gives is a copy. */
export interface MapState<T> {
  /** `undefined` where there is none, or its time is over. */
  get: (name: string) => T | undefined;
  /** No read: it refreshes nothing. */
  has: (name: string) => boolean;
  set: (name: string, value: T) => void;
  delete: (name: string) => void;
  /** Those whose time is not over, in the order of their names, names that are whole numbers first. */
  entries: () => readonly (readonly [name: string, value: T])[];
  remove: () => void;
}

/** A state of `process`, as it is declared: made by `valueState`, `listState` or `mapState`. */
export interface StateSpec<State> {
  readonly kind: keyof typeof FORMS;
  /** Infinity where its entries live for ever. */
  readonly ttlMs: number;
  readonly isRefreshedByRead: boolean;
  /** Only for the compiler: what user code is given. */
  readonly state?: State;
}

export interface StateSpecs {
  readonly [name: string]: StateSpec<unknown>;
}

/** A value beside the one of `context.get()`. @throws TypeError where an option cannot be used. */
export const valueState = <T>(options?: StateOptions): StateSpec<ValueState<T>> => specOf('value', options);

/** A list, each element of which lives for its own time. @throws TypeError where an option cannot be used. */
export const listState = <T>(options?: StateOptions): StateSpec<ListState<T>> => specOf('list', options);

/** Values by name, each of which lives for its own time. @throws TypeError where an option cannot be used. */
export const mapState = <T>(options?: StateOptions): StateSpec<MapState<T>> => specOf('map', options);

function specOf<State>(
  kind: StateSpec<State>['kind'],
  { ttl, refreshedBy }: StateOptions = {},
): StateSpec<State> {
  if (refreshedBy !== undefined && refreshedBy !== 'write' && refreshedBy !== 'readAndWrite') {
    throw new TypeError(
      `'refreshedBy' of a state is ${JSON.stringify(refreshedBy)}; it is 'write' or 'readAndWrite'.`,
    );
  }
  if (refreshedBy !== undefined && ttl === undefined) {
    throw new TypeError("A state has 'refreshedBy' and no 'ttl', without which it lives for ever anyway.");
  }
  return Object.freeze({
    kind,
    ttlMs: ttl === undefined ? Infinity : secondsOf("'ttl' of a state", ttl) * 1_000,
    isRefreshedByRead: refreshedBy === 'readAndWrite',
  });
}

/** @throws TypeError for what is no declaration of states. */
export function requireStates(operator: string, specs: StateSpecs): void {
  for (const [name, spec] of Object.entries(specs)) {
    requireName('state', name);
    if (typeof spec === 'object' && spec !== null && Object.hasOwn(FORMS, spec.kind)) continue;
    throw new TypeError(
      `State '${name}' of operator '${operator}' is none: declare it with valueState(), listState() or mapState().`,
    );
  }
}

/** A value and, where there is a time to live, when it was written, milliseconds since the epoch. */
type Entry = readonly [value: Document, atMs?: number];

/** As it is stored, by kind, so that a state of another kind is told from it: whether it has a time to live makes no difference. */
interface Held {
  readonly e?: Entry;
  readonly l?: readonly Entry[];
  readonly m?: { readonly [name: string]: Entry };
}
const FORMS = { value: 'e', list: 'l', map: 'm' } as const;

/** The declared states of an operator as they are stored. */
export interface HeldStates {
  readonly [name: string]: Held;
}

function entriesOf({ e, l = [], m = {} }: Held): readonly Entry[] {
  return e === undefined ? [...l, ...Object.values(m)] : [e];
}

function isAlive(ttlMs: number, [, atMs]: Entry, nowMs: number): boolean {
  // What was written before there was a time to live has none until it is written again.
  return atMs === undefined || nowMs < atMs + ttlMs;
}

/** When the last of what has a time to live is over, milliseconds since the epoch; -Infinity where nothing has. */
export function lastExpiryMs(specs: StateSpecs, states: HeldStates): number {
  let lastMs = -Infinity;
  for (const [name, { ttlMs }] of Object.entries(specs)) {
    if (ttlMs === Infinity || !Object.hasOwn(states, name)) continue;
    for (const [, atMs = -Infinity] of entriesOf(states[name] as Held))
      lastMs = Math.max(lastMs, atMs + ttlMs);
  }
  return lastMs;
}

/** Without what is over; `undefined` where nothing is left. */
export function living(specs: StateSpecs, states: HeldStates, nowMs: number): HeldStates | undefined {
  const left = Object.entries(states).flatMap(([name, held]): [string, Held][] => {
    // What the code does not declare any more is carried along.
    const ttlMs = Object.hasOwn(specs, name) ? (specs[name]?.ttlMs ?? Infinity) : Infinity;
    const next = livingOf(ttlMs, held, nowMs);
    return entriesOf(next).length === 0 ? [] : [[name, next]];
  });
  return left.length === 0 ? undefined : Object.fromEntries(left);
}

function livingOf(ttlMs: number, { e, l, m }: Held, nowMs: number): Held {
  const isLeft = (entry: Entry): boolean => isAlive(ttlMs, entry, nowMs);
  return {
    ...(e !== undefined && isLeft(e) && { e }),
    ...(l !== undefined && { l: l.filter(isLeft) }),
    ...(m !== undefined && { m: Object.fromEntries(Object.entries(m).filter(([, entry]) => isLeft(entry))) }),
  };
}

/** How an operator's states are read and replaced. */
export interface StatesHolder {
  get: () => HeldStates;
  set: (states: HeldStates | undefined) => void;
}

/**
 * The states for one call of user code.
 * @param timeMs event time of the call, and no less than what has fired, milliseconds since the epoch.
 */
export function openStates(
  operator: string,
  specs: StateSpecs,
  holder: StatesHolder,
  timeMs: number,
): Readonly<Record<string, unknown>> {
  let keyMs: number | undefined;
  const nowMs = (): number => {
    if (keyMs !== undefined) return keyMs;
    keyMs = timeMs;
    // Event times do not only rise: what an early value writes must not be over in the moment in which it is written.
    for (const held of Object.values(holder.get())) {
      for (const [, atMs = -Infinity] of entriesOf(held)) keyMs = Math.max(keyMs, atMs);
    }
    return keyMs;
  };
  return Object.freeze(
    Object.fromEntries(
      Object.entries(specs).map(([name, spec]) => {
        const form = FORMS[spec.kind];
        const read = (): Held => {
          const states = holder.get();
          const held = Object.hasOwn(states, name) ? (states[name] as Held) : undefined;
          if (held === undefined) return {};
          if (held[form] === undefined) {
            throw new ConfigurationError(
              `State '${name}' of operator '${operator}' is stored as another kind than ${spec.kind}: give it another name.`,
            );
          }
          return livingOf(spec.ttlMs, held, nowMs());
        };
        const write = (held: Held): void =>
          holder.set(living(specs, { ...holder.get(), [name]: held }, nowMs()));
        const entryOf = (value: unknown): Entry =>
          spec.ttlMs === Infinity ? [value as Document] : [value as Document, nowMs()];
        const refreshed = (entry: Entry): Entry => (spec.isRefreshedByRead ? entryOf(entry[0]) : entry);
        const isStale = (entry: Entry): boolean => spec.isRefreshedByRead && entry[1] !== nowMs();
        return [name, OPENED[spec.kind](read, write, entryOf, refreshed, isStale)];
      }),
    ),
  );
}

type Open = (
  read: () => Held,
  write: (held: Held) => void,
  entryOf: (value: unknown) => Entry,
  refreshed: (entry: Entry) => Entry,
  /** Whether reading it is to be written. */
  isStale: (entry: Entry) => boolean,
) => unknown;

const copyOf = ([value]: Entry): Document => canonicalDocument(value).document;

const openValue: Open = (read, write, entryOf, refreshed, isStale): ValueState<unknown> => ({
  get: () => {
    const { e } = read();
    if (e !== undefined && isStale(e)) write({ e: refreshed(e) });
    return e && copyOf(e);
  },
  update: (value) => write({ e: entryOf(value) }),
  remove: () => write({}),
});

const openList: Open = (read, write, entryOf, refreshed, isStale): ListState<unknown> => ({
  get: () => {
    const { l = [] } = read();
    if (l.some(isStale)) write({ l: l.map(refreshed) });
    return l.map(copyOf);
  },
  append: (...values) => write({ l: [...(read().l ?? []), ...values.map(entryOf)] }),
  update: (values) => write({ l: values.map(entryOf) }),
  remove: () => write({}),
});

const openMap: Open = (read, write, entryOf, refreshed, isStale): MapState<unknown> => {
  const held = (): NonNullable<Held['m']> => read().m ?? {};
  return {
    get: (name) => {
      const m = held();
      if (!Object.hasOwn(m, name)) return undefined;
      const entry = m[name] as Entry;
      if (isStale(entry)) write({ m: { ...m, [name]: refreshed(entry) } });
      return copyOf(entry);
    },
    has: (name) => Object.hasOwn(held(), name),
    set: (name, value) => write({ m: { ...held(), [name]: entryOf(value) } }),
    delete: (name) =>
      write({ m: Object.fromEntries(Object.entries(held()).filter(([each]) => each !== name)) }),
    entries: () => {
      const m = held();
      if (Object.values(m).some(isStale)) {
        write({ m: Object.fromEntries(Object.entries(m).map(([name, entry]) => [name, refreshed(entry)])) });
      }
      return Object.entries(m).map(([name, entry]) => [name, copyOf(entry)] as const);
    },
    remove: () => write({}),
  };
};

const OPENED: Readonly<Record<StateSpec<unknown>['kind'], Open>> = {
  value: openValue,
  list: openList,
  map: openMap,
};

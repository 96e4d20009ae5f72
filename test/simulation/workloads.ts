import {
  dynamodb,
  kinesis,
  lookupTable,
  outputsOf,
  pipeline,
  type Pipeline,
  type PipelineOptions,
} from '../../shared/index.ts';
import { withTables, type LookupTables } from '../../shared/lookup/memory-lookup.ts';
import type { Document } from '../../shared/state/document.ts';
import type { WindowRule } from '../../shared/testing/simulator/window-checker.ts';
import type { World } from '../../shared/testing/simulator/world.ts';

/** What a record of the simulated streams holds. */
export interface Value {
  /** Names the record. */
  readonly id: string;
  readonly key: string;
  /** A second element under this key. */
  other?: string;
  readonly destination: string;
  readonly amount: number;
  /** What is wrong with it. */
  readonly poison?: Poison;
  /** Event time, milliseconds since the epoch. */
  readonly at?: number;
  touched?: number;
}

/** Where a record is rejected; the last three end the process. */
export const POISONS = [
  'decode',
  'stateless',
  'key',
  'keyText',
  'fold',
  'foldAfterUpdate',
  'foldFirst',
  'state',
  'destination',
  'decodeExit',
  'foldExit',
  'foldLoop',
] as const;
export type Poison = (typeof POISONS)[number];
const KILLING: readonly (Poison | undefined)[] = ['decodeExit', 'foldExit', 'foldLoop'];

export function isKilling(poison: Poison | undefined): boolean {
  return KILLING.includes(poison);
}

/** Whether mended code gives such a record keys, and it had none. */
export function hasNoKey(poison: Poison | undefined): boolean {
  return poison === 'stateless' || poison === 'key' || poison === 'keyText';
}

/** The world whose processes records may kill. */
export const killing: { world: World | undefined } = { world: undefined };

/** Whether the code is mended: then nothing but what cannot be decoded is poison. */
export const mending = { isMended: false };

/** What is wrong with the record for the code as it is. */
export function poisonOf({ poison }: Value): Poison | undefined {
  return mending.isMended ? undefined : poison;
}

function die(isLoop: boolean): never {
  killing.world?.killRunning(isLoop);
  throw new Error('killed');
}

export interface Keyed {
  readonly value: Value;
  readonly key: string;
  /** Whether another element of the same record stands before it. */
  readonly isSecond?: true;
}

export function expand(value: Value): Keyed[] {
  const poison = poisonOf(value);
  if (poison === 'stateless') throw new Error('poison');
  if (poison === 'decodeExit') die(false);
  // The elements share an object: what is done to it under one key must not be seen under another.
  return [
    { value, key: value.key },
    ...(value.other === undefined ? [] : [{ value, key: value.other, isSecond: true as const }]),
  ];
}

export function keyOf({ key, value }: Keyed): string {
  const poison = poisonOf(value);
  if (poison === 'key') return undefined as unknown as string;
  if (poison === 'keyText') return '\ud800';
  return key;
}

/** What a poisoned record does in its first operator. @param spoil changes the state that was given. */
export function harm({ value, isSecond }: Keyed, spoil: () => void): void {
  switch (poisonOf(value)) {
    case 'fold':
      throw new Error('poison');
    case 'foldFirst':
      if (isSecond !== true) throw new Error('poison');
      return;
    case 'foldAfterUpdate':
      spoil();
      throw new Error('poison');
    case 'foldExit':
      return die(false);
    case 'foldLoop':
      return die(true);
    default:
  }
}

export const keyed = (name: string, options: PipelineOptions = {}) =>
  pipeline(name, options).from(kinesis<Value>('input')).flatMap(expand).keyBy(keyOf);

/** A running count, and the newest one of each key published. */
const counter = keyed('counter')
  .aggregateByKey(
    'count',
    () => ({ count: 0, sum: 0 }),
    (total, element) => {
      const { value } = element;
      harm(element, () => (total.count = -1));
      if (poisonOf(value) === 'state') return { count: (() => 0) as unknown as number, sum: 0 };
      return { count: total.count + 1, sum: total.sum + value.amount };
    },
  )
  .to(kinesis('counts'))
  .map((total) => ({ twice: total.count * 2 }))
  .to(kinesis<{ twice: number }>('twice', { key: ({ twice }) => `d${twice % 3}`, name: 'twice' }));

/** State that depends on the order of its records, changed in place; every change is an event. */
const list = keyed('list')
  .updateStateByKey<string[]>(
    'list',
    ([element], ids = []) => {
      const { value } = element as Keyed;
      ids.push(value.id);
      harm(element as Keyed, () => ids.push('spoilt'));
      if (poisonOf(value) === 'state') ids.push('\ud800');
      return ids.length > 6 ? undefined : ids;
    },
    { emit: 'every' },
  )
  .to(kinesis('lists'));

interface Counted {
  readonly id: string;
  readonly count: number;
  readonly destination: string;
  readonly touched: number;
}

/** State per record with removal, an event to a destination of its own, and a second operator behind it. */
const sessions = keyed('sessions')
  .mapWithState<{ count: number }, Counted>(
    'counted',
    (element, state) => {
      const { value } = element;
      const current = state.get() ?? { count: 0 };
      current.count += 1;
      value.touched = (value.touched ?? 0) + 1;
      // A change in place that is never given to `update` is none.
      if (value.amount === 6) return undefined;
      harm(element, () => state.update({ count: -1 }));
      if (poisonOf(value) === 'state') state.update({ count: Number.NaN });
      else if (value.amount % 5 === 4) state.remove();
      else state.update(current);
      if (value.amount % 7 === 3) return undefined;
      const { id, touched } = value;
      const destination = poisonOf(value) === 'destination' ? '\ud800' : value.destination;
      return { id, count: current.count, destination, touched };
    },
    { initial: (key) => ({ count: key.length }) },
  )
  .to(kinesis<Counted>('events', { key: ({ destination }) => destination }))
  .updateStateByKey<string[]>('recent', ([event], recent = []) => {
    const { id, count } = event as Counted;
    if (count % 4 === 3) return undefined;
    recent.push(id);
    return recent.slice(-3);
  })
  .to(dynamodb<string[]>('recent'));

/** Several operators in a row, several outputs of one element, a filter between, and the user's own call. */
const operators = keyed('operators')
  .filter(({ value }) => value.amount !== 2)
  .reduceByKey('largest', (largest, element) => {
    harm(element, () => Object.assign(largest.value, { amount: -1 }));
    return element.value.amount > largest.value.amount ? element : largest;
  })
  .map(({ value: { id, amount } }) => ({ id, amount }))
  .to(kinesis('largest'))
  .flatMap(({ id, amount }) => [
    { id, part: 0, amount },
    { id, part: 1, amount },
  ])
  .mapWithState<number, { id: string; part: number; seen: number }>(
    'parts',
    ({ id, part, amount }, state) => {
      const seen = (state.get() ?? 0) + 1;
      state.update(seen);
      return amount === 1 ? undefined : { id, part, seen };
    },
  )
  .to(kinesis('parts'))
  .forEach('calls', () => undefined);

/** What a producer sends again under a new sequence number counts once. */
const deduplicated = keyed('deduplicated')
  .dedupeBy(({ value: { id } }) => id, { within: { hours: 1 } })
  .updateStateByKey<string[]>(
    'once',
    ([element], ids = []) => {
      const { value } = element as Keyed;
      harm(element as Keyed, () => ids.push('spoilt'));
      if (poisonOf(value) === 'state') ids.push('\ud800');
      return [...ids, value.id];
    },
    { emit: 'every' },
  )
  .to(kinesis('once'));

/** No producer of these worlds sends a record again after more than an hour. */
function idsTwice(states: ReadonlyMap<string, Document>): string | undefined {
  const ids = (states.get('once') ?? []) as string[];
  const twice = ids.find((id, place) => ids.indexOf(id) < place);
  return twice && `it has ${twice} twice`;
}

/** A key's records wait behind one that is bad, and no other key's do. */
const parked = keyed('parked', { onRecordError: 'parkKey' })
  .updateStateByKey<string[]>('ids', ([element], ids = []) => {
    const { value } = element as Keyed;
    harm(element as Keyed, () => ids.push('spoilt'));
    if (poisonOf(value) === 'state') ids.push('\ud800');
    return [...ids, value.id];
  })
  .to(kinesis('ids'));

/** A value that JSON cannot hold in the first of its record's elements: what follows it passes the relay alone. */
function passing(element: Keyed): Keyed {
  const { value, key } = element;
  if (poisonOf(value) !== 'destination' || key !== value.key) return element;
  return { key, value: { ...value, amount: 1n as unknown as number } };
}

/** Keys that cut across the stream's partition keys, brought together before the state. */
const relayed = pipeline('relayed')
  .from(kinesis<Value>('input'))
  .flatMap(expand)
  .map(passing)
  .repartition('by-key', keyOf)
  .keyBy(({ key }) => key)
  .updateStateByKey<string[]>(
    'ids',
    ([element], ids = []) => {
      const { value } = element as Keyed;
      ids.push(value.id);
      harm(element as Keyed, () => ids.push('spoilt'));
      if (poisonOf(value) === 'state') ids.push('\ud800');
      return ids.length > 6 ? undefined : ids;
    },
    { emit: 'every' },
  )
  .to(kinesis('ids'));

/** A key behind the relay is fed by several of its destinations, and waits behind what is bad. */
const relayedAcross = pipeline('relayed-across', { onRecordError: 'parkKey' })
  .from(kinesis<Value>('input'))
  .flatMap(expand)
  .repartition('by-destination', (element) => {
    const key = keyOf(element);
    return typeof key === 'string' && key.isWellFormed() ? element.value.destination : key;
  })
  .keyBy(({ key }) => key)
  .mapWithState<number, { id: string; count: number }>(
    'count',
    (element, state) => {
      const { value } = element;
      const count = (state.get() ?? 0) + 1;
      harm(element, () => state.update(-1));
      if (poisonOf(value) === 'state') state.update(Number.NaN);
      else state.update(count);
      return value.amount === 6 ? undefined : { id: value.id, count };
    },
    { initial: (key) => key.length },
  )
  .to(kinesis('counted'));

interface Priced {
  readonly id: string;
  readonly price: number;
  readonly spent: number;
}

const TABLES: LookupTables = {
  prices: { d0: { id: 'd0', price: 3 }, p0: { id: 'p0', price: 5 } },
  names: Object.fromEntries(Array.from({ length: 8 }, (_, at) => [`n${at}`, { pk: `n${at}`, name: at }])),
  rules: { double: { pk: 'double', from: 5 } },
};

/** Rows of other tables before a state and behind it, some of them missing, and one table as a whole. */
const looking = keyed('looking')
  .lookup(
    lookupTable<{ readonly price: number }>('prices', { partitionKey: 'id' }),
    ({ value: { destination, amount } }, key) => (amount === 7 ? undefined : amount > 4 ? key : destination),
    (element, row) => ({ element, price: row?.price ?? 1 }),
    { staleness: { seconds: 1 } },
  )
  .mapWithState<number, Priced>('spent', ({ element, price }, state) => {
    const { value } = element;
    const spent = (state.get() ?? 0) + price;
    harm(element, () => state.update(-1));
    if (poisonOf(value) === 'state') state.update(Number.NaN);
    else state.update(spent);
    return { id: value.id, price, spent };
  })
  .lookup(
    lookupTable<{ readonly name: number }>('names'),
    ({ spent }) => `n${spent % 9}`,
    (priced, row) => ({ ...priced, name: row?.name ?? -1 }),
  )
  .broadcast(lookupTable<{ readonly from: number }>('rules'), (priced, rules) =>
    priced.spent >= (rules.get('double')?.from ?? 0) ? { ...priced, isDouble: true } : priced,
  )
  .to(kinesis('priced'));

/** Instead of another workload in some worlds. */
export const LOOKING: Workload = {
  pipeline: withTables(looking, TABLES),
  leastRoomBytes: 1_200,
};

/** A pipeline, and what reads its outputs. */
export interface Workload {
  readonly pipeline: Pipeline;
  /** Twice what a key's states and the outputs of one record take together, or more. */
  readonly leastRoomBytes: number;
  /** What is wrong with a key's states by what the operators promise: an oracle that runs the same operators cannot tell. */
  readonly wrongIn?: (states: ReadonlyMap<string, Document>) => string | undefined;
  /** What windows its first operator has. */
  readonly windows?: WindowRule;
  /** By the name of a Kinesis sink: pipelines that read its stream, of which a world has one. */
  readonly next?: { readonly sink: string; readonly pipelines: readonly Pipeline[] };
}

/** Folds the events of a pipeline in their order. @param keyOf coarser than the destination key, or the same. */
export function chainedOn(
  upstream: Pipeline,
  sink: string,
  name: string,
  keyOf: (event: unknown) => string,
): Pipeline {
  return pipeline(name)
    .from(outputsOf<unknown>(upstream, sink))
    .keyBy(keyOf)
    .updateStateByKey<string[]>('all', ([event], all = []) => [...all, JSON.stringify(event)], {
      emit: 'every',
    })
    .to(kinesis('all'));
}

/** What is simulated. */
export const WORKLOADS: readonly Workload[] = [
  { pipeline: counter, leastRoomBytes: 900 },
  {
    pipeline: list,
    leastRoomBytes: 900,
    next: {
      sink: 'lists',
      pipelines: [
        chainedOn(list, 'lists', 'lengths', (ids) => `n${(ids as string[]).length % 3}`),
        chainedOn(list, 'lists', 'everything', () => 'all'),
      ],
    },
  },
  {
    pipeline: sessions,
    leastRoomBytes: 900,
    next: {
      sink: 'events',
      pipelines: [
        chainedOn(sessions, 'events', 'destinations', (event) => (event as Counted).destination),
        chainedOn(sessions, 'events', 'coarse', () => 'all'),
      ],
    },
  },
  {
    pipeline: operators,
    leastRoomBytes: 4_000,
    next: {
      sink: 'parts',
      pipelines: [chainedOn(operators, 'parts', 'halves', (part) => `h${(part as { part: number }).part}`)],
    },
  },
  { pipeline: deduplicated, leastRoomBytes: 2_000, wrongIn: idsTwice },
  { pipeline: parked, leastRoomBytes: 900 },
];

/** What is simulated with an internal stream. */
export const REPARTITIONED: readonly Workload[] = [
  { pipeline: relayed, leastRoomBytes: 2_500 },
  { pipeline: relayedAcross, leastRoomBytes: 2_500 },
];

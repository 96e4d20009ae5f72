import {
  collect,
  dynamodb,
  kinesis,
  listState,
  mapState,
  pipeline,
  session,
  sliding,
  tumbling,
  valueState,
  type ListState,
  type MapState,
  type PipelineOptions,
  type ValueState,
} from '../../shared/index.ts';
import type { WindowResult } from '../../shared/time/window-operator.ts';
import type { WindowRule } from '../../shared/testing/simulator/window-checker.ts';
import {
  chainedOn,
  expand,
  harm,
  keyOf,
  poisonOf,
  type Keyed,
  type Value,
  type Workload,
} from './workloads.ts';

type Ids = WindowResult<readonly string[]>;

const timed = (name: string, latenessSeconds: number, options: PipelineOptions = {}) =>
  pipeline(name, options)
    .from(kinesis<Value>('input'))
    .eventTime(({ at = 0 }) => at)
    .watermark({ lateness: { seconds: latenessSeconds } })
    .flatMap(expand)
    .keyBy(keyOf);

/** What a window collects of a value. */
function idOf(element: Keyed): string {
  const { value, isSecond } = element;
  harm(element, () => undefined);
  if (poisonOf(value) === 'state') return '\ud800';
  return isSecond === true ? `${value.id}+` : value.id;
}

/** As `idOf` names it, without what user code does to a poisoned one. */
function nameOf(element: unknown): string {
  const { value, isSecond } = element as Keyed;
  if (poisonOf(value) === 'state') return '\ud800';
  return isSecond === true ? `${value.id}+` : value.id;
}

const ids = collect<string>({ limit: 100 });
const SINK = 'windows';
const rule = (windows: Omit<WindowRule, 'sink' | 'nameOf'>): WindowRule => ({
  sink: SINK,
  nameOf,
  ...windows,
});
/** All windows of a key go to one destination, in the order of their ends. */
const byKey = { key: ({ key }: Ids) => key };

const tumblingIds = timed('tumbling', 2)
  .map(idOf)
  .window(tumbling({ seconds: 10 }))
  .aggregate('ids', ids)
  .to(kinesis(SINK));

/** Windows that overlap, and that take values for a while behind their end. */
const slidingIds = timed('sliding', 3)
  .map(idOf)
  .window(sliding({ seconds: 10 }, { seconds: 4 }), { allowedLateness: { seconds: 6 }, late: 'deadLetter' })
  .aggregate('ids', ids)
  .to(kinesis(SINK, byKey));

/** Windows between which there is time that is in none. */
const sparseIds = timed('sparse', 1)
  .map(idOf)
  .window(sliding({ seconds: 5 }, { seconds: 8 }), { late: 'accept' })
  .aggregate('ids', ids)
  .to(kinesis(SINK, byKey));

const sessionIds = timed('time-sessions', 2, { onRecordError: 'parkKey' })
  .map(idOf)
  .window(session({ seconds: 5 }), { late: 'deadLetter' })
  .aggregate('ids', ids)
  .to(kinesis(SINK, byKey));

const updatedIds = timed('updated', 1)
  .map(idOf)
  .window(sliding({ seconds: 8 }, { seconds: 4 }), { emit: 'onUpdate', allowedLateness: { seconds: 3 } })
  .aggregate('ids', ids)
  .to(kinesis(SINK));

/** Results before the windows are over. */
const earlyIds = timed('early', 2)
  .map(idOf)
  .window(sliding({ seconds: 10 }, { seconds: 5 }), {
    early: { every: { seconds: 3 } },
    allowedLateness: { seconds: 4 },
  })
  .aggregate('ids', ids)
  .to(kinesis(SINK, byKey));

/** A window over the results of windows, and a change for each of those. */
const twice = timed('twice', 2)
  .map(idOf)
  .window(tumbling({ seconds: 5 }))
  .aggregate('ids', ids)
  .to(kinesis(SINK, byKey))
  .map(({ value }) => value.join(' '))
  .window(tumbling({ seconds: 15 }))
  .aggregate('outer', ids)
  .to(kinesis('outer', byKey))
  .updateStateByKey<number>('ended', ([result], ended = 0) => ended + (result as Ids).value.length)
  .to(dynamodb<number>('ended'));

const silent = timed('time-counts', 1)
  .map(idOf)
  .window(tumbling({ seconds: 7 }, { offset: { seconds: 2 } }), { late: 'accept' })
  .aggregate('ids', ids)
  .updateStateByKey<string[]>('all', ([result], all = []) => [...all, ...(result as Ids).value].slice(-20), {
    emit: 'every',
  })
  .to(kinesis('all'));

interface Watched {
  readonly seen: readonly string[];
}

/** A timer for each value, which others move and clear, and one for silence. */
const timers = timed('timers', 2)
  .process<Watched, { readonly [part: string]: unknown }>('watch', {
    onRecord: (element, context) => {
      const { value } = element;
      const { eventMs, timers } = context;
      const seen = [...(context.get()?.seen ?? []), idOf(element)];
      context.update({ seen });
      timers.set(`own-${value.id}`, eventMs + value.amount * 1_000);
      timers.set('silence', eventMs + 12_000);
      if (value.amount % 4 === 1) timers.set('moved', eventMs + 4_000);
      if (value.amount % 5 === 2) timers.clear('moved');
      if (value.amount === 9) timers.set('past', 0);
      if (value.amount % 3 === 0) context.emit({ id: value.id, isLate: context.isLate, seen: seen.length });
    },
    onTimer: (timer, context) => {
      const seen = context.get()?.seen ?? [];
      context.emit({ timer, at: context.eventMs, seen });
      if (timer === 'silence') context.remove();
      else if (timer === 'moved') context.timers.set('again', context.eventMs + 1_000);
      else if (timer === 'past') context.update({ seen: seen.slice(1) });
    },
  })
  .to(kinesis('watched'));

const arrived = pipeline('arrived')
  .from(kinesis<Value>('input'))
  .flatMap(expand)
  .arrivalTime()
  .watermark({ lateness: { seconds: 1 } })
  .keyBy(keyOf)
  .map(idOf)
  .window(tumbling({ seconds: 4 }))
  .aggregate('ids', ids)
  .to(kinesis(SINK, byKey));

const intervals = pipeline('intervals')
  .from(kinesis<Value>('input'))
  .eventTime(({ at = 0 }) => at)
  .watermark({ lateness: { seconds: 2 } })
  .batchInterval({ seconds: 3 })
  .flatMap(expand)
  .keyBy(keyOf)
  .map(idOf)
  .window(tumbling({ seconds: 10 }))
  .aggregate('ids', ids)
  .to(kinesis(SINK, byKey));

const isLeft = ({ value }: Keyed): boolean => value.amount % 2 === 0;

/** Pairs of a key, and what found no partner. */
const paired = timed('paired', 2)
  .filter((element) => idOf(element) !== '')
  .fullOuterJoin('pairs', {
    left: (element): element is Keyed => isLeft(element),
    right: (element): element is Keyed => !isLeft(element),
    within: { before: { seconds: 3 }, after: { seconds: 6 } },
    late: 'accept',
  })
  .map(({ left, right }) => ({ left: left?.value.id ?? null, right: right?.value.id ?? null }))
  .to(kinesis('pairs'));

const timedOut = timed('timed-out', 1)
  .map(idOf)
  .mapWithState<string[], { ids: readonly string[]; isOver: boolean }>(
    'gathered',
    (id, state) => {
      const ids = [...(state.get() ?? []), id];
      if (ids.length > 4) state.remove();
      else state.update(ids);
      return ids.length % 2 === 0 ? { ids, isOver: false } : undefined;
    },
    { timeout: { seconds: 8 }, onTimeout: (ids) => ({ ids, isOver: true }) },
  )
  .to(kinesis('gathered'));

/** Windows each of which is made of the one before it. */
const inverted = timed('inverted', 2)
  .map((element) => (idOf(element) === '\ud800' ? 100 : element.value.amount + 1))
  .window(sliding({ seconds: 9 }, { seconds: 3 }), { late: 'deadLetter' })
  .reduce('sums', (a, b) => a + b, { inverse: (a, b) => a - b, filter: (sum) => sum > 0 })
  .to(kinesis('sums', { key: ({ key }) => key }));

const batches = pipeline('batches')
  .from(kinesis<Value>('input'))
  .eventTime(({ at = 0 }) => at)
  .watermark({ lateness: { seconds: 2 } })
  .batchInterval({ seconds: 5 })
  .flatMap(expand)
  .keyBy(keyOf)
  .map(idOf)
  .updateStateByBatch<string[]>('batches', (values, state = []) =>
    values.length === 0 && state.length > 3 ? undefined : [...state.slice(-4), ...values, '.'],
  )
  .to(kinesis('batches'));

/** Amounts are the ids: many come again, within the watermark and beyond it. */
const deduplicated = timed('time-deduplicated', 5)
  .dedupeBy(({ value: { amount } }) => String(amount))
  .map(idOf)
  .updateStateByKey<string[]>('kept', ([id], kept = []) => [...kept.slice(-19), id as string], {
    emit: 'every',
  })
  .to(kinesis('kept'));

/** States that live for a time each, and are read more often than written. */
const living = timed('living', 2)
  .process<
    number,
    { readonly [part: string]: unknown },
    { last: ValueState<string>; list: ListState<string>; map: MapState<string> }
  >('living', {
    states: {
      last: valueState({ ttl: { seconds: 3 } }),
      list: listState({ ttl: { seconds: 8 } }),
      map: mapState({ ttl: { seconds: 5 }, refreshedBy: 'readAndWrite' }),
    },
    onRecord: (element, { get, update, timers, eventMs, emit, states: { last, list, map } }) => {
      const id = idOf(element);
      const { amount } = element.value;
      if (amount % 3 === 0) update((get() ?? 0) + 1);
      if (amount % 3 === 1) last.update(id);
      if (amount % 2 === 0) list.append(id);
      if (amount % 4 === 3) map.set(`m${amount % 3}`, id);
      if (amount === 5) timers.set('look', eventMs + 4_000);
      emit({ id, last: last.get() ?? null, list: list.get(), one: map.get('m0') ?? null });
    },
    onTimer: (timer, { emit, eventMs, states: { last, list, map } }) => {
      list.append(timer);
      emit({ timer, eventMs, last: last.get() ?? null, list: list.get(), map: map.entries() });
    },
  })
  .to(kinesis('living'));

/** What is simulated with event time. */
export const TIMED: readonly Workload[] = [
  {
    pipeline: tumblingIds,
    leastRoomBytes: 4_000,
    windows: rule({ sizeMs: 10_000, late: 'drop' }),
    next: { sink: SINK, pipelines: [chainedOn(tumblingIds, SINK, 'all-windows', () => 'all')] },
  },
  {
    pipeline: slidingIds,
    leastRoomBytes: 4_000,
    windows: rule({ sizeMs: 10_000, slideMs: 4_000, allowedLatenessMs: 6_000, late: 'deadLetter' }),
    next: {
      sink: SINK,
      pipelines: [chainedOn(slidingIds, SINK, 'sliding-keys', (result) => (result as Ids).key)],
    },
  },
  {
    pipeline: sparseIds,
    leastRoomBytes: 4_000,
    windows: rule({ sizeMs: 5_000, slideMs: 8_000, late: 'accept' }),
  },
  {
    pipeline: sessionIds,
    leastRoomBytes: 4_000,
    windows: rule({ gapMs: 5_000, late: 'deadLetter' }),
    next: { sink: SINK, pipelines: [chainedOn(sessionIds, SINK, 'all-sessions', () => 'all')] },
  },
  {
    pipeline: updatedIds,
    leastRoomBytes: 4_000,
    windows: rule({
      sizeMs: 8_000,
      slideMs: 4_000,
      allowedLatenessMs: 3_000,
      emitsUpdates: true,
      late: 'drop',
    }),
  },
  { pipeline: twice, leastRoomBytes: 4_000, windows: rule({ sizeMs: 5_000, late: 'drop' }) },
  { pipeline: silent, leastRoomBytes: 4_000 },
  {
    pipeline: timers,
    leastRoomBytes: 4_000,
    next: { sink: 'watched', pipelines: [chainedOn(timers, 'watched', 'all-watched', () => 'all')] },
  },
  { pipeline: arrived, leastRoomBytes: 4_000, windows: rule({ sizeMs: 4_000, late: 'drop' }) },
  { pipeline: intervals, leastRoomBytes: 4_000, windows: rule({ sizeMs: 10_000, late: 'drop' }) },
  {
    pipeline: paired,
    leastRoomBytes: 4_000,
    next: { sink: 'pairs', pipelines: [chainedOn(paired, 'pairs', 'all-pairs', () => 'all')] },
  },
  { pipeline: timedOut, leastRoomBytes: 4_000 },
  { pipeline: inverted, leastRoomBytes: 4_000 },
  { pipeline: batches, leastRoomBytes: 4_000 },
  {
    pipeline: earlyIds,
    leastRoomBytes: 4_000,
    windows: rule({
      sizeMs: 10_000,
      slideMs: 5_000,
      earlyMs: 3_000,
      allowedLatenessMs: 4_000,
      late: 'drop',
    }),
  },
  { pipeline: deduplicated, leastRoomBytes: 4_000 },
];

interface Heard {
  readonly ids: readonly string[];
}

/** Timers by the clock beside some of event time: each kind sets the other, moves and clears its own. */
const clocked = timed('clocked', 2)
  .process<Heard, { readonly [part: string]: unknown }>('hear', {
    onRecord: (element, context) => {
      const { id, amount } = element.value;
      const { eventMs, processingMs, timers } = context;
      const ids = [...(context.get()?.ids ?? []), idOf(element)].slice(-8);
      context.update({ ids });
      timers.processing.set(`own-${id}`, processingMs + amount * 700);
      timers.processing.set('silence', processingMs + 9_000);
      if (amount % 4 === 1) timers.processing.set('moved', processingMs + 3_000);
      if (amount % 5 === 2) timers.processing.clear('moved');
      if (amount === 9) timers.processing.set('past', 0);
      if (amount % 3 === 0) timers.set('event', eventMs + 5_000);
      context.emit({ id, waits: timers.processing.get('moved') !== undefined });
    },
    onTimer: (timer, { emit, eventMs, get, timers }) => {
      emit({ timer, eventMs, ids: get()?.ids ?? [] });
      // Long over by the clock: it comes as soon as it can.
      if (timer === 'event') timers.processing.set('after', eventMs);
    },
    onProcessingTimer: (timer, context) => {
      const { emit, eventMs, processingMs, get, timers } = context;
      const ids = get()?.ids ?? [];
      emit({ timer, processingMs, eventMs, ids });
      if (timer === 'silence') context.remove();
      else if (timer === 'moved') timers.processing.set('again', processingMs + 1_500);
      else if (timer === 'past') context.update({ ids: ids.slice(1) });
      else if (timer === 'again') timers.set('back', eventMs + 2_000);
    },
  })
  .to(kinesis('heard'))
  .updateStateByKey<number>('told', (_, told = 0) => told + 1, { emit: 'every' })
  .to(kinesis('told'));

/** What takes the place of one of them in some worlds, which else are as they were drawn. */
export const TIMED_TOO: readonly Workload[] = [{ pipeline: living, leastRoomBytes: 6_000 }];

/** The like, of what goes by the clock. */
export const CLOCKED: readonly Workload[] = [
  {
    pipeline: clocked,
    leastRoomBytes: 6_000,
    next: { sink: 'heard', pipelines: [chainedOn(clocked, 'heard', 'all-heard', () => 'all')] },
  },
];

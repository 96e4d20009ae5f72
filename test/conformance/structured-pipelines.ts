import {
  all,
  collect,
  count,
  countByValue,
  distinct,
  kinesis,
  last,
  max,
  mean,
  pipeline,
  session,
  sum,
  tumbling,
  variance,
} from '../../shared/index.ts';
import type { Aggregation, Pipeline, Stream } from '../../shared/index.ts';
import { BATCH_SECONDS, batchOf } from './case-world.ts';
import type { Stage, StructuredCase } from './conformance-case.ts';
import { ofOneValue } from './functions.ts';

/** What is sent: a value, and of which input. */
export interface Input {
  readonly x: unknown;
  readonly of: string;
}

/** What a case's pipeline hangs on that changes while it runs: the code that is deployed, and whether it fails. */
export interface Deployment {
  /** Whether the code is that of behind the restart. */
  isChanged: boolean;
  /** Called by the function of a pipeline that fails once: whether now. */
  fails: (x: unknown) => boolean;
}

/** A row, of the batch that it says where it is of one. */
export interface TableRow {
  readonly row: unknown;
  readonly batch?: number | undefined;
}

const ROWS = kinesis<TableRow>('rows');
const ONE_KEY = 'all';

/** Without a watermark that could be said in whole seconds of the case, nothing is ever over. */
const NEVER = { days: 3_650 };

type Inputs = Stream<Input>;
const source = (options: Parameters<typeof pipeline>[1] = {}): Inputs =>
  pipeline('conformance', options).from(kinesis<Input>('inputs'));
const seconds = (x: unknown): number => (x as number) * 1_000;
const stageOf = (plan: readonly Stage[], op: string): Stage | undefined =>
  plan.find((stage) => stage.op === op);

/** A case's pipeline, written as a user of Spark would write it here. */
export function structuredPipeline(given: StructuredCase, deployment: Deployment): Pipeline {
  const { plan } = given.op;
  if (given.case.startsWith('prune results')) return pruned();
  if (stageOf(plan, 'order_by')) return sorted();
  if (stageOf(plan, 'union')) return united();
  if (stageOf(plan, 'join_static')) return withStatic(plan);
  if (stageOf(plan, 'group_by_window')) return windowed(plan);
  if (stageOf(plan, 'group_by_session')) return sessions(given);
  return grouped(plan, deployment);
}

/** A running aggregation: each output is the newest row of its key, as in update mode; complete mode is all of them. */
function grouped(plan: readonly Stage[], deployment: Deployment): Pipeline {
  const { keys = [], agg = [] } = (stageOf(plan, 'group_by') ?? {}) as {
    readonly keys?: readonly unknown[];
    readonly agg?: readonly (readonly [string, unknown])[];
  };
  const explode = stageOf(plan, 'explode');
  const flatMap = stageOf(plan, 'flat_map');
  const failing = stageOf(plan, 'map');
  const keysOf = ({ x }: Input): unknown[] =>
    keys.map((key) => (key === 0 ? (x as readonly unknown[])[0] : ofOneValue(key)(x)));
  const elements = source({ onRecordError: 'stop' })
    .map((input) => {
      if (failing !== undefined && deployment.fails(input.x)) throw new Error('user error');
      return input;
    })
    .flatMap((input) =>
      flatMap ? (ofOneValue(flatMap.fn)(input.x) as unknown[]).map((x) => ({ ...input, x })) : [input],
    )
    .flatMap((input) => {
      if (explode === undefined) return [input];
      const [key, list] = input.x as readonly [unknown, readonly unknown[]];
      return list.map((each) => ({ ...input, x: [key, each] }));
    });
  const parts = agg.map(([name], place) => [`a${place}`, aggregationOf(name, deployment)] as const);
  const rows = elements
    .keyBy((input) => JSON.stringify(keysOf(input)))
    .aggregate(
      'rows',
      all<Input, Record<string, Aggregation<Input, unknown, unknown>>>({
        keys: last() as Aggregation<Input, unknown, unknown>,
        ...Object.fromEntries(parts),
      }),
      { emit: 'last' },
    );
  return rows
    .map((result): TableRow => {
      const row = [...keysOf(result['keys'] as Input), ...parts.map(([part]) => result[part])];
      return { row: row.length === 1 ? row[0] : row };
    })
    .to(ROWS);
}

const numberOf = ({ x }: Input): number => x as number;

function aggregationOf(name: string, deployment: Deployment): Aggregation<Input, unknown, unknown> {
  const aggregations: Readonly<Record<string, unknown>> = {
    count: count(),
    count_distinct: distinct<Input>(({ x }) => (x as readonly [unknown, number])[1]),
    sum: sum<Input>(numberOf),
    avg: mean<Input>(numberOf),
    max: changing(max<Input, number>(numberOf), collect<Input>({ limit: 100 }), deployment),
    last: mapped(last<Input>(), (input) => input?.x),
  };
  const found = aggregations[name];
  if (found === undefined) throw new Error(`No aggregation is called '${name}'.`);
  return found as Aggregation<Input, unknown, unknown>;
}

function mapped<T, A, R, S>(
  aggregation: Aggregation<T, A, R>,
  apply: (result: R) => S,
): Aggregation<T, A, S> {
  return { ...aggregation, result: (accumulator) => apply(aggregation.result(accumulator)) };
}

/** One aggregation until the code is changed, and then another. */
function changing<A, B>(
  before: Aggregation<Input, A, unknown>,
  behind: Aggregation<Input, B, unknown>,
  deployment: Deployment,
): Aggregation<Input, unknown, unknown> {
  const own = () => (deployment.isChanged ? behind : before) as Aggregation<Input, unknown, unknown>;
  return {
    initial: () => own().initial(),
    add: (accumulator, value) => own().add(accumulator, value),
    merge: (earlier, later) => own().merge(earlier, later),
    result: (accumulator) => own().result(accumulator),
    accepts: (state) => own().accepts?.(state) ?? true,
  };
}

/** The whole table in one key, so that each output is all of it, sorted. */
function sorted(): Pipeline {
  return source()
    .keyBy(() => ONE_KEY)
    .aggregate('counts', countByValue(numberOf))
    .map((counts): TableRow => ({ row: counts.map(({ value, count: counted }) => [value, counted]) }))
    .to(ROWS);
}

/** Two branches, of which one is stateless, in one stream. */
function united(): Pipeline {
  return source()
    .keyBy(({ of, x }) => `${of} ${String(x)}`)
    .mapWithState<number, TableRow>('counts', ({ of, x }, state) => {
      if (of === 'in1') return { row: [x, (x as number) + 1] };
      const counted = (state.get() ?? 0) + 1;
      state.update(counted);
      return { row: [x, counted] };
    })
    .to(ROWS);
}

function withStatic(plan: readonly Stage[]): Pipeline {
  const table = (stageOf(plan, 'join_static')?.['static'] ?? []) as readonly (readonly [number, number])[];
  return source()
    .flatMap(({ x }) => table.filter(([key]) => key === x).map((found): TableRow => ({ row: [x, ...found] })))
    .keyBy(({ row }) => JSON.stringify(row))
    .to(ROWS);
}

const PRUNED_SECONDS = 10;

/** Complete mode with the batch's time: every key that has a state is called in every batch. */
function pruned(): Pipeline {
  interface Counted {
    readonly counted: number;
    readonly x: number;
    readonly end: number;
  }
  return source()
    .arrivalTime()
    .batchInterval({ seconds: BATCH_SECONDS })
    .keyBy(({ x }) => String(x))
    .updateStateByBatch<Counted>('counts', (inputs, before, key, end) => ({
      x: Number(key),
      counted: (before?.counted ?? 0) + inputs.length,
      end,
    }))
    .filter(({ x, end }) => x >= batchOf(end) * PRUNED_SECONDS - 10)
    .map(({ x, counted, end }): TableRow => ({ row: [x, counted], batch: batchOf(end) }))
    .to(ROWS);
}

function timed(plan: readonly Stage[]) {
  const from = stageOf(plan, 'event_time')?.['from'];
  const delay = stageOf(plan, 'watermark')?.['delay_s'] as number;
  const at = ({ x }: Input): number =>
    seconds(from === 'value' ? x : (x as readonly unknown[])[from as number]);
  return (lateness: typeof NEVER | undefined) =>
    source()
      .eventTime(at)
      .watermark({ lateness: lateness ?? { seconds: delay } })
      .batchInterval({ seconds: BATCH_SECONDS });
}

/** Append mode: a window's row comes once, when it is over. */
function windowed(plan: readonly Stage[]): Pipeline {
  const size = stageOf(plan, 'group_by_window')?.['size_s'] as number;
  return timed(plan)(undefined)
    .keyBy(() => ONE_KEY)
    .window(tumbling({ seconds: size }))
    .count('windows')
    .map(({ window, value }): TableRow => ({ row: [window.start / 1_000, value] }))
    .to(ROWS);
}

interface Gaps {
  readonly [word: string]: number;
}

/**
 * Append mode: a session's row comes once, when it is over; late values become dead letters, to be counted. In complete
 * mode nothing is ever over, and what sessions there are is read from the table.
 */
function sessions({ op: { plan, output_mode: mode } }: StructuredCase): Pipeline {
  const stage = stageOf(plan, 'group_by_session') as Stage;
  const gap = stage['gap_s'] as number | Gaps;
  const gapOf = (word: string): number =>
    (typeof gap === 'number' ? gap : (gap[word] ?? gap['otherwise'] ?? 0)) * 1_000;
  const words = ({ x }: Input): string[] => {
    const text = (x as readonly string[])[0] as string;
    return stageOf(plan, 'explode') === undefined ? [text] : text.split(' ');
  };
  const keyed = timed(plan)(mode === 'complete' ? NEVER : undefined)
    .flatMap((input) =>
      words(input).map((word) => ({ word, at: (input.x as readonly number[])[1] as number })),
    )
    .keyBy(({ word }) => word)
    .window(
      session<{ readonly word: string }>(({ word }) => gapOf(word)),
      { late: 'deadLetter', emit: mode === 'update' ? 'onUpdate' : 'onClose' },
    );
  const parts = (stage['agg'] as readonly (readonly [string, unknown])[]).map(([name]) => name);
  const at = (value: { readonly at: number }): number => value.at;
  const numbers = (start: number, end: number): number[] => [start / 1_000, end / 1_000];
  if (parts.length === 1) {
    return keyed
      .count('sessions')
      .map(({ key, window: { start, end }, value }): TableRow => {
        return { row: [key, ...numbers(start, end), (end - start) / 1_000, value] };
      })
      .to(ROWS);
  }
  return keyed
    .aggregate(
      'sessions',
      all({
        mean: mean(at),
        all: collect<{ readonly at: number }>({ limit: 100 }),
        variance: variance(at, { of: 'sample' }),
        sum: sum(at),
      }),
    )
    .map(({ key, window: { start, end }, value }): TableRow => {
      const deviation = Math.sqrt(value.variance ?? 0);
      const whole = [value.mean ?? 0, medianOf(value.all.map(at)), deviation, value.variance ?? 0, value.sum];
      return { row: [key, ...numbers(start, end), ...whole.map(Math.trunc)] };
    })
    .to(ROWS);
}

function medianOf(values: readonly number[]): number {
  const ordered = values.toSorted((a, b) => a - b);
  const [low, high] = [ordered[(ordered.length - 1) >> 1] ?? 0, ordered[ordered.length >> 1] ?? 0];
  return (low + high) / 2;
}

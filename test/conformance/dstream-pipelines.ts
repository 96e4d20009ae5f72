import { all, collect, kinesis, pipeline, sliding, where } from '../../shared/index.ts';
import type { KeyedStream, Pipeline, Stream, WindowResult } from '../../shared/index.ts';
import { BATCH_SECONDS, batchOf } from './case-world.ts';
import type { DStreamCase, Stage } from './conformance-case.ts';
import { mapping, ofOneValue, reduction, stateUpdate, type NumberState } from './functions.ts';

/** What is sent: an element, and of which of two streams it is. */
export interface Sent {
  readonly x: unknown;
  readonly side: 'left' | 'right';
  /** The initial state of a key, `[key, state]`: sent before the first batch. */
  readonly isInitial?: true;
}

/** What comes out: an element, and which batch it is of, where the output itself tells. */
export interface Row {
  readonly row: unknown;
  readonly batch: number | undefined;
}

type Pair = readonly [unknown, unknown];
type Windowed = WindowResult<readonly unknown[]>;

/** Under which everything is that Spark reduces to one value. */
const ONE_KEY = 'all';
const ROWS = kinesis<Row>('rows');
const STATELESS = ['map', 'flat_map', 'filter', 'transform'];
/** What only says how Spark keeps its data sets, or is read from the table. */
const STORAGE = ['checkpoint', 'state_snapshots'];
const COLLECTED = { limit: 1_000 };

/** A case's pipeline, written as a user of Spark would write it here. */
export function dstreamPipeline({ op }: DStreamCase): Pipeline {
  const stages = op.pipeline.filter((stage) => !STORAGE.includes(stage.op));
  const mainAt = stages.findIndex((stage) => !STATELESS.includes(stage.op));
  const before = mainAt === -1 ? stages : stages.slice(0, mainAt);
  const main = stages[mainAt];
  const source = pipeline('conformance').from(kinesis<Sent>('elements'));
  if (main === undefined) return stateless(source.transform(onSide('left', before)));
  if (main.op === 'repartition') {
    return source
      .repartition('again', ({ x }) => String(x))
      .keyBy(({ x }) => String(x))
      .map(({ x }): Row => ({ row: x, batch: undefined }))
      .to(ROWS);
  }
  const other = (main['other_pipeline'] ?? []) as readonly Stage[];
  const elements = source
    .transform(onSide('left', before))
    .transform(onSide('right', other))
    .arrivalTime()
    .batchInterval({ seconds: BATCH_SECONDS });
  return rowsOf(elements, main, stages.slice(mainAt + 1)).to(ROWS);
}

function stateless(elements: Stream<Sent>): Pipeline {
  return elements
    .keyBy(() => ONE_KEY)
    .map(({ x }): Row => ({ row: x, batch: undefined }))
    .to(ROWS);
}

/** Stateless stages for the elements of one of two streams. */
function onSide(side: Sent['side'], stages: readonly Stage[]): (stream: Stream<Sent>) => Stream<Sent> {
  const isOurs = (sent: Sent): boolean => sent.side === side && sent.isInitial !== true;
  return (stream) =>
    stages.reduce((before, stage) => {
      if (stage.op === 'transform') {
        return before.transform(onSide(side, stage['pipeline'] as readonly Stage[]));
      }
      const apply = ofOneValue(stage.fn);
      switch (stage.op) {
        case 'map':
          return before.map((sent) => (isOurs(sent) ? { ...sent, x: apply(sent.x) } : sent));
        case 'flat_map':
          return before.flatMap((sent) =>
            isOurs(sent) ? (apply(sent.x) as unknown[]).map((x) => ({ ...sent, x })) : [sent],
          );
        case 'filter':
          return before.filter((sent) => !isOurs(sent) || apply(sent.x) === true);
        default:
          throw new Error(`No stateless stage is called '${stage.op}'.`);
      }
    }, stream);
}

type Elements = Stream<Sent, true>;
type Rows = KeyedStream<Row, true>;

function rowsOf(elements: Elements, main: Stage, behind: readonly Stage[]): Rows {
  switch (main.op) {
    case 'update_state_by_key':
      return updatedStates(elements, main, behind);
    case 'map_with_state':
      return mappedWithState(elements, main);
    default:
      return windowed(elements, main)
        .flatMap(({ window, value }) => value.map((row): Row => ({ row, batch: batchOf(window.end) })))
        .transform((rows) => behind.reduce<Rows>(onPairs, rows));
  }
}

/** `map_values` and `flat_map_values`. */
function onPairs(rows: Rows, stage: Stage): Rows {
  const apply = ofOneValue(stage.fn);
  const onValue = ({ row, ...rest }: Row, values: readonly unknown[]): Row[] =>
    values.map((value) => ({ ...rest, row: [(row as Pair)[0], value] }));
  return rows.flatMap((each) => {
    const applied = apply((each.row as Pair)[1]);
    return onValue(each, stage.op === 'flat_map_values' ? (applied as unknown[]) : [applied]);
  });
}

const pair = ({ x }: Sent): Pair => x as Pair;
const keyText = (key: unknown): string => (typeof key === 'string' ? key : JSON.stringify(key));
const listOf = (name: string, values: KeyedStream<unknown, true>) =>
  values.perBatch().collect(name, COLLECTED);

/** Windows of a batch or of several, with the rows that the main stage makes of each. */
function windowed(elements: Elements, main: Stage): KeyedStream<Windowed, true> {
  const { fn } = main;
  const together = elements.map(({ x }) => x).keyBy(() => ONE_KEY);
  const byKey = elements.map(pair).keyBy(([key]) => keyText(key));
  const values = byKey.map(([, value]) => value);
  const byValue = elements.map(({ x }) => x).keyBy(keyText);
  const ones = byValue.map((): number => 1);
  /** As the case has the key, which is a text here. */
  const keyOf = (key: string): unknown => (main.op === 'count_by_value' ? Number(key) : key);
  const asPair = ({ key, window, value }: WindowResult<unknown>): Windowed => ({
    key,
    window,
    value: [[keyOf(key), value]],
  });
  const alone = ({ key, window, value }: WindowResult<unknown>): Windowed => ({
    key,
    window,
    value: [value],
  });

  switch (main.op) {
    case 'group_by_key':
      return listOf('grouped', values).map(asPair);
    case 'reduce_by_key':
      return (values as KeyedStream<number, true>).perBatch().reduce('reduced', reduction(fn)).map(asPair);
    case 'reduce':
      return (together as KeyedStream<number, true>).perBatch().reduce('reduced', reduction(fn)).map(alone);
    case 'count':
      return together.perBatch().count('counted').map(alone);
    case 'count_by_value':
      return byValue.perBatch().count('counted').map(asPair);
    case 'union':
    case 'transform_many': {
      const branches = branchesOf(main);
      return listOf('collected', together).map(({ value, ...rest }): Windowed => ({
        ...rest,
        value: branches.flatMap((branch) => value.map(branch)),
      }));
    }
    case 'cogroup':
    case 'join':
    case 'transform_with':
      return main['dataset_fn'] === 'union' ? bothSides(elements) : joined(elements, main);
    case 'window':
      return together.window(slidingBatches(main)).collect('collected', COLLECTED);
    case 'group_by_key_and_window':
      return values.window(slidingBatches(main)).collect('grouped', COLLECTED).map(asPair);
    case 'reduce_by_key_and_window': {
      const { inv_fn: inverse, filter } = main;
      const isKept = filter === undefined ? undefined : (ofOneValue(filter) as (value: number) => boolean);
      return (values as KeyedStream<number, true>)
        .window(slidingBatches(main))
        .reduce('reduced', reduction(fn), {
          ...(inverse !== undefined && { inverse: reduction(inverse) }),
          ...(isKept !== undefined && { filter: isKept }),
        })
        .map(asPair);
    }
    case 'count_by_window':
      return together
        .map((): number => 1)
        .window(slidingBatches(main))
        .reduce('counted', reduction('a + b'), { inverse: reduction('a - b') })
        .map(alone);
    case 'count_by_value_and_window':
      return ones
        .window(slidingBatches(main))
        .reduce('counted', reduction('a + b'), {
          inverse: reduction('a - b'),
          filter: (count) => count !== 0,
        })
        .map(asPair);
    default:
      throw new Error(`No stage is called '${main.op}'.`);
  }
}

/** Spark's windows end with a batch at every slide from the start on; ours begin at slides, unless told otherwise. */
function slidingBatches({ window, slide }: Stage) {
  const [size, step] = [window as number, slide as number].map((batches) => batches * BATCH_SECONDS) as [
    number,
    number,
  ];
  const offset = (step - (size % step)) % step;
  return sliding({ seconds: size }, { seconds: step }, offset === 0 ? {} : { offset: { seconds: offset } });
}

/** Branches of one stream that come together again, the stream itself first. */
function branchesOf(main: Stage): ((x: unknown) => unknown)[] {
  const pipelines =
    main.op === 'union'
      ? [
          [],
          ...(main['with'] as readonly { readonly pipeline: readonly Stage[] }[]).map(
            (each) => each.pipeline,
          ),
        ]
      : (main['branches'] as readonly (readonly Stage[])[]);
  return pipelines.map((stages) => (x) => stages.reduce((value, { fn }) => ofOneValue(fn)(value), x));
}

/** The elements of two streams, one behind the other. */
function bothSides(elements: Elements): KeyedStream<Windowed, true> {
  return elements
    .keyBy(() => ONE_KEY)
    .perBatch()
    .aggregate('both', sides())
    .map(({ value: { left, right }, ...rest }): Windowed => ({
      ...rest,
      value: [...left, ...right].map(({ x }) => x),
    }));
}

const sides = () =>
  all({
    left: where(({ side }: Sent) => side === 'left', collect<Sent>(COLLECTED)),
    right: where(({ side }: Sent) => side === 'right', collect<Sent>(COLLECTED)),
  });

/** Joins within a batch: both sides are collected per key, and what is wanted is made of the two lists. */
function joined(elements: Elements, main: Stage): KeyedStream<Windowed, true> {
  const how = main.op === 'transform_with' ? 'inner' : String(main['how']);
  const rows = (key: string, left: readonly unknown[], right: readonly unknown[]): unknown[] => {
    if (main.op === 'cogroup') return [[key, [left, right]]];
    const orNull = (values: readonly unknown[], isKept: boolean) =>
      values.length === 0 && isKept ? [null] : values;
    const rights = orNull(right, how === 'left_outer' || how === 'full_outer');
    const lefts = orNull(left, how === 'right_outer' || how === 'full_outer');
    return lefts.flatMap((one) => rights.map((other) => [key, [one, other]]));
  };
  return elements
    .keyBy((sent) => keyText(pair(sent)[0]))
    .perBatch()
    .aggregate('both', sides())
    .map(({ key, window, value }): Windowed => {
      const valuesOf = (sents: readonly Sent[]) => sents.map((sent) => pair(sent)[1]);
      return { key, window, value: rows(key, valuesOf(value.left), valuesOf(value.right)) };
    });
}

interface Updated {
  readonly key: string;
  readonly end: number;
  readonly state: unknown;
}

function updatedStates(elements: Elements, main: Stage, behind: readonly Stage[]): Rows {
  const update = stateUpdate(main.fn);
  return elements
    .keyBy((sent) => keyText(pair(sent)[0]))
    .updateStateByBatch<Updated>('states', (sents, before, key, end) => {
      const initial = sents.find(({ isInitial }) => isInitial === true);
      const values = sents.map((sent) => pair(sent)[1] as number);
      const state =
        initial === undefined
          ? update(values, before?.state, batchOf(end) * CASE_BATCH_MS)
          : pair(initial)[1];
      return state === undefined ? undefined : { key, end, state };
    })
    .map(({ key, end, state }): Row => ({ row: [key, state], batch: batchOf(end) }))
    .transform((rows) => behind.reduce<Rows>(onPairs, rows));
}

/** The length of a batch by the clock of the cases. */
const CASE_BATCH_MS = 1_000;

function mappedWithState(elements: Elements, main: Stage): Rows {
  const map = mapping(main.fn);
  const timeout = main['timeout'] as number | undefined;
  return elements
    .keyBy((sent) => keyText(pair(sent)[0]))
    .mapWithState<number, Row>(
      'states',
      (sent, state: NumberState, key) => {
        if (sent.isInitial === true) {
          state.update(pair(sent)[1] as number);
          return undefined;
        }
        const row = map(pair(sent)[1] as number, state, key);
        return row === undefined ? undefined : { row, batch: undefined };
      },
      timeout === undefined
        ? {}
        : {
            timeout: { seconds: timeout * BATCH_SECONDS },
            onTimeout: (_, key) => ({ row: key, batch: undefined }),
          },
    );
}

/** The initial states that a case has, as what is sent before its first batch. */
export function initialOf({ op }: DStreamCase): readonly Sent[] {
  const initial = op.pipeline.flatMap((stage) => (stage['initial'] as readonly unknown[] | undefined) ?? []);
  return initial.map((x) => ({ x, side: 'left', isInitial: true }));
}

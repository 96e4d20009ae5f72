import { isStructured, type ConformanceCase, type Stage } from './conformance-case.ts';

/** A row of the table: an operator of Spark's, and what it is here. */
export interface Operator {
  readonly spark: string;
  readonly tidemark: string;
  readonly has: (given: ConformanceCase) => boolean;
}

const STATELESS = ['map', 'flat_map', 'filter'];

/** The stage that a DStream case is about. */
function mainStage(given: ConformanceCase): Stage | undefined {
  if (isStructured(given)) return undefined;
  const { pipeline } = given.op;
  const values = pipeline.find(({ op }) => op.endsWith('map_values'));
  return values ?? pipeline.find(({ op }) => !STATELESS.includes(op)) ?? pipeline[0];
}

const dstream =
  (...ops: readonly string[]) =>
  (given: ConformanceCase): boolean =>
    !isStructured(given) && !isAboutKeeping(given) && ops.includes(mainStage(given)?.op ?? 'map_with_state');

/** Whether a case is about how long data sets are kept, and where. */
function isAboutKeeping({ case: name }: ConformanceCase): boolean {
  return (
    name.startsWith('rdd cleanup') ||
    name.endsWith('persistence level') ||
    name.endsWith('checkpoint durations')
  );
}

const reducing = (options: readonly string[]) => (given: ConformanceCase) => {
  const stage = mainStage(given);
  return (
    stage?.op === 'reduce_by_key_and_window' &&
    ['inv_fn', 'filter'].every((option) => options.includes(option) === option in stage)
  );
};

const structured =
  (mode: string | undefined, group: string) =>
  (given: ConformanceCase): boolean =>
    isStructured(given) &&
    (mode === undefined || given.op.output_mode === mode) &&
    given.op.plan.some(({ op }) => op === group);

const isGrouped = structured('append', 'group_by');

export const OPERATORS: readonly Operator[] = [
  { spark: '`map`, `flatMap`, `filter`', tidemark: 'the same', has: dstream(...STATELESS) },
  {
    spark: '`transform`, `StreamingContext.transform`',
    tidemark: '`transform(piece)`; of several branches one `flatMap`',
    has: dstream('transform', 'transform_many'),
  },
  {
    spark: '`union`, `StreamingContext.union`',
    tidemark: 'one stream; of branches of one stream a `flatMap`',
    has: dstream('union'),
  },
  {
    spark: '`repartition(n)`',
    tidemark: '`repartition(name, key)`, with n shards of the internal stream',
    has: dstream('repartition'),
  },
  { spark: '`glom`, `mapPartitions`', tidemark: '', has: dstream('glom', 'map_partitions') },
  {
    spark: '`groupByKey`',
    tidemark: '`keyBy(key).perBatch().collect(name, { limit })`',
    has: dstream('group_by_key'),
  },
  {
    spark: '`reduceByKey`',
    tidemark: '`keyBy(key).perBatch().reduce(name, fn)`',
    has: dstream('reduce_by_key'),
  },
  {
    spark: '`mapValues`, `flatMapValues`',
    tidemark: '`map`, `flatMap` behind `keyBy`',
    has: dstream('map_values', 'flat_map_values'),
  },
  {
    spark: '`reduce`, `count`',
    tidemark: '`keyBy(() => "all").perBatch()`, then `.reduce(name, fn)`, `.count(name)`',
    has: dstream('reduce', 'count'),
  },
  {
    spark: '`countByValue`',
    tidemark: '`keyBy(value).perBatch().count(name)`',
    has: dstream('count_by_value'),
  },
  {
    spark: '`join`, `leftOuterJoin`, `rightOuterJoin`, `fullOuterJoin`, `cogroup`, `transformWith`',
    tidemark:
      '`perBatch().aggregate(name, all({ left: where(…, collect(…)), right: where(…, collect(…)) }))`, then `flatMap`',
    has: dstream('join', 'cogroup', 'transform_with'),
  },
  {
    spark: '`updateStateByKey`',
    tidemark: '`updateStateByBatch(name, fn)`; value by value, without batches, `updateStateByKey(name, fn)`',
    has: dstream('update_state_by_key'),
  },
  {
    spark: '`mapWithState`, `StateSpec.timeout`, `.initialState`, `stateSnapshots`',
    tidemark: '`mapWithState(name, fn, { timeout, onTimeout })`; snapshots are the table',
    has: dstream('map_with_state'),
  },
  {
    spark: '`window(length, slide)`',
    tidemark: '`window(sliding(size, slide)).collect(name, { limit })`',
    has: dstream('window'),
  },
  {
    spark: '`reduceByKeyAndWindow(fn)`',
    tidemark: '`window(sliding(size, slide)).reduce(name, fn)`',
    has: reducing([]),
  },
  {
    spark: '`reduceByKeyAndWindow(fn, inverse)`',
    tidemark: '`window(sliding(size, slide)).reduce(name, fn, { inverse })`',
    has: reducing(['inv_fn']),
  },
  {
    spark: '`reduceByKeyAndWindow(fn, inverse, filter)`',
    tidemark: '`window(sliding(size, slide)).reduce(name, fn, { inverse, filter })`',
    has: reducing(['inv_fn', 'filter']),
  },
  {
    spark: '`groupByKeyAndWindow`',
    tidemark: '`keyBy(key).window(sliding(size, slide)).collect(name, { limit })`',
    has: dstream('group_by_key_and_window'),
  },
  {
    spark: '`countByWindow`, `countByValueAndWindow`',
    tidemark:
      '`keyBy(() => "all")`, `keyBy(value)`, then `window(…).reduce(name, plus, { inverse: minus, filter })`',
    has: dstream('count_by_window', 'count_by_value_and_window'),
  },
  { spark: '`slice`', tidemark: '', has: dstream('slice') },
  { spark: '`persist`, `remember`, `checkpoint(interval)` of a DStream', tidemark: '', has: isAboutKeeping },
  {
    spark: '`groupBy(…).agg(…)`, update mode',
    tidemark: '`keyBy(…).aggregate(name, all({ … }))`: changes',
    has: structured('update', 'group_by'),
  },
  {
    spark: '`groupBy(…).agg(…)`, complete mode',
    tidemark: 'the same, to a table; `updateStateByBatch` where each batch is to give all',
    has: structured('complete', 'group_by'),
  },
  {
    spark: '`groupBy(…).agg(…)`, append mode without a watermark',
    tidemark: 'refused there and here: nothing is ever final',
    has: isGrouped,
  },
  {
    spark: '`union` of streaming queries',
    tidemark: 'one stream, one `mapWithState`',
    has: structured(undefined, 'union'),
  },
  {
    spark: '`groupBy(window(…))` with `withWatermark`, append mode',
    tidemark: '`eventTime(…).watermark({ lateness }).keyBy(…).window(tumbling(size))`',
    has: structured(undefined, 'group_by_window'),
  },
  {
    spark: '`session_window`, one gap or one of each row',
    tidemark: '`window(session(gap))`',
    has: structured(undefined, 'group_by_session'),
  },
  {
    spark: 'join with a static table',
    tidemark: '`flatMap` over a constant',
    has: structured(undefined, 'join_static'),
  },
];

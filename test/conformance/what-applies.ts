const PARTITIONS =
  'a partition of an RDD is a piece of one batch on one machine. Here a batch is what arrived in an interval, and where ' +
  'its records lie says nothing: functions see values, keys and windows';
const DATA_SETS =
  'RDDs of past batches are Spark’s to keep and to drop. Here nothing of a batch outlives it but the state, and panes ' +
  'that a window still needs; the stream itself keeps the records, and a rewind reads them again';
const NO_DATA_SET =
  'a source that gives no data set at all is an empty batch here, and no error: what comes from Kinesis is a list of ' +
  'records, which may be empty. The batches before it give what Spark gives';
const GLOBAL_SESSIONS =
  'Spark refuses sessions without a key. Here one key for all, `keyBy(() => "all")`, has sessions as any other';

/** Cases that cannot say anything about Tidemark, with the reason. */
export const DOES_NOT_APPLY: Readonly<Record<string, string>> = {
  'BasicOperationsSuite: glom': PARTITIONS,
  'BasicOperationsSuite: mapPartitions': PARTITIONS,
  'BasicOperationsSuite: slice':
    'outputs are published, not kept to be asked for by time: a table sink keeps them, under keys that hold their window',
  'BasicOperationsSuite: slice - has not been initialized':
    'there is nothing to start, and so nothing to be asked too early',
  'BasicOperationsSuite: rdd cleanup - map and window': DATA_SETS,
  'BasicOperationsSuite: rdd cleanup - updateStateByKey': DATA_SETS,
  'MapWithStateSuite: mapWithState - checkpoint durations':
    'state is in the table after every batch, whether a checkpoint is taken or not: how often one is taken is an option ' +
    'of the stack, and no operator’s',
  'WindowOperationsSuite: window - persistence level':
    'there is no choice of memory or disk: panes are in the key’s item',
  'StreamingSessionWindowSuite: complete mode - session window - no key': GLOBAL_SESSIONS,
  'StreamingSessionWindowSuite: append mode - session window - no key': GLOBAL_SESSIONS,
};

/** Cases that run and give what Spark gives, except for what is said here. */
export const EXCEPT_FOR: Readonly<Record<string, string>> = {
  'BasicOperationsSuite: count':
    'an empty batch gives no row where Spark gives 0: no record, no key, nothing to publish',
  'BasicOperationsSuite: union with input stream return None': NO_DATA_SET,
  'BasicOperationsSuite: transform with input stream return None': NO_DATA_SET,
  'BasicOperationsSuite: transformWith with input stream return None': NO_DATA_SET,
  'BasicOperationsSuite: StreamingContext.transform with input stream return None': NO_DATA_SET,
  'MapWithStateSuite: state - get, exists, update, remove':
    '`get()` of no state gives `undefined` where Spark throws; a removed state may be set again; a state that times out is ' +
    'given to `onTimeout` as a value, which has nothing to update; nothing asks whether a state was updated or removed',
};

/** What is done to run a case that a user should know; the results are Spark's. */
export const HOW: Readonly<Record<string, string>> = {
  initial:
    'Initial states are records: sent before the first batch, they set the state of their key. (`initial` gives a key its ' +
    'state when its first record comes; a key of which none comes is not in the table.)',
  snapshots:
    '`stateSnapshots` is the table itself: what its items hold when a batch is over, as every checkpoint has it.',
  complete:
    'Update mode is the changes that an aggregation publishes, of which the newest of a key counts. Complete mode is the ' +
    'table that they make: a table sink with `upsertBy: "key"` holds it. The whole table at every batch, with the batch’s ' +
    'time, is what `updateStateByBatch` gives.',
  sessions:
    'Sessions in complete mode are read from the key’s items, where those that are not over stand: they are published once.',
  streams:
    'Two streams are one whose values say where they come from. Joins and cogroups within a batch collect both sides per ' +
    'key and batch, and a function makes the rows; joins in event time are operators of their own.',
  order:
    'The order of a list is checked with one shard. Between shards there is none, and so `last` is run with one partition ' +
    'key: of several shards no record is the last.',
  dedupe:
    '`dropDuplicatesWithinWatermark(id)` is `keyBy(…).dedupeBy(id)` in a pipeline with a watermark; a `keyBy` of the id ' +
    'itself makes it one for all keys. Spark drops a duplicate until it has removed the id, here its own event time ' +
    "decides: one that is further behind than the lateness passes. No case of Spark's suite is in the table for it.",
  lateness:
    'Spark judges lateness by one watermark for all partitions, here a record is judged by its own shard: with several, one ' +
    'that Spark drops may be in time. Behind a sweep, idle shards are as far as the furthest, and so the cases with a ' +
    'watermark, which look at their results behind each batch, are swept there.',
};

import { ItemCache } from '../../shared/engine/item-cache.ts';
import { processBatch } from '../../shared/engine/process-batch.ts';
import { sweepTimers } from '../../shared/engine/sweep-timers.ts';
import { kinesis, pipeline, session, sliding, tumbling, type Pipeline } from '../../shared/index.ts';
import { shardLane } from '../../shared/source/lane.ts';
import { rowBytes } from '../../shared/state/attribute-bytes.ts';
import { costsBetween } from '../../shared/state/cost-counter.ts';
import type { FoundBehind, SourceLanes } from '../../shared/time/source-lanes.ts';
import {
  recordBatch,
  shardId,
  sourceRecord,
  STREAM,
  testWorld,
  type TestWorld,
} from '../support/memory-ports.ts';

interface Reading {
  readonly key: string;
  readonly value: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** What 1,000 records of one operator cost, by DynamoDB's rules, and how large a key's item is at the end. */
export interface OperatorCosts {
  readonly operator: string;
  readonly wcuPer1000: number;
  readonly rcuPer1000: number;
  readonly requestsPer1000: number;
  readonly outputsPer1000: number;
  readonly itemBytes: number;
  /** Against the plain sum. */
  readonly timeRatio: number;
}

/** What a sweep takes where this many timers wait. */
export interface SweepCosts {
  readonly pending: number;
  readonly due: number;
  readonly readRequests: number;
  readonly rcu: number;
  readonly writeRequests: number;
  readonly wcu: number;
  readonly seconds: number;
}

const START_MS = Date.UTC(2026, 0, 1);
const SECOND_MS = 1_000;
const KEYS = 100;
const BATCHES = 20;
const BATCH = 1_000;

const source = () => pipeline('bench').from(kinesis<Reading>('input'));
const keyed = () => source().keyBy(({ key }) => key);
const timed = () =>
  source()
    .eventTime(({ at }) => at)
    .watermark({ lateness: { seconds: 5 } })
    .keyBy(({ key }) => key)
    .map(({ value }) => value);
const add = (a: number, b: number): number => a + b;
const minus = (a: number, b: number): number => a - b;
const MINUTE = { minutes: 1 };
const LONG = { minutes: 10 };
const SECONDS = { seconds: 5 };

/** A minute of windows is sixty seconds of records: each key has a record in every one. */
const OPERATORS: readonly (readonly [string, () => Pipeline])[] = [
  [
    'aggregateByKey',
    () =>
      keyed()
        .aggregateByKey(
          'sum',
          () => 0,
          (sum, { value }) => sum + value,
        )
        .to(kinesis('out')),
  ],
  ['tumbling 1 min, reduce', () => timed().window(tumbling(MINUTE)).reduce('sum', add).to(kinesis('out'))],
  ['tumbling 1 min, count', () => timed().window(tumbling(MINUTE)).count('n').to(kinesis('out'))],
  [
    'sliding 1 min by 5 s, reduce',
    () => timed().window(sliding(MINUTE, SECONDS)).reduce('sum', add).to(kinesis('out')),
  ],
  [
    'the same with an inverse',
    () => timed().window(sliding(MINUTE, SECONDS)).reduce('sum', add, { inverse: minus }).to(kinesis('out')),
  ],
  [
    'sliding 10 min by 5 s, reduce',
    () => timed().window(sliding(LONG, SECONDS)).reduce('sum', add).to(kinesis('out')),
  ],
  [
    'that with an inverse',
    () => timed().window(sliding(LONG, SECONDS)).reduce('sum', add, { inverse: minus }).to(kinesis('out')),
  ],
  [
    'process with one timer a key',
    () =>
      timed()
        .process<number, never>('wait', {
          onRecord: (value, { timers, eventMs, update }) => {
            update(value);
            timers.set('silence', eventMs + 60_000);
          },
          onTimer: (_, { remove }) => remove(),
        })
        .to(kinesis('out')),
  ],
  ['session, gap 5 s, reduce', () => timed().window(session(SECONDS)).reduce('sum', add).to(kinesis('out'))],
];

/** Counted: by operator, 20,000 records of 100 keys in batches of 1,000, each batch 10 s of event time. */
export async function operatorCosts(): Promise<OperatorCosts[]> {
  const all: (OperatorCosts & { readonly seconds: number })[] = [];
  for (const [operator, build] of OPERATORS) {
    const world = testWorld(build(), { lanes: lanesOf(1, () => 'records') });
    const before = world.runtime.store.costs();
    const startMs = performance.now();
    for (let batch = 0; batch < BATCHES; batch++) await deliver(world, batch);
    const seconds = (performance.now() - startMs) / 1_000;
    const costs = costsBetween(before, world.runtime.store.costs());
    const per1000 = 1_000 / (BATCHES * BATCH);
    const outputs = [...world.sinks.values()].reduce((sum, { delivered }) => sum + delivered.length, 0);
    const plain = all[0]?.seconds ?? seconds;
    all.push({
      operator,
      wcuPer1000: costs.wcu * per1000,
      rcuPer1000: costs.rcu * per1000,
      requestsPer1000: (costs.readRequests + costs.writeRequests) * per1000,
      outputsPer1000: outputs * per1000,
      itemBytes: largestItem(world),
      timeRatio: seconds / plain,
      seconds,
    });
  }
  return all.map(({ seconds: _, ...costs }) => costs);
}

function lanesOf(shards: number, behind: () => FoundBehind): SourceLanes {
  const lanes = Array.from({ length: shards }, (_, shard) => ({
    shard: shardLane(STREAM, shardId(shard)),
    parents: [],
  }));
  return { lanes: async () => lanes, behind: async () => behind() };
}

async function deliver(world: TestWorld, batch: number): Promise<void> {
  const records = Array.from({ length: BATCH }, (__, number) =>
    sourceRecord(0, batch * BATCH + number, {
      value: {
        key: `key-${number % KEYS}`,
        value: 1,
        at: START_MS + batch * 10 * SECOND_MS + Math.floor(number / KEYS) * SECOND_MS,
      },
    }),
  );
  await processBatch(world.runtime, recordBatch(0, records), world.nowMs + 900_000);
}

function largestItem({ store }: TestWorld): number {
  let bytes = 0;
  for (const pk of store.items().keys()) bytes = Math.max(bytes, rowBytes(store.rows.get(pk) ?? {}));
  return bytes;
}

/** How many records go into a batch of a table that is filled. */
const FILL = 10_000;

/**
 * One sweep over so many keys with a timer each, of which some are due. A second shard holds event time back while they are
 * set, so that no batch fires them, and is found idle then.
 * @param due less than `pending`: the last key's timer is not due.
 */
export async function sweepCosts(pending: number, due: number): Promise<SweepCosts> {
  let isIdle = false;
  const world = testWorld(
    source()
      .eventTime(({ at }) => at)
      .watermark({ lateness: { seconds: 1 } })
      .keyBy(({ key }) => key)
      .process<number, never>('wait', {
        onRecord: ({ value }, { timers, eventMs, update }) => {
          update(value);
          timers.set('over', eventMs + value);
        },
        onTimer: (_, { remove }) => remove(),
      })
      .to(kinesis('out')),
    {
      lanes: lanesOf(2, () => (isIdle ? 'nothing' : 'records')),
    },
  );
  for (let at = 0; at < pending; at += FILL) {
    const records = Array.from({ length: FILL }, (_, number) =>
      sourceRecord(0, at + number, {
        value: {
          key: `key-${at + number}`,
          // What is not due waits for a day.
          value: at + number < due ? SECOND_MS : 86_400 * SECOND_MS,
          at: START_MS + (at + FILL >= pending && number === FILL - 1 ? 60 * SECOND_MS : 0),
        },
      }),
    );
    await processBatch(world.runtime, recordBatch(0, records), world.nowMs + 900_000);
  }
  isIdle = true;
  const sweeper = { ...world.runtime, cache: new ItemCache() };
  const before = sweeper.store.costs();
  const startMs = performance.now();
  const report = await sweepTimers(sweeper, () => true);
  const seconds = (performance.now() - startMs) / 1_000;
  if (report.items !== due || report.left > 0)
    throw new Error(`Of ${due} keys with a timer that is due ${report.items} were found.`);
  const { readRequests, rcu, writeRequests, wcu } = costsBetween(before, sweeper.store.costs());
  return {
    pending,
    due,
    readRequests,
    rcu,
    writeRequests,
    wcu,
    seconds,
  };
}

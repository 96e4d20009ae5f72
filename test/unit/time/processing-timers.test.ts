import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import type { Runtime } from '../../../shared/engine/runtime.ts';
import { sweepTimers, type TimerSweep } from '../../../shared/engine/sweep-timers.ts';
import { beginRewind } from '../../../shared/checkpoint/rewind.ts';
import { kinesis, tumbling, type ProcessFunctions } from '../../../shared/index.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import { shardLane } from '../../../shared/source/lane.ts';
import { DynamoDbStateStore } from '../../../shared/state/dynamodb-state-store.ts';
import { ITEM } from '../../../shared/state/item-attributes.ts';
import { itemKey } from '../../../shared/state/row-key.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';
import type { StateStore } from '../../../shared/state/state-store.ts';
import { testPipeline } from '../../../shared/testing/index.ts';
import type { SourceLanes } from '../../../shared/time/source-lanes.ts';
import { startDynalite, type DynamoDbEngine } from '../../support/dynamodb-engine.ts';
import {
  type MemorySink,
  shardId,
  sourceRecord,
  START_MS,
  STREAM,
  testWorld,
  type TestWorld,
} from '../../support/memory-ports.ts';
import { checkpoint, drive, process, rewinderOf, rewindWorld } from '../checkpoint/rewinding.ts';
import { deliver } from '../engine/deliver.ts';
import { click, clicksByUser, type Click } from './clicks.ts';

const out = kinesis<unknown>('out');
const MINUTE_MS = 60_000;

const processing = (functions: ProcessFunctions<Click, number, string>) =>
  clicksByUser().process<number, string>('p', functions).to(out);

/** Tells, ten seconds after the last click by the clock, how many there were. */
const quiet = () =>
  processing({
    onRecord: (_, { get, update, processingMs, timers }) => {
      update((get() ?? 0) + 1);
      timers.processing.set('quiet', processingMs + 10_000);
    },
    onProcessingTimer: (timer, { get, remove, emit, eventMs, processingMs }) => {
      emit(`${timer} at ${processingMs - START_MS} after ${get()}, last ${eventMs}`);
      remove();
    },
  });

/** A click that arrives so long after the start, with an event time in seconds. */
const arrived = (number: number, afterMs: number, { at, ...value }: Click): SourceRecord =>
  sourceRecord(0, number, { value: { ...value, at }, arrivalMs: START_MS + afterMs });

/** A stream of one shard, of which something is left. */
const ONE_LANE: SourceLanes = {
  lanes: async () => [{ shard: shardLane(STREAM, shardId(0)), parents: [] }],
  behind: async () => 'records',
};

function sweep(world: TestWorld, runtime = world.runtime): Promise<TimerSweep> {
  return sweepTimers({ ...runtime, cache: new ItemCache() }, () => true);
}

const values = (world: TestWorld): unknown[] => world.sinks.get('out')?.values() ?? [];
const ids = (world: TestWorld): string[] => (world.sinks.get('out')?.delivered ?? []).map(({ id }) => id);

describe.each(['memory', 'dynalite'] as const)('a timer of processing time on %s', (engine) => {
  let dynalite: DynamoDbEngine | undefined;
  let tables = 0;
  beforeAll(async () => {
    if (engine === 'dynalite') dynalite = await startDynalite();
  });
  afterAll(() => dynalite?.stop());

  async function begun(
    pipeline: Parameters<typeof testWorld>[0] = quiet(),
    changes: Partial<Runtime> = {},
  ): Promise<TestWorld> {
    if (dynalite === undefined) return testWorld(pipeline, changes);
    const table = `timers-${++tables}`;
    await dynalite.createTable(table, true);
    const { client } = dynalite;
    const store = new DynamoDbStateStore({ client, table, writes: 'single', delay: async () => undefined });
    return testWorld(pipeline, { store, ...changes });
  }

  async function item(
    world: TestWorld,
    key: string,
    store: StateStore = world.runtime.store,
  ): Promise<StateItem> {
    const pk = itemKey(1, key);
    return (await store.load([pk])).get(pk) as StateItem;
  }

  it('fires once, by the clock of a sweep, however far event time is, which it does not move', async () => {
    const world = await begun();
    await deliver(world, [arrived(0, 0, click('a', 5)), arrived(1, 4_000, click('a', 6))]);
    expect(await item(world, 'a')).toMatchObject({ processingDueMs: START_MS + 14_000 });
    world.nowMs = START_MS + 13_999;
    expect(await sweep(world)).toMatchObject({ items: 0, fired: 0 });
    world.nowMs = START_MS + 14_000;
    expect(await sweep(world)).toMatchObject({ items: 1, fired: 1, published: 1, left: 0 });
    expect(await sweep(world)).toMatchObject({ items: 0, fired: 0, published: 0 });
    expect(values(world)).toEqual(['quiet at 14000 after 2, last 6000']);
    const { states, outbox, firedMs, dueMs, processingDueMs, processingFiredMs } = await item(world, 'a');
    expect({ states: states.size, outbox, firedMs, dueMs, processingDueMs }).toEqual({
      states: 0,
      outbox: [],
    });
    expect(processingFiredMs).toBe(START_MS + 14_000);
  });

  it('fires before a record that arrived later, under the id that a sweep would have given it', async () => {
    const batch = [arrived(0, 0, click('a', 5)), arrived(1, 30_000, click('a', 6))];
    const bySweep = await begun();
    await deliver(bySweep, batch.slice(0, 1));
    bySweep.nowMs += 29_000;
    await sweep(bySweep);
    await deliver(bySweep, batch.slice(1));
    const byRecord = await begun();
    await deliver(byRecord, batch);
    expect(values(byRecord)).toEqual(['quiet at 10000 after 1, last 5000']);
    expect(ids(byRecord)).toEqual(ids(bySweep));
    expect(ids(byRecord)[0]).toMatch(/^clicks\/clock\//);
    const [one, other] = [await item(byRecord, 'a'), await item(bySweep, 'a')];
    expect(one.states).toEqual(other.states);
    expect(one.states.get('p')).toEqual({ v: 1, p: { quiet: [START_MS + 40_000, 6_000] } });
    expect(one.processingFiredMs).toBe(other.processingFiredMs);
    // And with the batch that is delivered again nothing comes of it.
    await deliver(byRecord, batch);
    byRecord.nowMs += 60_000;
    await sweep(byRecord);
    expect(new Set(values(byRecord))).toEqual(
      new Set(['quiet at 10000 after 1, last 5000', 'quiet at 40000 after 1, last 6000']),
    );
    expect(new Set(ids(byRecord)).size).toBe(2);
  });

  it('fires once where two sweeps come at once', async () => {
    const world = await begun();
    await deliver(world, [arrived(0, 0, click('a', 5)), arrived(1, 0, click('b', 5))]);
    world.nowMs += MINUTE_MS;
    const reports = await Promise.all([sweep(world), sweep(world), sweep(world)]);
    expect(reports.reduce((sum, { fired }) => sum + fired, 0)).toBe(2);
    // What one has fired another may publish too, under the same id.
    expect(new Set(ids(world)).size).toBe(2);
  });

  it('fires once where a sweep dies between any two of its requests', async () => {
    for (let crash = 0; ; crash++) {
      const world = await begun();
      await deliver(world, [arrived(0, 0, click('a', 5))]);
      world.nowMs += MINUTE_MS;
      let calls = 0;
      const dying = <T extends object>(port: T, names: readonly string[]): T =>
        new Proxy(port, {
          get(target, name) {
            const value: unknown = Reflect.get(target, name);
            if (typeof value !== 'function') return value;
            const call = (...given: unknown[]): unknown => Reflect.apply(value, target, given) as unknown;
            if (!names.includes(String(name))) return call;
            return async (...given: unknown[]) => {
              // Before the effect, and behind it.
              if (calls++ === crash) throw new Error('dies');
              const result: unknown = await call(...given);
              if (calls++ === crash) throw new Error('dies');
              return result;
            };
          },
        });
      const sink = world.sinks.get('out') as MemorySink;
      const runtime = {
        ...world.runtime,
        store: dying(world.runtime.store, ['load', 'commit', 'readControl']),
        sinks: new Map([['out', dying(sink, ['deliver'])]]),
      };
      await sweep(world, runtime).catch(() => undefined);
      await sweep(world);
      expect(new Set(values(world))).toEqual(new Set(['quiet at 10000 after 1, last 5000']));
      expect(new Set(ids(world)).size).toBe(1);
      expect((await item(world, 'a')).outbox).toEqual([]);
      if (calls <= crash) {
        expect(crash).toBeGreaterThan(8);
        break;
      }
    }
  });

  it('goes in the order of the times of a key, and what is over when it is set comes as soon as it can', async () => {
    const world = await begun(
      processing({
        onRecord: (_, { processingMs, timers: { processing: timers } }) => {
          timers.set('late', processingMs + 3_000);
          timers.set('soon', new Date(processingMs + 1_000));
          timers.set('long over', 0);
          timers.set('gone', processingMs + 2_000);
          timers.clear('gone');
        },
        onProcessingTimer: (timer, { emit, processingMs, timers: { processing: timers } }) => {
          emit(`${timer} ${processingMs - START_MS} ${timers.get(timer)}`);
          if (timer === 'soon') timers.set('again', 5);
        },
      }),
    );
    await deliver(world, [arrived(0, 0, click('a', 1))]);
    world.nowMs += MINUTE_MS;
    await sweep(world);
    expect(values(world)).toEqual([
      `long over ${-START_MS} undefined`,
      'soon 1000 undefined',
      'again 1001 undefined',
      'late 3000 undefined',
    ]);
    expect(new Set(ids(world)).size).toBe(4);
  });

  it('sets timers of event time and is set by them, each in a time of its own', async () => {
    const world = await begun(
      processing({
        onRecord: (_, { eventMs, timers }) => timers.set('event', eventMs + 1_000),
        onTimer: (timer, { emit, eventMs, processingMs, timers }) => {
          emit(`${timer} ${eventMs}`);
          if (timer === 'event') timers.processing.set('clock', processingMs + 5_000);
        },
        onProcessingTimer: (timer, { emit, eventMs, processingMs, timers }) => {
          emit(`${timer} ${eventMs} ${processingMs - START_MS}`);
          timers.set('back', eventMs + 500);
        },
      }),
      { lanes: ONE_LANE },
    );
    await deliver(world, [arrived(0, 0, click('a', 1)), arrived(1, 1_000, click('b', 9))]);
    await deliver(world, [arrived(2, 2_000, click('a', 9))]);
    expect(values(world)).toEqual(['event 2000']);
    world.nowMs = START_MS + 7_000;
    await sweep(world);
    // What was over by event time when it was set has come at its next moment, by event time.
    expect(values(world)).toEqual(['event 2000', 'clock 2000 5000', 'back 2500']);
    const { firedMs, processingFiredMs, dueMs, processingDueMs } = await item(world, 'a');
    expect({ firedMs, processingFiredMs }).toEqual({
      firedMs: 2_500,
      processingFiredMs: START_MS + 5_000,
    });
    expect([dueMs, processingDueMs]).toEqual([10_000, undefined]);
  });

  it('stays where it throws, and holds back no timer of event time', async () => {
    let isBroken = true;
    const world = await begun(
      processing({
        onRecord: ({ at }, { eventMs, processingMs, timers }) => {
          if (at > 5_000) return;
          timers.processing.set('clock', processingMs + 1_000);
          timers.set('event', eventMs + 1_000);
        },
        onTimer: (timer, { emit }) => emit(timer),
        onProcessingTimer: (timer, { emit }) => {
          if (isBroken) throw new Error('not yet');
          emit(timer);
        },
      }),
      { lanes: ONE_LANE },
    );
    await deliver(world, [arrived(0, 0, click('a', 1))]);
    world.nowMs += MINUTE_MS;
    expect(await sweep(world)).toMatchObject({ items: 1, fired: 0, left: 1 });
    expect(world.logged.at(-1)).toMatch(/Timers of a key do not fire: user code threw Error/);
    await deliver(world, [arrived(1, 20_000, click('b', 9))]);
    await deliver(world, [arrived(2, 20_000, click('b', 9))]);
    expect(values(world)).toEqual(['event']);
    isBroken = false;
    expect(await sweep(world)).toMatchObject({ fired: 1, left: 0 });
    expect(values(world)).toEqual(['event', 'clock']);
  });

  it('fires although the lanes of the stream cannot be asked', async () => {
    const world = await begun(quiet(), { lanes: ONE_LANE });
    await deliver(world, [arrived(0, 0, click('a', 5))]);
    const failing = async (): Promise<never> => Promise.reject(new Error('no answer'));
    const runtime = { ...world.runtime, lanes: { lanes: failing, behind: failing } };
    world.nowMs += MINUTE_MS;
    await expect(sweep(world, runtime)).rejects.toThrow('no answer');
    expect(values(world)).toEqual(['quiet at 10000 after 1, last 5000']);
  });
});

describe('timers of processing time', () => {
  it('leave items alone that have none, and their index unasked', async () => {
    const world = testWorld(
      processing({ onRecord: (_, { eventMs, timers }) => timers.set('t', eventMs + 5_000) }),
      { lanes: ONE_LANE },
    );
    const { store } = world;
    const asked: unknown[] = [];
    const due = store.due.bind(store);
    store.due = (generation, upToMs, domain = 'event') => {
      asked.push(domain);
      return due(generation, upToMs, domain);
    };
    await deliver(world, [arrived(0, 0, click('a', 1)), arrived(1, 0, click('a', 9))]);
    world.nowMs += MINUTE_MS;
    await sweep(world);
    expect(new Set(asked)).toEqual(new Set(['event']));
    expect(Object.keys(store.rows.get(itemKey(1, 'a')) ?? {}).toSorted()).toEqual(
      [ITEM.pk, ITEM.revision, ITEM.marks, ITEM.states, ITEM.due, ITEM.dueBucket].toSorted(),
    );
  });

  it('stay where code does not know them any more, and fire when it does again', async () => {
    const world = testWorld(quiet());
    await deliver(world, [arrived(0, 0, click('a', 5))]);
    const { store } = world.runtime;
    const without = testWorld(processing({ onRecord: (_, { update }) => update(7) }), { store });
    without.nowMs += MINUTE_MS;
    await deliver(without, [arrived(1, 30_000, click('a', 6))]);
    await sweep(without);
    const pk = itemKey(1, 'a');
    expect((await store.load([pk])).get(pk)).toMatchObject({
      states: new Map([['p', { v: 7, p: { quiet: [START_MS + 10_000, 5_000] } }]]),
      processingDueMs: START_MS + 10_000,
    });
    world.nowMs += MINUTE_MS;
    await sweep(world);
    expect(values(world)).toEqual(['quiet at 10000 after 7, last 5000']);
  });

  it('need the function that they call: without it the batch stops, and no record is rejected', async () => {
    const world = testWorld(processing({ onRecord: (_, { timers }) => timers.processing.set('t', 5) }));
    await expect(deliver(world, [arrived(0, 0, click('a', 1))])).rejects.toThrow(
      /Operator 'p' sets a timer of processing time and has no 'onProcessingTimer'/,
    );
    expect(world.store.items().size).toBe(0);
  });

  it('reject a value that sets one to no time', async () => {
    const test = testPipeline<Click>(
      processing({
        onRecord: (_, { timers }) => timers.processing.set('t', Number.NaN),
        onProcessingTimer: () => undefined,
      }),
    );
    await test.send(click('a', 1));
    expect(test.deadLetters()).toMatchObject([{ stage: 'fold' }]);
    expect(test.deadLetters()[0]?.reason).toMatch(/sets the timer 't' to a time that is none/);
  });

  it('have nothing that goes by event time behind them', () => {
    const clocked = clicksByUser().process<number, Click>('first', {
      onRecord: (value, { emit }) => emit(value),
      onProcessingTimer: () => undefined,
    });
    expect(() => clocked.window(tumbling({ seconds: 1 })).count('n')).toThrow(
      /Operator 'n' goes by event time and stands behind 'first'/,
    );
    expect(() => clocked.process<number, string>('second', { onRecord: () => undefined })).toThrow(
      /stands behind 'first', which has timers of processing time/,
    );
  });

  it('come with time in a test', async () => {
    const test = testPipeline<Click>(quiet());
    await test.send(click('a', 5), click('a', 6));
    await test.advance({ seconds: 9 });
    expect(test.outputs()).toEqual([]);
    await test.advance({ seconds: 2 });
    expect(test.outputs().map(({ value }) => value)).toEqual([
      expect.stringMatching(/^quiet at \d+ after 2, last 6000$/),
    ]);
  });

  it('hold under faults', async () => {
    const test = testPipeline<Click>(quiet());
    await test.send(click('a', 5), click('b', 6), click('a', 7), click('b', 9));
    await test.advance({ seconds: 30 });
    await test.send(click('a', 15), click('b', 16), click('a', 17));
    await expect(test.underFaults({ seeds: 60 })).resolves.toBeDefined();
  });
});

describe('a rewind', () => {
  const records = [
    arrived(0, 0, click('a', 5)),
    arrived(1, 1_000, click('b', 6)),
    arrived(2, 20_000, click('a', 7)),
    arrived(3, 21_000, click('b', 8)),
    arrived(4, 22_000, click('c', 8)),
  ];
  const REQUEST = { id: 'r', holder: 'h', checkpoint: 'c', outputs: 'same' } as const;

  /** Both keys' first timers wait in the checkpoint. @param sweepsAfterMs when sweeps come before the rewind. */
  async function rewound(sweepsAfterMs: readonly number[]) {
    const world = rewindWorld(quiet(), [records]);
    const { world: own } = world;
    await process(world, 0, 0, 2);
    await checkpoint(world, 'c');
    for (const afterMs of sweepsAfterMs) {
      if (afterMs > 20_000) await process(world, 0, 2, 5);
      own.nowMs = START_MS + afterMs;
      await sweep(own);
    }
    if (sweepsAfterMs.every((afterMs) => afterMs <= 20_000)) await process(world, 0, 2, 5);
    const before = [...ids(own)];
    const rewinder = rewinderOf(world);
    expect(await beginRewind(rewinder, REQUEST)).toMatchObject({ kind: 'at' });
    expect(await drive(world, rewinder, REQUEST)).toEqual({ kind: 'finished' });
    return { world: own, before, replayed: ids(own).slice(before.length) };
  }

  it('fires again under the same ids what had fired, at the same places among the records, and nothing else', async () => {
    const { world, before, replayed } = await rewound([15_000, 40_000]);
    expect(new Set(before).size).toBe(5);
    // Before records that arrived later; what no record came behind waits for a sweep.
    expect(new Set(replayed)).toEqual(new Set(before.slice(0, 2)));
    await sweep(world);
    expect(new Set(ids(world).slice(before.length))).toEqual(new Set(before));
    expect(new Set(values(world).slice(before.length))).toEqual(
      new Set(values(world).slice(0, before.length)),
    );
  });

  it('loses nothing that was pending: it fires with the replay or the first sweep behind it', async () => {
    const { world, before, replayed } = await rewound([]);
    // The records behind the checkpoint have fired the first two already.
    expect(new Set(replayed)).toEqual(new Set(before));
    expect(replayed).toHaveLength(2);
    world.nowMs = START_MS + MINUTE_MS;
    await sweep(world);
    expect(new Set(ids(world)).size).toBe(5);
    for (const key of ['a', 'b', 'c']) {
      const item = world.store.items().get(itemKey(2, key));
      expect(item).toMatchObject({ outbox: [], states: new Map() });
      expect(item?.processingDueMs).toBeUndefined();
    }
  });
});

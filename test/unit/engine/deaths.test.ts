import { describe, expect, it } from 'vitest';
import { kinesis, pipeline, type Pipeline, type PipelineOptions } from '../../../shared/index.ts';
import type { BatchResult } from '../../../shared/engine/process-batch.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import type { StateStore } from '../../../shared/state/state-store.ts';
import { sourceRecord, testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { deliver, GRANTED_MS, itemOf, letters, records, rest, stateOf } from './deliver.ts';

interface Value {
  readonly key: string;
  readonly kills?: 'decode' | 'fold';
}

/** What a process is: once it has died, none of its calls comes back. */
class Life {
  readonly death: Promise<'died'>;
  isOver = false;
  #end: (value: 'died') => void = () => undefined;

  constructor() {
    this.death = new Promise((resolve) => (this.#end = resolve));
  }

  die(): void {
    this.isOver = true;
    this.#end('died');
  }

  port<T>(call: () => Promise<T>): Promise<T> {
    return this.isOver ? new Promise(() => undefined) : call();
  }
}

/** Calls of user code reach the life of the invocation that runs now. */
let life = new Life();
/** Mended code kills no more. */
let isMended = false;

function subject(options: PipelineOptions = {}): Pipeline {
  const kill = (value: Value | undefined, stage: Value['kills']): void => {
    if (value?.kills === stage && stage !== undefined && !isMended) life.die();
  };
  return pipeline('p', options)
    .from(kinesis<Value>('s'))
    .map((value) => {
      kill(value, 'decode');
      return value;
    })
    .keyBy(({ key }) => key)
    .updateStateByKey<number>('n', ([value], n = 0) => {
      kill(value, 'fold');
      return n + 1;
    })
    .to(kinesis('out'));
}

function mortal(store: StateStore, mine: Life): StateStore {
  return {
    load: (...args) => mine.port(() => store.load(...args)),
    commit: (...args) => mine.port(() => store.commit(...args)),
    partLanes: (...args) => mine.port(() => store.partLanes(...args)),
    readControl: (...args) => mine.port(() => store.readControl(...args)),
    beginAttempt: (...args) => mine.port(() => store.beginAttempt(...args)),
    createProgress: (...args) => mine.port(() => store.createProgress(...args)),
    readProgress: (...args) => mine.port(() => store.readProgress(...args)),
    suspect: (...args) => mine.port(() => store.suspect(...args)),
    advance: (...args) => mine.port(() => store.advance(...args)),
    liftTime: (...args) => mine.port(() => store.liftTime(...args)),
    due: (...args) => store.due(...args),
    costs: () => store.costs(),
  };
}

/** One invocation, which its records may kill; Lambda ends a dead one at its deadline and hands the batch in again. */
async function attempt(world: TestWorld, batch: readonly SourceRecord[]): Promise<BatchResult | 'died'> {
  const mine = (life = new Life());
  const runtime = { ...world.runtime, store: mortal(world.store, mine) };
  const outcome = await Promise.race([deliver(world, batch, { runtime }), mine.death]);
  world.nowMs += outcome === 'died' ? GRANTED_MS + 2_000 : 100;
  return outcome;
}

async function attempts(world: TestWorld, batch: readonly SourceRecord[], limit: number): Promise<number> {
  let left = batch;
  for (let count = 1; count <= limit; count++) {
    const outcome = await attempt(world, left);
    if (outcome === 'died') continue;
    left = rest(left, outcome);
    if (left.length === 0) return count;
  }
  throw new Error(`${left.length} records are left after ${limit} attempts`);
}

describe('a record that kills the process', () => {
  it.each(['decode', 'fold'] as const)(
    'is found after some deaths and rejected, and the shard goes on: while it is in %s',
    async (kills) => {
      isMended = false;
      const world = testWorld(subject());
      const batch = records([{ key: 'a' }, { key: 'b' }, { key: 'a', kills }, { key: 'b' }, { key: 'a' }]);
      expect(await attempts(world, batch, 10)).toBeLessThanOrEqual(7);
      expect(letters(world)).toEqual([
        {
          stage: 'killed',
          reason: expect.stringContaining('the process died each time') as string,
          key: kills === 'fold' ? 'a' : undefined,
        },
      ]);
      expect(stateOf(world, 'a', 'n')).toBe(2);
      expect(stateOf(world, 'b', 'n')).toBe(2);
      expect(world.store.progress(1, batch[0]?.lane ?? '')).toMatchObject({ records: 5 });
      // The next batch is taken whole again.
      const next = await attempt(world, records([{ key: 'a' }], 5));
      expect(next).toMatchObject({ failedFrom: undefined });
      expect(stateOf(world, 'a', 'n')).toBe(3);
    },
  );

  it('is found also where there are two of its kind', async () => {
    isMended = false;
    const world = testWorld(subject());
    const batch = records([
      { key: 'a', kills: 'fold' },
      { key: 'b' },
      { key: 'b', kills: 'decode' },
      { key: 'c' },
    ]);
    await attempts(world, batch, 20);
    expect(letters(world).map(({ stage }) => stage)).toEqual(['killed', 'killed']);
    expect(stateOf(world, 'b', 'n')).toBe(1);
    expect(stateOf(world, 'c', 'n')).toBe(1);
    expect(itemOf(world, 'a')?.states.size).toBe(0);
  });

  it('is not looked for in a batch that is done, whose attempts died behind it', async () => {
    isMended = false;
    const world = testWorld(subject());
    const batch = records([{ key: 'a' }, { key: 'b' }]);
    await attempt(world, batch);
    const [{ lane, position }] = batch as [SourceRecord];
    for (let deaths = 0; deaths < 4; deaths++) await world.store.beginAttempt(1, lane, position);
    const again = await attempt(world, batch);
    expect(again).toMatchObject({ failedFrom: undefined, report: { duplicates: 2, unfinished: 0 } });
  });

  it('does not run again when it is delivered again', async () => {
    isMended = false;
    const world = testWorld(subject());
    const batch = records([{ key: 'a' }, { key: 'a', kills: 'decode' }]);
    await attempts(world, batch, 10);
    const again = await attempt(world, batch);
    expect(again).toMatchObject({
      failedFrom: undefined,
      report: { applied: 0, deadLetters: 0, duplicates: 2 },
    });
    expect(world.letters.size).toBe(1);
  });

  it.each(['decode', 'fold'] as const)(
    'stops its shard where the pipeline says so, and is applied once the code is mended: while it is in %s',
    async (kills) => {
      isMended = false;
      const world = testWorld(subject({ onRecordError: 'stop' }));
      const batch = records([{ key: 'a' }, { key: 'b', kills }, { key: 'a' }]);
      await expect(attempts(world, batch, 20)).rejects.toThrow('2 records are left after 20 attempts');
      expect(world.logged.some((line) => line.startsWith('The shard waits in front of a record'))).toBe(true);
      expect(world.letters.size).toBe(0);

      isMended = true;
      await attempts(world, batch.slice(1), 10);
      expect(world.letters.size).toBe(0);
      expect(stateOf(world, 'a', 'n')).toBe(2);
      expect(stateOf(world, 'b', 'n')).toBe(1);
    },
  );
});

describe('an innocent record', () => {
  const batch = records([{ key: 'a' }, { key: 'b' }, { key: 'a' }]);

  it.each(['load', 'commit', 'advance', 'suspect'] as const)(
    'is not blamed when %s fails again and again',
    async (port) => {
      const world = testWorld(subject());
      const { store } = world;
      const broken: StateStore = {
        ...mortal(store, new Life()),
        [port]: async () => Promise.reject(new Error('throttled')),
      };
      for (let count = 0; count < 20; count++) {
        await deliver(world, batch, { runtime: { ...world.runtime, store: broken } }).catch(() => undefined);
        world.nowMs += GRANTED_MS + 2_000;
      }
      await attempts(world, batch, 3);
      expect(world.letters.size).toBe(0);
      expect(stateOf(world, 'a', 'n')).toBe(2);
      expect(stateOf(world, 'b', 'n')).toBe(1);
    },
  );

  it('is not blamed when a sink fails again and again', async () => {
    const world = testWorld(subject());
    const sink = {
      maximumDeliveries: 1,
      maximumBytes: 1,
      deliver: async () => Promise.reject(new Error('down')),
    };
    for (let count = 0; count < 20; count++) {
      const result = await deliver(world, batch, {
        runtime: { ...world.runtime, sinks: new Map([['out', sink]]) },
      });
      expect(result.failedFrom).toBeDefined();
    }
    await attempts(world, batch, 1);
    expect(world.letters.size).toBe(0);
  });

  it('of another shard is taken as ever while a shard looks for its killer', async () => {
    isMended = false;
    const world = testWorld(subject());
    const killing = records([{ key: 'a', kills: 'fold' }]);
    for (let count = 0; count < 5; count++) await attempt(world, killing);
    const other = [sourceRecord(1, 0, { value: { key: 'b' } })];
    const result = await deliver(world, other, { shard: 1 });
    expect(result).toMatchObject({ failedFrom: undefined, report: { applied: 1 } });
  });
});

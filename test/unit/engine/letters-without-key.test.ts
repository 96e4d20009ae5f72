import { describe, expect, it } from 'vitest';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import { REJECTED_LIMIT_BYTES } from '../../../shared/engine/limits.ts';
import { programOf, relayProgramOf, type Program } from '../../../shared/engine/program.ts';
import type { Runtime } from '../../../shared/engine/runtime.ts';
import { kinesis, outputs, pipeline, type Pipeline } from '../../../shared/index.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import { itemBytes } from '../../../shared/state/item-codec.ts';
import { MemoryStateStore } from '../../../shared/state/memory-state-store.ts';
import { noticeKey } from '../../../shared/state/row-key.ts';
import { without } from '../../../shared/state/without.ts';
import { MemorySink, testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { put, type Upstream } from './chained.ts';
import { deliver, drain, letters, records, rest, stateOf } from './deliver.ts';
import { dying, gated, MOMENTS, outcomes } from './redriving.ts';

/** A value with the version of the code that first gives it a key. */
interface Value {
  readonly id: number;
  readonly since?: number;
  /** The version that fails it again. */
  readonly not?: number;
  /** The version that cannot decode its record. */
  readonly breaks?: number;
}

type Policy = 'deadLetter' | 'stop';

/** The pipeline's code in a version. */
function code(version: number, onRecordError: Policy = 'deadLetter'): Pipeline {
  return pipeline('p', { onRecordError })
    .from(kinesis<Value | readonly Value[]>('s'))
    .flatMap((value) => {
      const values = Array.isArray(value) ? (value as readonly Value[]) : [value as Value];
      if (values.some(({ breaks }) => breaks === version)) throw new Error('cannot be decoded');
      return values;
    })
    .keyBy(({ since = 1, not }) =>
      version >= since && version !== not ? 'k' : (undefined as unknown as string),
    )
    .updateStateByKey<number[]>('ids', ([value], ids = []) => [...ids, (value as Value).id]);
}

/** A new container with the code in a version. */
function deployed(world: TestWorld, version: number, onRecordError?: Policy): Runtime {
  return {
    ...world.runtime,
    program: programOf(code(version, onRecordError).definition),
    cache: new ItemCache(),
    generation: undefined,
  };
}

const GOOD: Value = { id: 1 };
const BAD: Value = { id: 2, since: 2 };
const LATER: Value = { id: 3 };

function ids(world: TestWorld): unknown {
  return stateOf(world, 'k', 'ids');
}

/** As a restore leaves the shard's own item: what was settled is not known, and the letters' names are there. */
async function restored({ store }: TestWorld): Promise<void> {
  for (const item of [...store.items().values()].filter(({ settled }) => settled !== undefined)) {
    const written = { ...without(item, 'settled'), revision: item.revision + 1 };
    const [result] = await store.commit([
      { item: written, expectedRevision: item.revision, loaded: item, spills: false },
    ]);
    expect(result).toBe('committed');
  }
}

describe('behind a restore', () => {
  const parallel = { parallelizationFactor: 2 };
  const SAME = { partitionKey: 'q' };
  const MIXED = [...records([BAD, GOOD, LATER], 0, SAME), ...records([{ id: 4, since: 9 }], 3, SAME)];

  /** With a letter that the item lists no more, and another behind it. */
  async function forgetful(batch: readonly SourceRecord[]): Promise<TestWorld> {
    const world = testWorld(code(1));
    await deliver(world, batch, { runtime: { ...deployed(world, 1), ...parallel } });
    await deliver(world, batch.slice(3), { runtime: { ...deployed(world, 1), ...parallel } });
    await deliver(world, records([{ id: 5, since: 9 }], 4, SAME), {
      runtime: { ...deployed(world, 1), ...parallel },
    });
    await restored(world);
    return world;
  }

  it('a record stays a letter that is known by its name alone', async () => {
    const world = await forgetful(MIXED);
    const runtime = { ...deployed(world, 2), ...parallel };
    const again = await deliver(world, MIXED, { runtime });
    expect(again.report).toMatchObject({ applied: 0, deadLetters: 0 });
    expect(ids(world)).toEqual([1, 3]);
    expect(await outcomes(world, {}, runtime)).toEqual(['redriven', 'rejected', 'rejected']);
    expect(ids(world)).toEqual([1, 3, 2]);
  });

  it('a record that other code had applied gets a letter in front of those that have one', async () => {
    const batch = [...records([BAD, { id: 1, breaks: 2 }, LATER], 0, SAME), ...MIXED.slice(3)];
    const world = await forgetful(batch);
    const before = letters(world).length;
    await deliver(world, batch, { runtime: { ...deployed(world, 2), ...parallel } });
    expect(letters(world)).toHaveLength(before + 1);
    expect([...world.letters.values()].at(-1)).toMatchObject({
      sequenceNumber: batch[1]?.position.sequence,
    });
  });
});

it('a whole record is redriven without the elements that have letters of their own', async () => {
  const world = testWorld(code(1));
  const batch = records([[{ id: 1, since: 2, breaks: 2 }, { id: 2 }]]);
  // Dies when the letter of the first element is committed, and nothing else.
  const gate = dying(8, 'before');
  await deliver(world, batch, { runtime: gated(deployed(world, 1), gate) }).catch(() => undefined);
  expect(ids(world)).toBeUndefined();

  await drain(world, batch, { runtime: deployed(world, 2) });
  expect([...world.letters.values()]).toMatchObject([
    { stage: 'key', element: 0 },
    { stage: 'stateless', except: [0] },
  ]);
  expect(await outcomes(world, {}, deployed(world, 3))).toEqual(['redriven', 'redriven']);
  expect(ids(world)).toEqual([1, 2]);
});

describe('a record without a key that mended code gives one', () => {
  it('is applied in its place where the shard waited in front of it', async () => {
    const world = testWorld(code(1, 'stop'));
    const batch = records([GOOD, BAD, LATER]);
    const first = await deliver(world, batch, { runtime: deployed(world, 1, 'stop') });
    expect(first.failedFrom).toEqual(batch[1]?.position);

    await drain(world, rest(batch, first), { runtime: deployed(world, 2, 'stop') });
    expect(ids(world)).toEqual([1, 2, 3]);
  });

  it.each(MOMENTS)('is counted once when the process died %s any request of its batch', async (moment) => {
    for (let at = 1; ; at++) {
      const world = testWorld(code(1));
      const batch = records([GOOD, BAD, LATER]);
      const gate = dying(at, moment);
      const runtime = gated(deployed(world, 1), gate);
      await deliver(world, batch, { runtime }).catch(() => undefined);
      const isOver = gate.calls.length < at;

      await drain(world, batch, { runtime: deployed(world, 2) });
      const redriven = await outcomes(world, {}, deployed(world, 2));
      expect(redriven.every((outcome) => outcome === 'redriven')).toBe(true);
      expect(ids(world)).toEqual(redriven.length === 0 ? [1, 2, 3] : [1, 3, 2]);
      if (isOver) return;
    }
  });

  it('stays a letter when it comes again, its own elements with a key excepted', async () => {
    const world = testWorld(code(1));
    const batch = records([[GOOD, BAD, LATER]]);
    await deliver(world, batch, { runtime: deployed(world, 1) });
    expect(ids(world)).toEqual([1, 3]);

    // As a mapping does that has lost its place; the progress row is a shard's own, and knows it.
    const again = await deliver(world, batch, { runtime: deployed(world, 2) });
    expect(again.report).toMatchObject({ applied: 0, duplicates: 1 });
    expect(await outcomes(world, {}, deployed(world, 2))).toEqual(['redriven']);
    expect(ids(world)).toEqual([1, 3, 2]);
  });

  it('is counted once with lanes by partition key, however long after its acknowledgement it comes again', async () => {
    const world = testWorld(code(1));
    const parallel = { parallelizationFactor: 2 };
    const batch = [...records([GOOD, BAD, LATER]), ...records([{ id: 4 }], 3, { partitionKey: 'q' })];
    await deliver(world, batch, { runtime: { ...deployed(world, 1), ...parallel } });
    // Letters behind it: it is not in the item's list any more.
    await deliver(world, records([{ id: 5, since: 3 }, { id: 6 }], 4), {
      runtime: { ...deployed(world, 1), ...parallel },
    });
    await deliver(world, batch, { runtime: { ...deployed(world, 2), ...parallel } });
    expect(ids(world)).toEqual([1, 3, 4, 6]);

    expect(await outcomes(world, {}, { ...deployed(world, 2), ...parallel })).toEqual([
      'redriven',
      'rejected',
    ]);
    expect(ids(world)).toEqual([1, 3, 4, 6, 2]);
  });

  it('is counted once where ParallelizationFactor is raised in between', async () => {
    const world = testWorld(code(1));
    const batch = records([GOOD, BAD, LATER]);
    await deliver(world, batch, { runtime: deployed(world, 1) });
    await deliver(world, batch, { runtime: { ...deployed(world, 2), parallelizationFactor: 2 } });
    await outcomes(world, {}, deployed(world, 2));
    expect(ids(world)).toEqual([1, 3, 2]);
  });

  it('leaves what other code has rejected in front of it to get a letter too', async () => {
    const world = testWorld(code(1));
    const batch = records([{ id: 1, not: 2 }, { id: 2, since: 3 }, LATER]);
    // Dies before any key's item is written.
    const gate = dying(8, 'before');
    await deliver(world, batch, { runtime: gated(deployed(world, 1), gate) }).catch(() => undefined);
    expect(gate.calls.slice(0, 8)).toEqual([
      'readControl',
      'beginAttempt',
      'readControl',
      'createProgress',
      'beginAttempt',
      'load',
      'commit',
      'commit',
    ]);
    expect(ids(world)).toBeUndefined();

    await drain(world, batch, { runtime: deployed(world, 2) });
    expect(letters(world)).toHaveLength(2);
    expect(await outcomes(world, { isForced: true }, deployed(world, 3))).toEqual(['redriven', 'redriven']);
    expect((ids(world) as number[]).toSorted()).toEqual([1, 2, 3]);
  });

  it('has one letter where ParallelizationFactor is raised before its batch is acknowledged', async () => {
    const world = testWorld(code(1));
    const batch = records([{ id: 1, since: 2 }, GOOD]);
    // Dies when the letter is committed, and nothing else.
    const gate = dying(8, 'before');
    await deliver(world, batch, { runtime: gated(deployed(world, 1), gate) }).catch(() => undefined);
    expect(world.store.items().size).toBe(1);

    await drain(world, batch, { runtime: { ...deployed(world, 1), parallelizationFactor: 2 } });
    expect(letters(world)).toHaveLength(1);
  });

  it('gets its letter in front of as many as the item can list', async () => {
    const world = testWorld(code(1));
    const batch = records([
      { id: 0, not: 3 },
      ...Array.from({ length: 600 }, (_, id): Value => ({ id, since: 9 })),
    ]);
    const gate = dying(8, 'before');
    await deliver(world, batch, { runtime: gated(deployed(world, 1), gate) }).catch(() => undefined);

    await drain(world, batch, { runtime: deployed(world, 3) });
    expect(letters(world)).toHaveLength(601);
  });

  it('stays a letter where it is an output that is put again', async () => {
    const chained = (version: number): Pipeline =>
      pipeline('second')
        .from(outputs<Value>('between', { upstreamRetentionHours: 24 }))
        .keyBy(({ since = 1 }) => (version >= since ? 'k' : (undefined as unknown as string)))
        .updateStateByKey<number[]>('ids', ([value], seen = []) => [...seen, (value as Value).id]);
    const world = testWorld(chained(1));
    const output = (value: Value): Upstream => ({ of: value.id, destination: 'd', value });
    await drain(world, [put(0, 0, output(GOOD)), put(0, 1, output(BAD)), put(0, 2, output(LATER))]);
    const mended: Runtime = {
      ...world.runtime,
      program: programOf(chained(2).definition),
      cache: new ItemCache(),
    };
    // In the same shard, and in that which it was split into.
    await drain(world, [put(0, 3, output(BAD)), put(0, 4, output({ id: 4 }))], { runtime: mended });
    await drain(world, [put(1, 0, output(BAD)), put(1, 1, output({ id: 5 }))], { runtime: mended, shard: 1 });
    expect(ids(world)).toEqual([1, 3, 4, 5]);
    expect(await outcomes(world, {}, mended)).toEqual(['redriven']);
    expect(ids(world)).toEqual([1, 3, 4, 5, 2]);
  });

  it.each(MOMENTS)('is put once behind a front that died %s any request', async (moment) => {
    const split = (version: number): Pipeline =>
      pipeline('p')
        .from(kinesis<Value>('s'))
        .map((value) => {
          if (version < (value.since ?? 1)) throw new Error('not yet');
          return value;
        })
        .repartition('by-id', ({ id }) => String(id))
        .keyBy(({ id }) => String(id))
        .updateStateByKey<number>('count', (values, count = 0) => count + values.length);
    const front = (version: number): Program => relayProgramOf(split(version).definition) as Program;
    for (let at = 1; ; at++) {
      const sink = new MemorySink();
      const world = testWorld(split(1), { program: front(1), sinks: new Map([['by-id', sink]]) });
      const batch = records([GOOD, BAD, LATER]);
      const gate = dying(at, moment);
      await deliver(world, batch, { runtime: gated(world.runtime, gate) }).catch(() => undefined);

      const mended = { ...world.runtime, program: front(2), cache: new ItemCache(), generation: undefined };
      await drain(world, batch, { runtime: mended });
      const redriven = await outcomes(world, {}, mended);
      expect(redriven.every((outcome) => outcome === 'redriven')).toBe(true);
      const places = new Map(
        sink.delivered.map(({ json, entry: { lane, position } }) => [
          `${lane} ${position.sequence}`,
          (JSON.parse(json) as Value).id,
        ]),
      );
      expect([...places.values()].toSorted()).toEqual([1, 2, 3]);
      if (gate.calls.length < at) return;
    }
  });
});

describe("a shard's own item", () => {
  it('lists only what is not done, however many letters a batch has', async () => {
    const world = testWorld(code(1));
    const values = Array.from({ length: 3_000 }, (_, id): Value => ({
      id,
      ...(id % 2 === 1 && { since: 2 }),
    }));
    let largest = 0;
    const commit = world.store.commit.bind(world.store);
    world.store.commit = async (writes) => {
      for (const { item } of writes)
        largest = Math.max(largest, itemBytes({ ...item, outbox: [], states: new Map() }));
      return commit(writes);
    };
    await drain(world, records(values));
    expect(letters(world)).toHaveLength(1_500);
    expect((ids(world) as number[]).length).toBe(1_500);
    expect(largest).toBeGreaterThan(REJECTED_LIMIT_BYTES / 2);
    expect(largest).toBeLessThan(2 * REJECTED_LIMIT_BYTES);
  });

  it('takes the letters of a record that has thousands round by round', async () => {
    const world = testWorld(code(1));
    const element = (id: number, since?: number): Value => ({ id, ...(since !== undefined && { since }) });
    const many = Array.from({ length: 4_000 }, (_, id) => element(id, id % 500 === 0 ? 1 : 2));
    const result = await deliver(world, records([GOOD, many, LATER]));
    expect(result.failedFrom).toBeUndefined();
    expect(letters(world)).toHaveLength(3_992);
    expect((ids(world) as number[]).length).toBe(10);
    await drain(world, records([GOOD, many, LATER]), { runtime: deployed(world, 2) });
    expect(letters(world)).toHaveLength(3_992);
    expect((ids(world) as number[]).length).toBe(10);
  });

  it('is read with the keys, and where there are many lanes only once one has letters', async () => {
    const world = testWorld(code(1));
    const asked: number[] = [];
    const load = world.store.load.bind(world.store);
    world.store.load = async (pks, ...rest) => {
      asked.push(pks.length);
      return load(pks, ...rest);
    };
    const several = (from: number, value: Value): SourceRecord[] =>
      ['a', 'b', 'c'].flatMap((partitionKey, place) => records([value], from + place, { partitionKey }));
    const parallel = { ...deployed(world, 1), parallelizationFactor: 2 };
    await drain(world, several(0, GOOD), { runtime: deployed(world, 1) });
    expect(asked.splice(0)).toEqual([2]);

    const other = testWorld(code(1));
    other.store.load = async (pks, ...rest) => {
      asked.push(pks.length);
      return MemoryStateStore.prototype.load.call(other.store, pks, ...rest);
    };
    const runtime = { ...parallel, ...other.runtime, parallelizationFactor: 2, cache: new ItemCache() };
    await drain(other, several(0, GOOD), { runtime });
    expect(asked.splice(0)).toEqual([3]);
    await drain(other, several(3, BAD), { runtime });
    expect(other.store.items().has(noticeKey(1))).toBe(true);
    asked.splice(0);
    await drain(other, several(6, GOOD), { runtime });
    // The own items of the shard and of its three lanes.
    expect(asked).toEqual([2, 4]);
  });
});

import { describe, expect, it } from 'vitest';
import { kinesis, pipeline, type Pipeline } from '../../../shared/index.ts';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import { sourceRecord, testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { deliver, drain, itemOf, letters, records, stateOf } from './deliver.ts';

interface Value {
  readonly key: string;
  readonly n: number;
  readonly isBad?: boolean;
}

/** An order-sensitive list per key. */
function listing(policy: 'parkKey' | 'deadLetter' | 'stop'): Pipeline {
  return pipeline('p', { onRecordError: policy })
    .from(kinesis<Value>('s'))
    .keyBy(({ key }) => key)
    .updateStateByKey<number[]>('list', ([value], list = []) => {
      if (value?.isBad === true) throw new Error('bad');
      list.push(value?.n ?? 0);
      return list;
    })
    .to(kinesis('out'));
}

function values(key: string, from: number, count: number, bad: readonly number[] = []): Value[] {
  return Array.from({ length: count }, (_, place) => {
    const n = from + place;
    return bad.includes(n) ? { key, n, isBad: true } : { key, n };
  });
}

function numbersOf(world: TestWorld): (number | undefined)[] {
  return [...world.letters.values()].map(({ number }) => number);
}

describe('a key whose record is rejected under parkKey', () => {
  it('is parked: its later records wait behind it as letters in order, and other keys go on', async () => {
    const world = testWorld(listing('parkKey'));
    const batch = records([
      ...values('a', 0, 2),
      { key: 'a', n: 2, isBad: true },
      ...values('b', 0, 2),
      ...values('a', 3, 2),
    ]);
    const { failedFrom, report } = await deliver(world, batch);
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ records: 7, applied: 4, deadLetters: 3, duplicates: 0 });
    expect(stateOf(world, 'a', 'list')).toEqual([0, 1]);
    expect(stateOf(world, 'b', 'list')).toEqual([0, 1]);
    expect(itemOf(world, 'a')?.letters).toEqual({ next: 3, closed: [], parkedFrom: 0 });
    expect(letters(world).map(({ stage }) => stage)).toEqual(['fold', 'parked', 'parked']);
    expect(letters(world)[1]?.reason).toMatch(/an earlier record of its key was rejected/);
    // Later batches too.
    await drain(world, records(values('a', 5, 2), 7));
    expect(numbersOf(world)).toEqual([0, 1, 2, 3, 4]);
    expect(stateOf(world, 'a', 'list')).toEqual([0, 1]);
    expect(
      [...world.letters.values()].map(
        ({ data }) => JSON.parse(Buffer.from(data, 'base64').toString()) as Value,
      ),
    ).toEqual([{ key: 'a', n: 2, isBad: true }, ...values('a', 3, 4)]);
  });

  it('gets each letter once, however the batch is cut, repeated and begun cold', async () => {
    const all = records(values('a', 0, 12, [3, 5]));
    const outcomes = [[12], [1], [5], [2, 3]].map(async (cuts) => {
      const world = testWorld(listing('parkKey'));
      for (let at = 0, turn = 0; at < all.length; turn++) {
        const end = at + (cuts[turn % cuts.length] as number);
        const runtime = { ...world.runtime, cache: new ItemCache(), generation: undefined };
        await deliver(world, all.slice(Math.max(0, at - 2), end), { runtime });
        await deliver(world, all.slice(at, end));
        at = end;
      }
      const { states, marks, letters } = itemOf(world, 'a') ?? {};
      return { states, marks, letters, stored: new Map([...world.letters].toSorted()) };
    });
    const [whole, ...others] = await Promise.all(outcomes);
    expect(whole?.stored.size).toBe(9);
    for (const other of others) expect(other).toEqual(whole);
  });

  it('gets letters from all its shards, numbered in the order of their commits', async () => {
    const world = testWorld(listing('parkKey'));
    const of = (shard: number, from: number, values: readonly Value[]): SourceRecord[] =>
      values.map((value, place) => sourceRecord(shard, from + place, { value }));
    await deliver(world, of(0, 0, values('a', 0, 2, [1])));
    await deliver(world, of(1, 0, values('a', 10, 2)), { shard: 1 });
    await deliver(world, of(0, 2, values('a', 2, 1)));
    const names = [...world.letters.keys()];
    expect(names.toSorted()).toEqual(names);
    expect(numbersOf(world)).toEqual([0, 1, 2, 3]);
    expect([...world.letters.values()].map(({ shard }) => shard.at(-1))).toEqual(['0', '1', '1', '0']);
  });

  it('makes the shard wait until each of its letters is stored', async () => {
    const world = testWorld(listing('parkKey'));
    const batch = records(values('a', 0, 3, [0]));
    const failing = { put: async () => Promise.reject(new Error('AccessDenied')) };
    const refused = await deliver(world, batch, {
      runtime: { ...world.runtime, deadLetters: { ...world.runtime.deadLetters, ...failing } },
    });
    expect(refused.failedFrom).toEqual(batch[0]?.position);
    expect(world.letters.size).toBe(0);
    await drain(world, batch);
    expect(numbersOf(world)).toEqual([0, 1, 2]);
    expect(itemOf(world, 'a')?.letters?.next).toBe(3);
  });

  it('takes thousands of records in one invocation', async () => {
    const world = testWorld(listing('parkKey'));
    const { failedFrom, report } = await deliver(world, records(values('a', 0, 5_000, [0])));
    expect(failedFrom).toBeUndefined();
    expect(report.deadLetters).toBe(5_000);
    expect(world.letters.size).toBe(5_000);
  });

  it.each(['deadLetter', 'stop'] as const)('stays parked when newer code says %s', async (policy) => {
    const world = testWorld(listing('parkKey'));
    await drain(world, records(values('a', 0, 2, [0])));
    const newer = testWorld(listing(policy), { store: world.store });
    await drain(newer, records(values('a', 2, 1), 2));
    expect(stateOf(world, 'a', 'list')).toBeUndefined();
    expect(itemOf(world, 'a')?.letters).toMatchObject({ next: 3, parkedFrom: 0 });
  });

  it('is an item that does not expire while a letter is open', async () => {
    for (const policy of ['parkKey', 'deadLetter'] as const) {
      const world = testWorld(listing(policy));
      await drain(world, records(values('a', 0, 1, [0])));
      expect(itemOf(world, 'a')?.states.size).toBe(0);
      expect(itemOf(world, 'a')?.expiresAtSeconds).toBeUndefined();
    }
  });
});

describe('a record without a key', () => {
  it('is a plain dead letter under parkKey', async () => {
    const world = testWorld(listing('parkKey'));
    const { report } = await deliver(world, records(['no json', ...values('a', 0, 1)]));
    expect(report).toMatchObject({ applied: 1, deadLetters: 1 });
    expect(letters(world)).toMatchObject([{ stage: 'decode', key: undefined }]);
    expect(world.store.items().get(`1/d/${records([0])[0]?.lane ?? ''}`)?.letters).toEqual({
      next: 1,
      closed: [],
    });
  });
});

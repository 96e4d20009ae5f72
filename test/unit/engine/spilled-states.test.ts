import { describe, expect, it } from 'vitest';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import { kinesis, pipeline } from '../../../shared/index.ts';
import { costsBetween } from '../../../shared/state/cost-counter.ts';
import { testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { deliver, drain, itemOf, letters, records, stateOf } from './deliver.ts';

interface Growth {
  readonly key: string;
  readonly bytes: number;
}

const LIMITS = { inlineStateBytes: 1_000, stateBytes: 10_000, loadedStateBytes: 5_000 };
const source = pipeline('p').from(kinesis<Growth>('s'));
const growing = source
  .keyBy(({ key }) => key)
  .updateStateByKey<string>('text', ([growth], text = '') => text + 'x'.repeat(growth?.bytes ?? 0));
const publishing = growing.to(kinesis('out'));

function cold(world: TestWorld) {
  return { runtime: { ...world.runtime, cache: new ItemCache(), generation: undefined } };
}

describe('a state beyond what its item holds', () => {
  it('is in an object, which the item points to, and comes back when it fits again', async () => {
    const world = testWorld(
      source
        .keyBy(({ key }) => key)
        .updateStateByKey<string>('text', ([growth]) => 'x'.repeat(growth?.bytes ?? 0)),
      {},
      LIMITS,
    );
    const raw = () => world.store.items().get('1/s/k');
    await drain(world, records([{ key: 'k', bytes: 1_000 }]));
    expect(raw()?.spilled).toBeUndefined();
    await drain(world, records([{ key: 'k', bytes: 1_001 }], 1), cold(world));
    expect(raw()).toMatchObject({ spilled: { revision: raw()?.revision } });
    expect(raw()?.states.size).toBe(0);
    expect(stateOf(world, 'k', 'text')).toHaveLength(1_001);
    await drain(world, records([{ key: 'k', bytes: 1_000 }], 2), cold(world));
    expect(raw()?.spilled).toBeUndefined();
    expect(raw()?.states.get('text')).toHaveLength(1_000);
    expect(world.blobs.names()).toEqual([]);
  });

  it('costs a write unit, a put and a removal, and a get where the container is cold', async () => {
    const world = testWorld(growing, {}, { inlineStateBytes: 1_000 });
    await drain(world, records([{ key: 'k', bytes: 500_000 }]));
    const before = world.runtime.store.costs();
    await drain(world, records([{ key: 'k', bytes: 500_000 }], 1));
    const warm = world.runtime.store.costs();
    await drain(world, records([{ key: 'k', bytes: 0 }], 2), cold(world));
    const after = world.runtime.store.costs();
    // One unit for the item and two for the shard's progress.
    expect(costsBetween(before, warm)).toMatchObject({ wcu: 3, blobPuts: 1, blobGets: 0, blobRemovals: 1 });
    // The state stays the same, and so does its object.
    expect(costsBetween(warm, after)).toMatchObject({ wcu: 3, blobPuts: 0, blobGets: 1, blobRemovals: 0 });
    expect(stateOf(world, 'k', 'text')).toHaveLength(1_000_000);
  });

  it('has a limit of its own, and the record that would break it is rejected', async () => {
    const world = testWorld(growing, {}, LIMITS);
    const { report } = await deliver(
      world,
      records([6_000, 6_000, 4_000].map((bytes) => ({ key: 'k', bytes }))),
    );
    expect(report).toMatchObject({ applied: 2, deadLetters: 1 });
    expect(stateOf(world, 'k', 'text')).toHaveLength(10_000);
    expect(letters(world)[0]?.reason).toMatch(/the key's state would have 12000 bytes, the limit is 10000/);
  });

  it('leaves the item’s room to outputs', async () => {
    const world = testWorld(
      growing.map((text) => `${text.length} ${'y'.repeat(200_000)}`).to(kinesis('out')),
      {},
      { inlineStateBytes: 300_000, stateBytes: 400_000 },
    );
    const { report } = await deliver(
      world,
      records([250_000, 100_000].map((bytes) => ({ key: 'k', bytes }))),
    );
    // Beside 250 KB in the item there is no room for an output of 200 KB; the second record finds a state of 100 KB.
    expect(report).toMatchObject({ applied: 1, deadLetters: 1 });
    await drain(world, records([{ key: 'k', bytes: 250_000 }], 2));
    expect(stateOf(world, 'k', 'text')).toHaveLength(350_000);
    expect(world.sinks.get('out')?.delivered).toHaveLength(2);
  });

  it('is published as a change from its object, also by a cold container that finds its record applied', async () => {
    const world = testWorld(publishing, {}, LIMITS);
    const batch = records([{ key: 'k', bytes: 2_000 }]);
    const out = world.sinks.get('out');
    const broken = { maximumDeliveries: 500, maximumBytes: 5_000_000, deliver: async () => [] };
    await deliver(world, batch, { runtime: { ...world.runtime, sinks: new Map([['out', broken]]) } });
    expect(out?.delivered).toEqual([]);
    expect(itemOf(world, 'k')?.outbox).toMatchObject([{ value: { stateOf: 'text' } }]);
    await drain(world, batch, cold(world));
    expect(out?.values()).toEqual(['x'.repeat(2_000)]);
  });

  it('waits with its records where others fill the memory, and is read with the next batch', async () => {
    const world = testWorld(growing, {}, LIMITS);
    const keys = ['a', 'b', 'c', 'd', 'e'];
    await drain(world, records(keys.map((key) => ({ key, bytes: 2_000 }))));
    const batch = records(
      [...keys, ...keys].map((key) => ({ key, bytes: 1 })),
      5,
    );
    const { failedFrom } = await deliver(world, batch, cold(world));
    expect(failedFrom).toEqual(batch[2]?.position);
    expect(world.logged).toEqual([
      'Spilled states of some keys have no room in memory beside the others; their records come again',
    ]);
    // The records of the first keys behind it are applied and not acknowledged, so that they come again and are skipped.
    expect(await drain(world, batch.slice(2), { ...cold(world), limit: 3 })).toBeGreaterThan(1);
    for (const key of keys) expect(stateOf(world, key, 'text')).toHaveLength(2_002);
  });

  it('of all keys of the first record is read in any case, so that every record gets on', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis<string[]>('s'))
        .flatMap((keys) => keys)
        .keyBy((key) => key)
        .updateStateByKey<string>('text', (_, text = '') => text + 'x'.repeat(2_000)),
      {},
      LIMITS,
    );
    const keys = Array.from({ length: 20 }, (_, n) => `k${n}`);
    await drain(world, records([keys]));
    await drain(world, records([keys], 1), { ...cold(world), limit: 1 });
    for (const key of keys) expect(stateOf(world, key, 'text')).toHaveLength(4_000);
  });
});

describe('an item that points to an object', () => {
  const spilled = async (): Promise<TestWorld> => {
    const world = testWorld(growing, {}, LIMITS);
    await drain(world, records([{ key: 'k', bytes: 2_000 }]));
    return world;
  };
  const next = records([{ key: 'k', bytes: 1 }], 1);

  it('that is not there stops the batch loudly, and nothing is written', async () => {
    const world = await spilled();
    const name = world.blobs.names()[0] as string;
    await world.blobs.remove(name);
    const item = world.store.items().get('1/s/k');
    await expect(deliver(world, next, cold(world))).rejects.toThrow(
      /points to the object 1\/.*, which is not there or may not be read: its states are missing/,
    );
    expect(world.store.items().get('1/s/k')).toEqual(item);
  });

  it('that holds something else stops the batch loudly', async () => {
    const world = await spilled();
    const other = testWorld(growing, {}, LIMITS);
    await drain(other, records([{ key: 'k', bytes: 3_000 }]));
    const [name] = world.blobs.names();
    await world.blobs.put(name as string, other.blobs.bytes(other.blobs.names()[0] as string) as Uint8Array);
    await expect(deliver(world, next, cold(world))).rejects.toThrow();
    expect(world.store.items().get('1/s/k')?.revision).toBe(other.store.items().get('1/s/k')?.revision);
  });

  it('is never folded by a store that does not read it: its states would be lost', async () => {
    const world = await spilled();
    const plain = { ...cold(world).runtime, store: world.store };
    await expect(deliver(world, next, { runtime: plain })).rejects.toThrow(
      /has its states elsewhere, and its store does not read them: wrap it in a SpillingStateStore/,
    );
  });
});

import { describe, expect, it } from 'vitest';
import { kinesis, pipeline, type Pipeline } from '../../../shared/index.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import { sourceRecord, testWorld } from '../../support/memory-ports.ts';
import type { DeadLetter } from '../../../shared/output/dead-letter-store.ts';
import { deliver, drain, itemOf, records, rest, stateOf } from './deliver.ts';
import { outcomes } from './redriving.ts';

interface Big {
  readonly key: string;
  /** Events that it makes; one unless given. */
  readonly events?: number;
}

const BIG = 'x'.repeat(60_000);
/** Events of 60 KB: six fill an item, and three as much of it as records may that are not the first. */
const subject: Pipeline = pipeline('p')
  .from(kinesis<Big>('s'))
  .flatMap((big) => Array<Big>(big.events ?? 1).fill(big))
  .keyBy(({ key }) => key)
  .updateStateByKey<number>('n', (_, n = 0) => n + 1, { emit: 'every' })
  .map((n) => `${n} ${BIG}`)
  .to(kinesis('out'));

function ofShard(shard: number, count: number, from = 0): SourceRecord[] {
  return Array.from({ length: count }, (_, place) =>
    sourceRecord(shard, from + place, { value: { key: 'k' } }),
  );
}

describe('an outbox that is full', () => {
  it('ends the round, and the same invocation publishes and goes on', async () => {
    const world = testWorld(subject);
    const { failedFrom, report } = await deliver(world, ofShard(0, 40));
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ applied: 40, published: 40, unfinished: 0 });
    expect(
      world.sinks
        .get('out')
        ?.values()
        .map((value) => Number.parseInt(value as string)),
    ).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
    expect(world.logged).toEqual([]);
  });

  it('of one key waits for keys that are not as far, and both go on in the same invocation', async () => {
    const world = testWorld(subject);
    const batch = records([...Array<Big>(12).fill({ key: 'b' }), ...Array<Big>(12).fill({ key: 'a' })]);
    const { failedFrom, report } = await deliver(world, batch);
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ applied: 24, published: 24 });
    expect(world.logged).toEqual([]);
  });

  it('of one key does not make the invocation go round and round where another key cannot be written', async () => {
    const world = testWorld(subject);
    const { store } = world;
    const commit = store.commit.bind(store);
    store.commit = async (writes) =>
      Promise.all(
        writes.map(async (write) =>
          write.item.pk === '1/s/b' ? 'failed' : ((await commit([write]))[0] ?? 'failed'),
        ),
      );
    const batch = records([{ key: 'b' }, ...Array<Big>(20).fill({ key: 'a' })]);
    const { failedFrom, report } = await deliver(world, batch);
    expect(failedFrom).toEqual(batch[0]?.position);
    expect(report).toMatchObject({ applied: 3, published: 0, unfinished: 21 });
    store.commit = commit;
    expect(await drain(world, batch)).toBe(1);
    expect(stateOf(world, 'a', 'n')).toBe(20);
  });

  it('with the outputs of another shard is made empty by that shard’s progress', async () => {
    const world = testWorld(subject);
    await drain(world, ofShard(1, 6), { shard: 1 });
    expect(itemOf(world, 'k')?.outbox).toHaveLength(3);
    const { failedFrom, report } = await deliver(world, records([{ key: 'k', events: 4 }]));
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ applied: 1, published: 4 });
    expect(itemOf(world, 'k')?.outbox).toHaveLength(4);
    expect(world.logged).toEqual([]);
  });

  it('with outputs of another shard that are not published holds the record back, until they are', async () => {
    const world = testWorld(subject);
    const sink = world.sinks.get('out');
    const broken = { ...world.runtime, sinks: new Map([['out', refusing()]]) };
    const other = ofShard(1, 6);
    const failed = await deliver(world, other, { shard: 1, runtime: broken });
    expect(failed.failedFrom).toEqual(other[0]?.position);
    expect(itemOf(world, 'k')?.outbox).toHaveLength(3);

    const mine = records([{ key: 'k', events: 4 }]);
    const held = await deliver(world, mine);
    expect(held.failedFrom).toEqual(mine[0]?.position);
    expect(held.report).toMatchObject({ applied: 0, unfinished: 1 });
    expect(world.logged.at(-1)).toMatch(/wait for room in the item/);

    await drain(world, other, { shard: 1 });
    await drain(world, mine);
    expect(sink?.values()).toHaveLength(10);
    expect(stateOf(world, 'k', 'n')).toBe(10);
  });

  it('of what is published makes room for a redrive, though no record comes for its key any more', async () => {
    const world = testWorld(subject);
    await drain(world, [sourceRecord(0, 0, { value: 'no json' }), ...ofShard(0, 3, 1)]);
    expect(itemOf(world, 'k')?.outbox).toHaveLength(3);
    const [[name, letter]] = [...world.letters] as [[string, DeadLetter]];
    const data = Buffer.from(JSON.stringify({ key: 'k', events: 4 })).toString('base64');
    world.letters.set(name, { ...letter, data });
    expect(await outcomes(world)).toEqual(['redriven']);
    expect(world.sinks.get('out')?.values()).toHaveLength(7);
  });

  it('with outputs of another shard that wait likewise has room for the first of a batch', async () => {
    const world = testWorld(subject);
    const { store } = world;
    const commit = store.commit.bind(store);
    const withoutWritesOf = (pk: string, writes: Parameters<typeof commit>[0]): ReturnType<typeof commit> =>
      Promise.all(
        writes.map(async (write) =>
          write.item.pk === pk ? 'failed' : ((await commit([write]))[0] ?? 'failed'),
        ),
      );
    const ofEach = [0, 1].map((shard) =>
      Array.from({ length: 10 }, (_, number) =>
        sourceRecord(shard, number, { value: { key: (number === 0) === (shard === 0) ? 'a' : 'b' } }),
      ),
    ) as [SourceRecord[], SourceRecord[]];
    for (const [shard, batch] of ofEach.entries()) {
      store.commit = (writes) => withoutWritesOf(shard === 0 ? '1/s/a' : '1/s/b', writes);
      expect((await deliver(world, batch, { shard })).failedFrom).toEqual(batch[0]?.position);
    }
    store.commit = commit;
    let [left, others]: (readonly SourceRecord[])[] = ofEach;
    for (let turn = 0; turn < 10; turn++) {
      if (left.length > 0) left = rest(left, await deliver(world, left));
      if (others.length > 0) others = rest(others, await deliver(world, others, { shard: 1 }));
    }
    expect([left, others]).toEqual([[], []]);
    expect(world.sinks.get('out')?.values()).toHaveLength(20);
  });

  it('with parallelization waits for the other partition key’s own batch, for no progress tells what is published', async () => {
    const world = testWorld(subject, { parallelizationFactor: 2 });
    const lane = (partitionKey: string, count: number, from: number, events = 1): SourceRecord[] =>
      Array.from({ length: count }, (_, place) =>
        sourceRecord(0, from + place, { value: { key: 'k', events }, partitionKey }, 2),
      );
    await drain(world, lane('one', 6, 0));
    const later = lane('two', 1, 10, 4);
    const held = await deliver(world, later);
    expect(held.failedFrom).toEqual(later[0]?.position);
    await drain(world, lane('one', 1, 6));
    await drain(world, later);
    expect(stateOf(world, 'k', 'n')).toBe(11);
  });
});

describe('an outbox', () => {
  it('keeps what an unconfirmed batch left, and is cleared by the batch that proves it acknowledged', async () => {
    const world = testWorld(subject);
    await drain(world, ofShard(0, 2));
    expect(itemOf(world, 'k')?.outbox).toHaveLength(2);
    await drain(world, ofShard(0, 1, 2));
    expect(itemOf(world, 'k')?.outbox).toHaveLength(1);
  });

  it('publishes nothing beyond the last record of a batch that came back shorter', async () => {
    const world = testWorld(subject);
    const broken = { ...world.runtime, sinks: new Map([['out', refusing()]]) };
    const batch = ofShard(0, 4);
    await deliver(world, batch, { runtime: broken });
    const { report } = await deliver(world, batch.slice(0, 2));
    expect(report).toMatchObject({ duplicates: 2, published: 2 });
    expect(world.sinks.get('out')?.delivered).toHaveLength(2);
    await drain(world, batch.slice(2));
    expect(world.sinks.get('out')?.delivered).toHaveLength(4);
  });

  it('gives what it holds for a sink that is gone to nobody, says so, and the shard goes on', async () => {
    const world = testWorld(subject);
    const batch = ofShard(0, 2);
    await deliver(world, batch, { runtime: { ...world.runtime, sinks: new Map([['out', refusing()]]) } });
    const code = testWorld(
      pipeline('p')
        .from(kinesis<Big>('s'))
        .keyBy(({ key }) => key)
        .updateStateByKey<number>('n', (_, n = 0) => n + 1),
      { store: world.store },
    );
    const { failedFrom } = await deliver(code, batch);
    expect(failedFrom).toBeUndefined();
    expect(code.logged).toEqual([
      'Outputs are committed for a sink that this code does not have; they are dropped',
    ]);
  });

  it('holds no copy of a change that is the state itself, and publishes it from there', async () => {
    const changing = pipeline('p')
      .from(kinesis<Big>('s'))
      .keyBy(({ key }) => key)
      .updateStateByKey<string[]>('list', ([value], list = []) => [...list, value?.key ?? ''])
      .to(kinesis('out'));
    const world = testWorld(changing);
    await drain(world, ofShard(0, 3));
    expect(itemOf(world, 'k')?.outbox).toMatchObject([{ isChange: true, value: { stateOf: 'list' } }]);
    expect(world.sinks.get('out')?.values()).toEqual([['k', 'k', 'k']]);
  });

  it('keeps the value of a pending change whose sink stands elsewhere in newer code', async () => {
    const large = 'x'.repeat(250_000);
    const changing = (isFiltered: boolean): Pipeline => {
      const states = pipeline('p')
        .from(kinesis<Big>('s'))
        .keyBy(({ key }) => key)
        .updateStateByKey<string>('s', (_, before) => (before === undefined ? large : `${before}!`));
      return isFiltered ? states.filter(() => false).to(kinesis('out')) : states.to(kinesis('out'));
    };
    const old = testWorld(changing(false));
    const first = ofShard(1, 1);
    await deliver(old, first, {
      shard: 1,
      runtime: { ...old.runtime, sinks: new Map([['out', refusing()]]) },
    });

    const world = testWorld(changing(true), { store: old.store });
    const later = ofShard(0, 1);
    // State and copy do not fit beside each other: the record waits until the change is published.
    await deliver(world, later);
    await drain(world, first, { shard: 1 });
    await drain(world, later);
    expect(
      world.sinks
        .get('out')
        ?.values()
        .map((value) => (value as string).length),
    ).toEqual([large.length]);
    expect(stateOf(old, 'k', 's')).toHaveLength(large.length + 1);
  });
});

function refusing(): { maximumDeliveries: number; maximumBytes: number; deliver: () => Promise<boolean[]> } {
  return { maximumDeliveries: 500, maximumBytes: 5_000_000, deliver: async () => [] };
}

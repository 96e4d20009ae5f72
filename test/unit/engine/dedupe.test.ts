import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import { kinesis, pipeline, type Pipeline } from '../../../shared/index.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import { sourceRecord, START_MS, testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { deliver, drain, itemOf, letters, records, stateOf } from './deliver.ts';

interface Payment {
  readonly id: unknown;
  readonly amount: number;
}

const HOUR_MS = 3_600_000;
const payments = pipeline('p')
  .from(kinesis<Payment>('s'))
  .keyBy(() => 'k')
  .dedupeBy(({ id }) => id as string, { within: { hours: 1 } });
const sums: Pipeline = payments
  .updateStateByKey<number>('sum', ([payment], sum = 0) => {
    if (payment?.amount === 13) throw new Error('unlucky');
    return sum + (payment?.amount ?? 0);
  })
  .to(kinesis('out'));

function payment(id: unknown, amount = 1): Payment {
  return { id, amount };
}

function idsOf(world: TestWorld, operator = 'dedupe'): number {
  return ((stateOf(world, 'k', operator) as Uint8Array | undefined)?.length ?? 0) / 14;
}

describe('dedupeBy', () => {
  it('drops what a producer sent again under a new sequence number, in this batch and in later ones', async () => {
    const world = testWorld(sums);
    const { report } = await deliver(world, records([payment('a'), payment('b'), payment('a')]));
    expect(report).toMatchObject({ applied: 3, duplicates: 0, deadLetters: 0 });
    await drain(world, records([payment('b'), payment('c')], 3));
    expect(stateOf(world, 'k', 'sum')).toBe(3);
    expect(idsOf(world)).toBe(3);
  });

  it('passes values on unchanged, as the events or changes that they were', async () => {
    const source = pipeline('p')
      .from(kinesis<Payment>('s'))
      .keyBy(() => 'k');
    const events = source.dedupeBy(({ id }) => id as string, { within: { hours: 1 } }).to(kinesis('out'));
    const changes = source
      .updateStateByKey<Payment>('last', ([last]) => last)
      .dedupeBy(({ id }) => id as string, { within: { hours: 1 } })
      .to(kinesis('out'));
    const batch = records([payment('a', 1), payment('a', 2), payment('b', 3)]);
    const [first, second] = [testWorld(events), testWorld(changes)];
    await drain(first, batch);
    await drain(second, batch);
    expect(first.sinks.get('out')?.values()).toEqual([payment('a', 1), payment('b', 3)]);
    // Only the newest change counts; the one that was dropped did not take the place of the one before.
    expect(second.sinks.get('out')?.values()).toEqual([payment('b', 3)]);
    await drain(second, records([payment('b', 4)], 3));
    expect(second.sinks.get('out')?.values()).toEqual([payment('b', 3)]);
    expect(stateOf(second, 'k', 'last')).toEqual(payment('b', 4));
  });

  it('publishes a change as it passed, where a later one of the same batch was dropped and the state goes on', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis<Payment>('s'))
        .keyBy(() => 'k')
        .updateStateByKey<{ id: string; list: number[] }>('list', ([next], state) => {
          const list = state ?? { id: '', list: [] };
          list.id = next?.id as string;
          list.list.push(next?.amount ?? 0);
          return list;
        })
        .dedupeBy(({ id }) => id, { within: { hours: 1 } })
        .to(kinesis('out')),
    );
    await drain(world, records([payment('a', 1), payment('b', 2), payment('a', 3)]));
    expect(world.sinks.get('out')?.values()).toEqual([{ id: 'b', list: [1, 2] }]);
  });

  it('does not remember what a record brought that is rejected further down, whatever ran beside it', async () => {
    const world = testWorld(sums);
    const { report } = await deliver(
      world,
      records([payment('a'), payment('b', 13), payment('b', 2), payment('c', 13)]),
    );
    expect(report).toMatchObject({ applied: 2, deadLetters: 2 });
    expect(stateOf(world, 'k', 'sum')).toBe(3);
    expect(idsOf(world)).toBe(2);
    await drain(world, records([payment('c', 4)], 4));
    expect(stateOf(world, 'k', 'sum')).toBe(7);
  });

  it.each([
    ['a number', 7, /of type number/],
    ['missing', undefined, /of type undefined/],
    ['null', null, /of type null/],
    ['empty', '', /is empty/],
    ['half a character', '\ud800', /is not well-formed/],
  ])('rejects a record whose id is %s', async (_, id, reason) => {
    const world = testWorld(sums);
    await drain(world, records([payment('a'), payment(id), payment('b')]));
    expect(stateOf(world, 'k', 'sum')).toBe(2);
    expect(letters(world)).toEqual([
      { stage: 'fold', reason: expect.stringMatching(reason) as string, key: 'k' },
    ]);
  });

  it('remembers by arrival, never by the clock', async () => {
    const world = testWorld(sums);
    const at = (number: number, arrivalMs: number): SourceRecord =>
      sourceRecord(0, number, { value: payment('a'), arrivalMs });
    await drain(world, [at(0, START_MS)]);
    world.nowMs += 100 * HOUR_MS;
    await drain(world, [at(1, START_MS + HOUR_MS - 1_000)]);
    expect(stateOf(world, 'k', 'sum')).toBe(1);
    world.nowMs -= 100 * HOUR_MS;
    await drain(world, [at(2, START_MS + HOUR_MS)]);
    expect(stateOf(world, 'k', 'sum')).toBe(2);
  });

  it('keeps to its limit, and says nothing of keys that it does not know', async () => {
    const few = testWorld(
      pipeline('p')
        .from(kinesis<Payment & { key: string }>('s'))
        .keyBy(({ key }) => key)
        .dedupeBy(({ id }) => id as string, { within: { hours: 1 }, limit: 3, name: 'seen' })
        .updateStateByKey<number>('n', (_, n = 0) => n + 1),
    );
    const value = (key: string, id: string) => ({ key, ...payment(id) });
    await drain(few, records(['a', 'b', 'c', 'd', 'd', 'b', 'a'].map((id) => value('k', id))));
    await drain(
      few,
      records(
        ['a', 'b'].map((id) => value('l', id)),
        7,
      ),
    );
    // The first 'a' was forgotten for 'd'.
    expect(stateOf(few, 'k', 'n')).toBe(5);
    expect(idsOf(few, 'seen')).toBe(3);
    expect(stateOf(few, 'l', 'n')).toBe(2);
  });

  it('drops all but the first of the values with one id that one record became', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis<string[]>('s'))
        .flatMap((ids) => ids)
        .keyBy(() => 'k')
        .dedupeBy((id) => id, { within: { hours: 1 } })
        .updateStateByKey<number>('n', (_, n = 0) => n + 1),
    );
    await drain(
      world,
      records([
        ['a', 'a', 'b'],
        ['b', 'c'],
      ]),
    );
    expect(stateOf(world, 'k', 'n')).toBe(3);
  });

  it('refuses the batch where another operator was stored under its name', async () => {
    const old = testWorld(
      pipeline('p')
        .from(kinesis<Payment>('s'))
        .keyBy(() => 'k')
        .updateStateByKey<number>('dedupe', () => 1),
    );
    await drain(old, records([payment('a')]));
    const world = testWorld(sums, { store: old.store });
    await expect(deliver(world, records([payment('b')], 1))).rejects.toThrow(
      /dedupeBy 'dedupe' is no list of ids: another operator was stored under this name/,
    );
  });
});

describe('an item that holds nothing but ids', () => {
  const removing = payments.mapWithState<number, number>(
    'sum',
    ({ amount }, state) => {
      if (amount === 0) state.remove();
      else state.update((state.get() ?? 0) + amount);
      return state.get();
    },
    { initial: () => 100 },
  );
  const value = (number: number, amount: number, arrivalMs: number): SourceRecord =>
    sourceRecord(0, number, { value: payment(`id-${number}`, amount), arrivalMs });

  it('expires like a tombstone, once they too are forgotten', async () => {
    const world = testWorld(removing);
    await drain(world, [value(0, 5, START_MS)]);
    expect(itemOf(world, 'k')?.expiresAtSeconds).toBeUndefined();
    await drain(world, [value(1, 0, START_MS)]);
    expect(idsOf(world)).toBe(2);
    // Now, the horizon of 25 hours, the retention of 24, and the hour for which ids are remembered.
    expect(itemOf(world, 'k')?.expiresAtSeconds).toBe((world.nowMs + (25 + 24 + 1) * HOUR_MS) / 1_000);
  });

  it.each([
    ['is no tombstone to forget while an id may count', 26 * HOUR_MS - 1_000, 1],
    ['is forgotten like a tombstone afterwards', 26 * HOUR_MS, 101],
  ])('%s', async (_, laterMs, expected) => {
    const batch = [value(0, 5, START_MS), value(1, 0, START_MS), value(2, 1, START_MS + laterMs)];
    const [whole, cut] = [testWorld(removing), testWorld(removing)];
    await drain(whole, batch);
    for (const record of batch) await drain(cut, [record]);
    expect(stateOf(whole, 'k', 'sum')).toBe(expected);
    expect(cut.store.items().get('1/s/k')?.states).toEqual(whole.store.items().get('1/s/k')?.states);
  });
});

it('dedupeBy depends on the records alone, however they are cut (I10)', async () => {
  const record = fc.record({
    id: fc.constantFrom('a', 'b', 'c', 'd'),
    amount: fc.constantFrom(1, 2, 13),
    minutes: fc.integer({ min: -40, max: 40 }),
  });
  const tight = pipeline('p')
    .from(kinesis<Payment>('s'))
    .keyBy(() => 'k')
    .dedupeBy(({ id }) => id as string, { within: { hours: 1 }, limit: 3 })
    .updateStateByKey<string[]>('all', ([each], all = []) => {
      if (each?.amount === 13) throw new Error('unlucky');
      return [...all, `${String(each?.id)}${each?.amount}`];
    });
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { minLength: 1, maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }),
      async (values, sizes) => {
        let arrivalMs = START_MS;
        const batch = values.map(({ minutes, ...value }, number) => {
          arrivalMs += minutes * 60_000;
          return sourceRecord(0, number, { value, arrivalMs });
        });
        const [whole, cut] = [testWorld(tight), testWorld(tight)];
        await drain(whole, batch);
        for (let at = 0, turn = 0; at < batch.length; turn++) {
          const end = Math.min(batch.length, at + (sizes[turn % sizes.length] as number));
          const runtime = { ...cut.runtime, cache: new ItemCache() };
          await drain(cut, batch.slice(at, end), { runtime });
          await deliver(cut, batch.slice(Math.max(0, end - 4), end), { runtime });
          at = end;
        }
        expect(itemOf(cut, 'k')?.states).toEqual(itemOf(whole, 'k')?.states);
        expect(letters(cut)).toEqual(letters(whole));
      },
    ),
  );
});

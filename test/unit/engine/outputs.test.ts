import { describe, expect, it } from 'vitest';
import { dynamodb, kinesis, pipeline } from '../../../shared/index.ts';
import { destinationKeyOf, outputJson, requirePublishable } from '../../../shared/engine/output-value.ts';
import { KINESIS_OUTPUT_LIMIT_BYTES } from '../../../shared/engine/limits.ts';
import type { Sink } from '../../../shared/pipeline/definition.ts';
import { canonicalDocument } from '../../../shared/state/canonical-document.ts';
import { testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { deliver, drain, itemOf, letters, records, stateOf } from './deliver.ts';

const STREAM: Sink = { kind: 'kinesis', name: 'out', stream: 'out' };
const TABLE: Sink = { kind: 'dynamodb', name: 'table', table: 'table', upsertBy: 'key' };
const CALL: Sink = { kind: 'forEach', name: 'call', call: () => undefined };

function giving(output: () => unknown): TestWorld {
  return testWorld(
    pipeline('p')
      .from(kinesis<{ ok: boolean }>('s'))
      .keyBy(() => 'k')
      .mapWithState<number, unknown>('count', ({ ok }, state) => {
        state.update((state.get() ?? 0) + 1);
        return ok ? 'fine' : { given: output() };
      })
      .map((value) => (typeof value === 'string' ? value : (value as { given: unknown }).given))
      .to(kinesis('out')),
  );
}

const circular: { self?: unknown } = {};
circular.self = circular;

describe('an output that its sink could never take', () => {
  it.each([
    ['undefined', undefined, /is of type undefined, which JSON has not/],
    ['a function', () => 1, /is of type function, which JSON has not/],
    ['a symbol', Symbol('s'), /is of type symbol, which JSON has not/],
    ['a bigint', 1n, /is not JSON: TypeError/],
    ['a bigint deep inside', { a: [{ b: 1n }] }, /is not JSON: TypeError/],
    ['a cycle', circular, /is not JSON: TypeError/],
    ['what turns itself into nothing', { toJSON: () => undefined }, /which JSON has not/],
    ['more than an item holds', 'x'.repeat(400_000), /outputs have \d+ bytes; beside a state of \d+ bytes/],
    ['more than 1 MiB', 'x'.repeat(1024 * 1024), /has 1048578 bytes, the sink takes 1032192/],
  ])('rejects the record: %s', async (_, output, reason) => {
    const world = giving(() => output);
    const { failedFrom, report } = await deliver(world, records([{ ok: true }, { ok: false }, { ok: true }]));
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ applied: 2, deadLetters: 1, published: 2 });
    expect(stateOf(world, 'k', 'count')).toBe(2);
    expect(letters(world)).toEqual([
      { stage: 'output', reason: expect.stringMatching(reason) as string, key: 'k' },
    ]);
  });

  it.each([
    ['NaN', Number.NaN, /is NaN/],
    ['a date', new Date(0), /is an instance of Date/],
    ['bytes', new Uint8Array(1), /has a bigint or bytes/],
    ['a lone surrogate', '\ud800', /lone surrogate/],
    ['an empty name', { '': 1 }, /has a name of 0 bytes/],
  ])('of a table refuses %s', (_, value, reason) => {
    expect(() => outputJson(TABLE, value)).toThrow(reason);
  });

  it.each([
    ['a number', 5, /is of type number; it is a string of at most 2000 bytes/],
    ['nothing', undefined, /is of type undefined/],
    ['a lone surrogate', '\ud800', /is not well-formed or too long/],
    ['10 KB', 'x'.repeat(10_000), /is not well-formed or too long/],
    ['a Promise', Promise.resolve('a'), /the key function gave a Promise; it must be synchronous/],
  ])('refuses a destination key that is %s', async (_, key, reason) => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis<string>('s'))
        .keyBy((value) => value)
        .to(kinesis('out', { key: (value: string) => (value === 'bad' ? (key as string) : value) })),
    );
    const { report } = await deliver(world, records(['"good"', '"bad"']));
    expect(report).toMatchObject({ applied: 1, deadLetters: 1, published: 1 });
    expect(letters(world)[0]?.reason).toMatch(reason);
  });

  it('rejects a record whose sink key function throws', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis<string>('s'))
        .keyBy((value) => value)
        .to(
          kinesis('out', {
            key: () => {
              throw new Error('no key');
            },
          }),
        ),
    );
    const { report } = await deliver(world, records(['"a"']));
    expect(report).toMatchObject({ applied: 0, deadLetters: 1, published: 0 });
    expect(letters(world)).toEqual([{ stage: 'fold', reason: 'Error: no key', key: 'a' }]);
  });
});

describe('an empty destination key', () => {
  it.each([
    ['as a value', false],
    ['as a state', true],
  ])(
    'is rejected for a table that is upserted by key, %s: DynamoDB takes no empty key',
    async (_, asState) => {
      const keyed = pipeline('p')
        .from(kinesis<string>('s'))
        .keyBy((value) => value);
      const world = testWorld(
        asState
          ? keyed.updateStateByKey<number>('n', (__, n = 0) => n + 1).to(dynamodb<number>('table'))
          : keyed.to(dynamodb<string>('table')),
      );
      const { failedFrom, report } = await deliver(world, records(['""', '"a"']));
      expect(failedFrom).toBeUndefined();
      expect(report).toMatchObject({ applied: 1, deadLetters: 1, published: 1 });
      expect(letters(world)[0]?.reason).toMatch(/the destination key for table 'table' is empty/);
      expect(itemOf(world, '')?.states.size).toBe(0);
    },
  );

  it('is fine for a table that is upserted by id, for a stream, and for a call', () => {
    const byId = { ...TABLE, upsertBy: 'id' } as const;
    expect([byId, STREAM, CALL].map((sink) => destinationKeyOf(sink, 1, '', ''))).toEqual(['', '', '']);
    expect(destinationKeyOf({ ...TABLE, key: () => 'other' }, 1, '', '')).toBe('other');
  });
});

describe('an output’s size', () => {
  it('leaves room for the longest key and the envelope in a record of 1 MiB', () => {
    const key = '\u0001'.repeat(2_000);
    const room = 1024 * 1024 - KINESIS_OUTPUT_LIMIT_BYTES;
    expect(Buffer.byteLength(JSON.stringify(key)) + Buffer.byteLength(key) + 2_000).toBeLessThanOrEqual(room);
  });

  it('is measured as JSON for a stream also where the state itself is the output', () => {
    const state = canonicalDocument('\u0001'.repeat(200_000));
    expect(() => requirePublishable(STREAM, state, 'k')).toThrow(/has 1200002 bytes, the sink takes 1032192/);
    expect(() => requirePublishable(TABLE, state, 'k')).not.toThrow();
  });

  it.each([
    ['whole numbers', Array<number>(30_000).fill(9_000_000_000_000_000)],
    ['negative numbers', Array<number>(30_000).fill(-9_007_199_254_740_991)],
    ['huge numbers', Array<number>(15_000).fill(1e20)],
    ['small fractions', Array<number>(15_000).fill(-1.234567890123456e-7)],
    [
      'names of control characters',
      Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`\u0001${n}`, ''])),
    ],
    ['booleans and nulls', Array.from({ length: 80_000 }, (_, n) => (n % 2 === 0 ? null : false))],
  ])('is never more than six times the size of the state: %s', (_, value) => {
    const { bytes, document } = canonicalDocument(value);
    expect(Buffer.byteLength(JSON.stringify(document))).toBeLessThanOrEqual(bytes * 6);
  });
});

describe('outputs', () => {
  it('of one record are published in order, each with an id of its own', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis<number[]>('s'))
        .flatMap((numbers) => numbers)
        .keyBy(() => 'k')
        .flatMap((number) => [number, -number])
        .to(kinesis('out')),
    );
    await drain(world, records([[1, 2], [3]]));
    const sink = world.sinks.get('out');
    expect(sink?.values()).toEqual([1, -1, 2, -2, 3, -3]);
    expect(sink?.delivered.map(({ entry: { element, index } }) => [element, index])).toEqual([
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
      [0, 0],
      [0, 1],
    ]);
    expect(new Set(sink?.delivered.map(({ id }) => id)).size).toBe(6);
  });

  it('go to each of several sinks, behind several operators, from one item and one write', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis<number>('s'))
        .keyBy(() => 'k')
        .to(kinesis('raw'))
        .updateStateByKey<number>('sum', ([value], sum = 0) => sum + (value ?? 0))
        .to(kinesis('sums'))
        .to(dynamodb('table'))
        .mapWithState<number, string>('count', (sum, state) => {
          state.update((state.get() ?? 0) + 1);
          return `${state.get()}: ${sum}`;
        })
        .to(kinesis('texts'))
        .forEach('call', () => undefined),
    );
    let writes = 0;
    const commit = world.store.commit.bind(world.store);
    world.store.commit = async (items) => {
      writes += items.length;
      return commit(items);
    };
    await drain(world, records([1, 2, 3]));
    const values = (name: string): unknown[] | undefined => world.sinks.get(name)?.values();
    expect(values('raw')).toEqual([1, 2, 3]);
    // Of changes only the newest counts.
    expect(values('sums')).toEqual([6]);
    expect(values('table')).toEqual([6]);
    expect(values('texts')).toEqual(['1: 1', '2: 3', '3: 6']);
    expect(values('call')).toEqual(['1: 1', '2: 3', '3: 6']);
    expect(world.store.items().size).toBe(1);
    expect(writes).toBe(1);
  });

  it('of an operator with emit every are events, and each is published', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis<number>('s'))
        .keyBy(() => 'k')
        .updateStateByKey<number>('sum', ([value], sum = 0) => sum + (value ?? 0), { emit: 'every' })
        .to(kinesis('out')),
    );
    await drain(world, records([1, 2, 3]));
    expect(world.sinks.get('out')?.values()).toEqual([1, 3, 6]);
    expect(world.sinks.get('out')?.delivered.some(({ entry }) => entry.isChange)).toBe(false);
  });

  it('that are changes hold the last value that was, where the state is removed in the same batch', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis<number>('s'))
        .keyBy(() => 'k')
        .updateStateByKey<number[]>('list', ([value], list = []) => {
          // In place on purpose: what was published must not change with it.
          list.push(value ?? 0);
          return value === 0 ? undefined : list;
        })
        .to(kinesis('out')),
    );
    await drain(world, records([1, 2, 0]));
    expect(world.sinks.get('out')?.values()).toEqual([[1, 2]]);
    expect(stateOf(world, 'k', 'list')).toBeUndefined();
    expect(itemOf(world, 'k')?.outbox).toHaveLength(1);
  });

  it('that are changes under different destination keys do not supersede each other', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis<{ to: string; n: number }>('s'))
        .keyBy(() => 'k')
        .updateStateByKey<{ to: string; n: number }>('last', ([value]) => value)
        .to(kinesis('out', { key: ({ to }: { to: string; n: number }) => to })),
    );
    await drain(
      world,
      records([
        { to: 'a', n: 1 },
        { to: 'b', n: 2 },
        { to: 'a', n: 3 },
      ]),
    );
    const values = world.sinks
      .get('out')
      ?.delivered.map(({ destinationKey, json }) => `${destinationKey} ${json}`);
    expect(values?.toSorted()).toEqual(['a {"to":"a","n":3}', 'b {"to":"b","n":2}']);
  });
});

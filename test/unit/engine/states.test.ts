import { describe, expect, it } from 'vitest';
import { kinesis, pipeline, type Pipeline } from '../../../shared/index.ts';
import { testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { deliver, drain, itemOf, letters, records, stateOf } from './deliver.ts';

class Money {
  readonly cents = 5;
}
const cyclic: Record<string, unknown> = {};
cyclic['self'] = cyclic;

const source = pipeline('p').from(kinesis<number | 'bad'>('s'));

/** Below what a test wants to write, and above what an item's states may take before they are spilled. */
const LIMIT = { stateBytes: 400_000 };

/** Keeps what `next` gives of each value. */
function keeping(next: (value: number | 'bad', before: unknown) => unknown): TestWorld {
  return testWorld(
    source.keyBy(() => 'k').updateStateByKey<unknown>('n', ([value], before) => next(value ?? 0, before)),
    {},
    LIMIT,
  );
}

describe('a state', () => {
  it.each([
    ['NaN', { a: [Number.NaN] }, /^n\.a\[0\] is NaN\. Only finite numbers can be stored/],
    ['an instance of a class', new Money(), /^n is an instance of Money/],
    ['a cycle', cyclic, /is the same object as n\.self.*, which contains it/],
    ['a function', { f: () => 1 }, /^n\.f is a function/],
    ['a lone surrogate', '\udc00', /lone surrogate/],
    ['a number that DynamoDB cannot hold', 1e200, /DynamoDB stores 0 and magnitudes from/],
    ['a Promise inside', { p: Promise.resolve(1) }, /^n\.p is an instance of Promise/],
    [
      'more than an item holds',
      'x'.repeat(LIMIT.stateBytes + 1),
      /state would have \d+ bytes, the limit is 400000/,
    ],
  ])(
    'that cannot be stored rejects its record, and leaves the state as it was: %s',
    async (_, state, reason) => {
      const world = keeping((value, before) =>
        value === 'bad' ? state : [...((before ?? []) as number[]), value],
      );
      const { report } = await deliver(world, records([1, '"bad"', 2]));
      expect(report).toMatchObject({ applied: 2, deadLetters: 1 });
      expect(stateOf(world, 'k', 'n')).toEqual([1, 2]);
      expect(letters(world)).toEqual([
        { stage: 'state', reason: expect.stringMatching(reason) as string, key: 'k' },
      ]);
    },
  );

  it.each([
    ['-0, which is 0', -0, 0],
    ['the largest whole number', Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    ['a whole number beyond it', 2 ** 53 + 2, 2 ** 53 + 2],
    ['a bigint', 12_345_678_901_234_567_890n, 12_345_678_901_234_567_890n],
    ['a fraction', 0.1 + 0.2, 0.1 + 0.2],
    ['bytes', new Uint8Array([1, 2]), new Uint8Array([1, 2])],
    ['null', null, null],
    ['the empty string', '', ''],
    ['undefined properties, which go', { a: undefined, b: 1 }, { b: 1 }],
  ])('is read by a cold container as by a warm one: %s', async (_, state, expected) => {
    const seen: unknown[] = [];
    const subject = source
      .keyBy(() => 'k')
      .updateStateByKey<unknown>('n', (__, before) => {
        seen.push(before);
        return state;
      });
    const world = testWorld(subject);
    await drain(world, records([1, 2]));
    await drain(world, records([3], 2));
    const cold = testWorld(subject, { store: world.store });
    await drain(cold, records([4], 3));
    expect(seen).toEqual([undefined, expected, expected, expected]);
    expect(seen.slice(1).every((each) => Object.is(each, expected) || typeof each === 'object')).toBe(true);
  });

  it('has its names in one order, whether it comes from the record before or from the table (I10)', async () => {
    const orders: string[] = [];
    const subject = source
      .keyBy(() => 'k')
      .updateStateByKey<Record<string, number>>('n', ([value], before) => {
        if (before !== undefined) orders.push(Object.keys(before).join());
        return { z: 1, [`m${value}`]: 1, a: 1, 10: 1, 9: 1 };
      });
    const world = testWorld(subject);
    await drain(world, records([1, 1]));
    await drain(testWorld(subject, { store: world.store }), records([1], 2));
    expect(orders).toEqual(['9,10,a,m1,z', '9,10,a,m1,z']);
  });

  it('named like a prototype is a state like any other', async () => {
    const world = keeping(() => JSON.parse('{"__proto__":{"polluted":1},"constructor":2}') as unknown);
    await drain(world, records([1]));
    expect(JSON.stringify(stateOf(world, 'k', 'n'))).toBe('{"__proto__":{"polluted":1},"constructor":2}');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('is held to its limit record by record, however the batch is cut (I10)', async () => {
    const chunk = 'x'.repeat(120_000);
    const grow = (value: number | 'bad', before: unknown): unknown =>
      value === 0 ? [] : [...((before ?? []) as string[]), chunk];
    // The fourth is one too many, and what the fifth frees does not help it.
    const values = [1, 1, 1, 1, 0, 1];
    const [whole, cut] = [keeping(grow), keeping(grow)];
    const { report } = await deliver(whole, records(values));
    for (const [place, value] of values.entries()) await drain(cut, records([value], place));
    for (const world of [whole, cut]) {
      expect(stateOf(world, 'k', 'n')).toEqual([chunk]);
      expect(letters(world)).toHaveLength(1);
    }
    expect(report).toMatchObject({ applied: 5, deadLetters: 1 });
  });

  it('of several operators shares one limit', async () => {
    const world = testWorld(
      source
        .keyBy(() => 'k')
        .updateStateByKey<string>('one', () => 'x'.repeat(200_000))
        .updateStateByKey<string>('two', () => 'x'.repeat(200_001)),
      {},
      LIMIT,
    );
    await drain(world, records([1]));
    expect(letters(world)[0]?.stage).toBe('state');
    expect(itemOf(world, 'k')?.states.size).toBe(0);
  });

  it('that was got and changed in place, and never updated, did not change', async () => {
    const world = testWorld(
      source
        .keyBy(() => 'k')
        .mapWithState<{ n: number }, number>('box', (value, state) => {
          const box = state.get() ?? { n: 0 };
          box.n += 1;
          if (value === 2) return undefined;
          state.update(box);
          return box.n;
        }),
    );
    await drain(world, records([1, 2, 2, 3]));
    expect(stateOf(world, 'k', 'box')).toEqual({ n: 2 });
  });

  it('of operators that this code does not have is carried along, and counts for the limit', async () => {
    const old = testWorld(
      source.keyBy(() => 'k').updateStateByKey<string>('gone', () => 'x'.repeat(200_000)),
    );
    await drain(old, records([1]));
    const grown = source
      .keyBy(() => 'k')
      .updateStateByKey<string>('n', ([value]) => (value === 2 ? 'small' : 'x'.repeat(200_001)));
    const world = testWorld(grown, { store: old.store }, LIMIT);
    const { report } = await deliver(world, records([2, 3], 1));
    expect(report).toMatchObject({ applied: 1, deadLetters: 1 });
    const item = old.store.items().get('1/s/k');
    expect(item?.states.get('gone')).toHaveLength(200_000);
    expect(item?.states.get('n')).toBe('small');
    expect(item?.versions.get('gone')).toBe(1);
  });
});

/** Sinks that take nothing: what is committed stays pending. */
const REFUSING = {
  sinks: new Map([
    [
      'out',
      {
        maximumDeliveries: 500,
        maximumBytes: 5_000_000,
        deliver: async (deliveries: readonly unknown[]) => deliveries.map(() => false),
      },
    ],
  ]),
};

describe('a state of another version', () => {
  const versioned = (version: number): Pipeline =>
    source.keyBy(() => 'k').updateStateByKey<number>('n', (_, n = 0) => n + 1, { version });

  it.each([
    ['newer', 2, 1, /in version 2, this code is version 1: it is older than the code that wrote it/],
    ['older', 1, 2, /in version 1, this code is version 2: it has no migration from it/],
  ])('that is %s refuses the batch, and nothing is acknowledged', async (_, stored, code, message) => {
    const before = testWorld(versioned(stored));
    await drain(before, records([1]));
    const world = testWorld(versioned(code), { store: before.store });
    await expect(deliver(world, records([2], 1))).rejects.toThrow(message);
    expect(before.store.items().get('1/s/k')?.states.get('n')).toBe(1);
    expect(before.store.progress(1, records([1])[0]?.lane ?? '')?.records).toBe(1);
  });

  interface Counted {
    readonly seen: number;
    readonly by: string;
  }
  const migrating = (migrate: Record<number, (state: never, key: string) => unknown>): Pipeline =>
    source
      .keyBy(() => 'k')
      .updateStateByKey<Counted>(
        'n',
        (_, state) => ({ seen: (state?.seen ?? 0) + 1, by: state?.by ?? 'new' }),
        {
          version: 3,
          migrate,
        },
      )
      .to(kinesis('out'));
  const MIGRATE = {
    1: (state: number) => ({ seen: state }),
    2: (state: { seen: number }, key: string) => ({ ...state, by: key }),
  };

  it('is migrated step by step when it is loaded, and written with the next record', async () => {
    const before = testWorld(versioned(1));
    await drain(before, records([1, 1]));
    const world = testWorld(migrating(MIGRATE), { store: before.store });
    await drain(world, records([2], 2));
    const item = before.store.items().get('1/s/k');
    expect(item?.states.get('n')).toEqual({ by: 'k', seen: 3 });
    expect(item?.versions.get('n')).toBe(3);
    await drain(world, records([2], 3));
    expect(before.store.items().get('1/s/k')?.states.get('n')).toEqual({ by: 'k', seen: 4 });
  });

  it('is migrated for what is pending too, where no record runs', async () => {
    const before = testWorld(
      source
        .keyBy(() => 'k')
        .updateStateByKey<number>('n', (_, n = 0) => n + 1)
        .to(kinesis('out')),
      REFUSING,
    );
    await deliver(before, records([1]));
    const world = testWorld(migrating(MIGRATE), { store: before.store });
    await drain(world, records([1]));
    expect(world.sinks.get('out')?.values()).toEqual([{ by: 'k', seen: 1 }]);
  });

  it.each([
    [
      'throws',
      {
        1: () => {
          throw new Error('no such state');
        },
        2: MIGRATE[2],
      },
      /from version 1 failed .*no such state/,
    ],
    ['gives nothing', { 1: () => undefined, 2: MIGRATE[2] }, /from version 1 failed .*gave undefined/],
    ['gives what is no state', { ...MIGRATE, 2: () => ({ f: () => 1 }) }, /from version 2 failed/],
    ['gives a Promise', { ...MIGRATE, 2: async () => ({ seen: 1 }) }, /from version 2 failed .*Promise/],
    ['is too large', { ...MIGRATE, 2: () => 'x'.repeat(9_000_000) }, /from version 2 failed .*bytes/],
    [
      'does not reach back so far',
      { 2: MIGRATE[2] },
      /no migration from it; give the operator 'migrate: \{ 1/,
    ],
  ])('whose migration %s refuses the batch, and no record is lost', async (_, migrate, message) => {
    const before = testWorld(versioned(1));
    await drain(before, records([1]));
    const world = testWorld(migrating(migrate), { store: before.store });
    await expect(deliver(world, records([2], 1))).rejects.toThrow(message);
    expect(before.store.items().get('1/s/k')?.states.get('n')).toBe(1);
  });
});

describe('an operator that was renamed', () => {
  const named = (name: string, renamedFrom?: string | string[]): Pipeline =>
    source
      .keyBy(() => 'k')
      .updateStateByKey<number>(name, (_, n = 0) => n + 1, renamedFrom === undefined ? {} : { renamedFrom })
      .to(kinesis('out'));

  it.each([
    ['takes over its state', 'was'],
    ['takes over the state of any name before', ['earlier', 'was']],
  ])('%s, and leaves nothing under the name before', async (_, renamedFrom) => {
    const before = testWorld(named('was'));
    await drain(before, records([1, 1]));
    const world = testWorld(named('is', renamedFrom), { store: before.store });
    await drain(world, records([1], 2));
    const item = before.store.items().get('1/s/k');
    expect(item?.states).toEqual(new Map([['is', 3]]));
    expect(item?.versions).toEqual(new Map([['is', 1]]));
  });

  it('publishes what was pending under the name before', async () => {
    const before = testWorld(named('was'), REFUSING);
    await deliver(before, records([1]));
    const world = testWorld(named('is', 'was'), { store: before.store });
    await drain(world, records([1]));
    expect(world.sinks.get('out')?.values()).toEqual([1]);
  });

  it('refuses an item that has state under both names', async () => {
    const before = testWorld(named('was'));
    await drain(before, records([1]));
    const both = testWorld(named('is'), { store: before.store });
    await drain(both, records([1], 1));
    const world = testWorld(named('is', 'was'), { store: before.store });
    await expect(deliver(world, records([1], 2))).rejects.toThrow(/of operator 'is' and of 'was'/);
  });
});

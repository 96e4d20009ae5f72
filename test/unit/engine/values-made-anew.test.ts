import { describe, expect, it } from 'vitest';
import { kinesis, pipeline } from '../../../shared/index.ts';
import { haveSharedObjects } from '../../../shared/engine/shared-objects.ts';
import { testWorld } from '../../support/memory-ports.ts';
import { drain, letters, records, stateOf } from './deliver.ts';

interface Value {
  key: string;
  isBad?: boolean;
}

describe('a fold that runs again', () => {
  it('sees the values as keyBy left them, as the first run did (I10)', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis<Value>('s'))
        .keyBy((value) => (value.key = value.key.trim()))
        .updateStateByKey<string[]>('seen', ([value], seen = []) => {
          if (value?.isBad === true) throw new Error('bad');
          return [...seen, value?.key ?? ''];
        }),
    );
    await drain(world, records([{ key: ' a ' }, { key: 'a', isBad: true }, { key: 'a ' }]));
    expect(stateOf(world, 'a', 'seen')).toEqual(['a', 'a']);
    expect(letters(world)).toHaveLength(1);
  });

  it('does not see what an earlier run changed in a value before it threw', async () => {
    let runs = 0;
    const world = testWorld(
      pipeline('p')
        .from(kinesis<{ touched: number; isBad?: boolean }>('s'))
        .keyBy(() => 'k')
        .mapWithState<number, never>('sum', (value, state) => {
          runs += 1;
          value.touched += 1;
          state.update((state.get() ?? 0) + value.touched);
          if (value.isBad === true) throw new Error('bad');
          return undefined;
        }),
    );
    await drain(world, records([{ touched: 0 }, { touched: 0, isBad: true }, { touched: 0 }]));
    expect(runs).toBe(5);
    expect(stateOf(world, 'k', 'sum')).toBe(2);
  });

  it('decodes a record of many elements once, and not once for each of them', async () => {
    let decodes = 0;
    const world = testWorld(
      pipeline('p')
        .from(kinesis<{ items: Value[] }>('s'))
        .flatMap(({ items }) => {
          decodes += 1;
          return items;
        })
        .keyBy(({ key }) => key)
        .updateStateByKey<number>('count', ([value], count = 0) => {
          if (value?.isBad === true) throw new Error('bad');
          return count + 1;
        }),
    );
    const items = Array.from({ length: 300 }, (_, place) => ({ key: `k${place % 3}`, isBad: place === 7 }));
    await drain(world, records([{ items }]));
    expect(stateOf(world, 'k0', 'count')).toBe(100);
    // Key k1 is rejected whole: its elements are of one record, and one letter.
    expect(letters(world)).toHaveLength(1);
    expect(stateOf(world, 'k1', 'count')).toBeUndefined();
    expect(decodes).toBe(2);
  });

  it('gives each key objects of its own where elements have objects in common', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis<{ keys: string[]; common: { n: number } }>('s'))
        .flatMap(({ keys, common }) => keys.map((key) => ({ key, common })))
        .keyBy(({ key }) => key)
        .updateStateByKey<number>('n', ([value]) => (value === undefined ? 0 : ++value.common.n)),
    );
    await drain(world, records([{ keys: ['a', 'b', 'c', 'a'], common: { n: 0 } }]));
    expect(['a', 'b', 'c'].map((key) => stateOf(world, key, 'n'))).toEqual([2, 1, 1]);
  });
});

describe('objects in common', () => {
  const common = { n: 1 };
  const frozen = Object.freeze({ n: 1 });
  class Held {
    readonly #inside = common;
    get n(): number {
      return this.#inside.n;
    }
  }
  const throwing = Object.defineProperty<object>({}, 'a', {
    enumerable: true,
    get: () => {
      throw new Error('no');
    },
  });
  const bytes = new Uint8Array(4);

  it.each([
    ['nothing but primitives', ['a', 1, null, undefined], false],
    ['objects of their own', [{ a: { b: 1 } }, { a: { b: 1 } }, [1]], false],
    ['one object twice', [common, common], true],
    ['one object deep inside', [{ a: [{ common }] }, { b: { c: common } }], true],
    ['one object twice inside one value', [{ a: common, b: common }, {}], false],
    ['a frozen object', [{ frozen }, { frozen }], false],
    ['an object inside frozen ones', [Object.freeze({ common }), Object.freeze({ common })], true],
    ['a cycle of its own', [cycle(), cycle()], false],
    ['an object in maps and sets', [new Map([['a', common]]), new Set([common])], true],
    ['views of one buffer', [bytes.subarray(0, 2), bytes.subarray(2)], true],
    ['dates of their own', [new Date(0), new Date(0)], false],
    ['instances with private fields', [new Held(), {}], true],
    ['functions', [() => 1, 1], true],
    ['accessors that throw', [throwing, {}], true],
  ])('of %s', (_, values, expected) => {
    expect(haveSharedObjects(values)).toBe(expected);
  });
});

function cycle(): object {
  const value: { self?: object } = {};
  value.self = value;
  return value;
}

import { describe, expect, it } from 'vitest';
import { kinesis, pipeline, type Pipeline } from '../../../shared/index.ts';
import { testWorld } from '../../support/memory-ports.ts';
import { deliver, letters, records, stateOf } from './deliver.ts';

interface Value {
  readonly key: string;
  readonly bad?: boolean;
  touched?: number;
}

const source = pipeline('p').from(kinesis<Value>('s'));

function check({ bad }: Value): void {
  if (bad === true) throw new RangeError('refused');
}

const count = ([value]: readonly Value[], n = 0): number => n + 1 + (value?.touched ?? 0) * 1_000;

const THROWING: readonly (readonly [string, string, Pipeline])[] = [
  [
    'map',
    'stateless',
    source
      .map((value) => {
        check(value);
        return value;
      })
      .keyBy(({ key }) => key)
      .updateStateByKey<number>('n', count),
  ],
  [
    'filter',
    'stateless',
    source
      .filter((value) => {
        check(value);
        return true;
      })
      .keyBy(({ key }) => key)
      .updateStateByKey<number>('n', count),
  ],
  [
    'flatMap, half-way through a generator',
    'stateless',
    source
      .flatMap(function* (value) {
        yield value;
        check(value);
      })
      .keyBy(({ key }) => key)
      .updateStateByKey<number>('n', count),
  ],
  [
    'flatMap that gives nothing to iterate',
    'stateless',
    source
      .flatMap((value) => (value.bad === true ? (undefined as unknown as Value[]) : [value]))
      .keyBy(({ key }) => key)
      .updateStateByKey<number>('n', count),
  ],
  [
    'keyBy',
    'key',
    source
      .keyBy((value) => {
        check(value);
        return value.key;
      })
      .updateStateByKey<number>('n', count),
  ],
  [
    'a keyed map',
    'fold',
    source
      .keyBy(({ key }) => key)
      .map((value) => {
        value.touched = 1;
        check(value);
        return { ...value, touched: 0 };
      })
      .updateStateByKey<number>('n', count),
  ],
  [
    'a keyed filter',
    'fold',
    source
      .keyBy(({ key }) => key)
      .filter((value) => {
        check(value);
        return true;
      })
      .updateStateByKey<number>('n', count),
  ],
  [
    'a keyed flatMap, half-way through a generator',
    'fold',
    source
      .keyBy(({ key }) => key)
      .flatMap(function* (value) {
        yield value;
        check(value);
      })
      .updateStateByKey<number>('n', count),
  ],
  [
    'updateStateByKey',
    'fold',
    source
      .keyBy(({ key }) => key)
      .updateStateByKey<{ n: number }>('box', ([value], box = { n: 0 }) => {
        box.n += 1;
        check(value as Value);
        return box;
      })
      .updateStateByKey<number>('n', ([box]) => box?.n),
  ],
  [
    'updateStateByKey, after it changed its argument',
    'fold',
    source
      .keyBy(({ key }) => key)
      .updateStateByKey<number>('n', ([value], n = 0) => {
        const touched = ((value as Value).touched = ((value as Value).touched ?? 0) + 1);
        check(value as Value);
        return n + touched;
      }),
  ],
  [
    'mapWithState, after it updated the state',
    'fold',
    source
      .keyBy(({ key }) => key)
      .mapWithState<number, number>('n', (value, state) => {
        state.update((state.get() ?? 0) + 1);
        check(value);
        return state.get();
      }),
  ],
  [
    'an operator behind one that is done',
    'fold',
    source
      .keyBy(({ key }) => key)
      .updateStateByKey<number>('n', ([value], n = 0) => (value?.bad === true ? -1 : n + 1))
      .map((n) => {
        if (n < 0) throw new RangeError('refused');
        return n;
      }),
  ],
];

describe('a user’s function that throws on one record of many', () => {
  it.each(THROWING)('rejects that record and nothing else: %s', async (_, stage, subject) => {
    const world = testWorld(subject);
    const batch = records([{ key: 'a' }, { key: 'a', bad: true }, { key: 'b' }, { key: 'a' }]);
    const { failedFrom, report } = await deliver(world, batch);
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ records: 4, applied: 3, deadLetters: 1, unfinished: 0 });
    expect(stateOf(world, 'a', 'n')).toBe(2);
    expect(stateOf(world, 'b', 'n')).toBe(1);
    expect(letters(world)).toEqual([
      {
        stage,
        reason: expect.stringMatching(/RangeError: refused|TypeError/) as string,
        key: stage === 'fold' ? 'a' : undefined,
      },
    ]);
  });

  it('rejects an element that has no key, and not the others of its record', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis<Value[]>('s'))
        .flatMap((values) => values)
        .keyBy((value) => {
          check(value);
          return value.key;
        })
        .updateStateByKey<number>('n', count),
    );
    const { report } = await deliver(world, records([[{ key: 'a' }, { key: 'a', bad: true }, { key: 'b' }]]));
    expect(report).toMatchObject({ applied: 1, deadLetters: 1 });
    expect(stateOf(world, 'a', 'n')).toBe(1);
    expect(stateOf(world, 'b', 'n')).toBe(1);
  });

  it('rejects all elements that the record has for that key, and none of other keys', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis<Value[]>('s'))
        .flatMap((values) => values)
        .keyBy(({ key }) => key)
        .updateStateByKey<number>('n', ([value], n = 0) => {
          check(value as Value);
          return n + 1;
        }),
    );
    const { report } = await deliver(world, records([[{ key: 'a' }, { key: 'a', bad: true }, { key: 'b' }]]));
    expect(report).toMatchObject({ applied: 1, deadLetters: 1 });
    expect(stateOf(world, 'a', 'n')).toBeUndefined();
    expect(stateOf(world, 'b', 'n')).toBe(1);
    // One letter: what is whole when it is applied is whole when it is redriven.
    expect([...world.letters.values()].map(({ element, key }) => [element, key])).toEqual([[0, 'a']]);
  });

  it('rejects the record whose initial state throws, and asks again for the next', async () => {
    let asked = 0;
    const world = testWorld(
      source
        .keyBy(({ key }) => key)
        .updateStateByKey<number>('n', (_, n = 0) => n + 1, {
          initial: () => {
            asked += 1;
            // The first fold, and once more with what it did put back.
            if (asked <= 2) throw new Error('not yet');
            return 10;
          },
        }),
    );
    const { report } = await deliver(world, records([{ key: 'a' }, { key: 'a' }]));
    expect(report).toMatchObject({ applied: 1, deadLetters: 1 });
    expect(stateOf(world, 'a', 'n')).toBe(11);
  });
});

const keyed = source.keyBy(({ key }) => key);
const bad = async (value: Value | undefined): Promise<never> =>
  Promise.reject(new Error(`later ${value?.key}`));

/** What the compiler forbids, and JavaScript or a cast lets through. */
const ASYNCHRONOUS: readonly (readonly [string, Pipeline, RegExp])[] = [
  ['map', source.map(async (value) => bad(value)).keyBy(() => 'k'), /^TypeError: map gave a Promise/],
  [
    'filter',
    source.filter(bad as unknown as (value: Value) => boolean).keyBy(() => 'k'),
    /^TypeError: filter gave a Promise/,
  ],
  [
    'flatMap',
    source.flatMap(bad as unknown as (value: Value) => Value[]).keyBy(() => 'k'),
    /^TypeError: flatMap gave a Promise/,
  ],
  ['keyBy', source.keyBy(bad as unknown as (value: Value) => string), /^TypeError: keyBy gave a Promise/],
  ['a keyed map', keyed.map(bad), /^TypeError: map gave a Promise/],
  [
    'updateStateByKey',
    keyed.updateStateByKey('n', async ([value]) => bad(value)),
    /^TypeError: operator 'n' gave a Promise/,
  ],
  [
    'mapWithState',
    keyed.mapWithState('n', async (value) => bad(value)),
    /^TypeError: operator 'n' gave a Promise/,
  ],
  [
    'initial',
    keyed.updateStateByKey<unknown>('n', () => 1, { initial: async () => bad(undefined) }),
    /^TypeError: initial of operator 'n' gave a Promise/,
  ],
  [
    'zero',
    keyed.aggregateByKey<unknown>(
      'n',
      async () => bad(undefined),
      (sum) => sum,
    ),
    /^TypeError: zero of operator 'n' gave a Promise/,
  ],
  [
    'a sink’s key',
    keyed.to(kinesis('out', { key: bad as unknown as (value: Value) => string })),
    /^TypeError: the key function gave a Promise/,
  ],
  [
    'a thenable that is no Promise',
    keyed.map(() => ({ then: () => undefined })),
    /^TypeError: map gave a Promise/,
  ],
];

describe('a user’s function that is asynchronous', () => {
  it.each(ASYNCHRONOUS)('is told that it must be synchronous: %s', async (_, subject, reason) => {
    const world = testWorld(subject);
    const { report } = await deliver(world, records([{ key: 'a' }]));
    expect(report).toMatchObject({ applied: 0, deadLetters: 1, published: 0 });
    expect(letters(world)[0]?.reason).toMatch(reason);
    expect(letters(world)[0]?.reason).toContain('it must be synchronous');
    // A rejection that nobody waits for would end the process, and fail this test.
    await new Promise((resolve) => setImmediate(resolve));
  });
});

import { expect, it } from 'vitest';
import { compareStates } from '../../infra/cli/compare-states.ts';
import { PlainFold } from '../../infra/cli/plain-fold.ts';
import { keyStates, stateLine } from '../../infra/cli/state-lines.ts';
import { kinesis, pipeline } from '../../shared/index.ts';
import type { Pipeline } from '../../shared/pipeline/definition.ts';

interface Sale {
  readonly shop: string;
  readonly amount: number;
}

const sales = pipeline('sales')
  .from(kinesis<Sale>('sales'))
  .keyBy(({ shop }) => shop)
  .updateStateByKey<number>('total', ([sale], total = 0) => {
    if (sale === undefined || sale.amount < 0) throw new Error('A sale is not negative.');
    return sale.amount === 0 ? undefined : total + sale.amount;
  })
  .mapWithState<{ times: number; last: number }, number>('count', (total, state) => {
    const times = (state.get()?.times ?? 0) + 1;
    state.update({ times, last: total });
    if (total > 100) throw new Error('Too much for one shop.');
    return times;
  });

function foldOf({ definition }: Pipeline, ...lines: readonly unknown[]): PlainFold {
  const fold = new PlainFold(definition);
  for (const line of lines) fold.add(Buffer.from(typeof line === 'string' ? line : JSON.stringify(line)));
  return fold;
}

function linesOf(fold: PlainFold): string[] {
  return keyStates(sales.definition, fold.states()).map(stateLine);
}

it('folds one line after the other, through every operator', () => {
  const fold = foldOf(sales, { shop: 'b', amount: 2 }, { shop: 'a', amount: 1 }, { shop: 'b', amount: 3 });
  expect(linesOf(fold)).toEqual([
    '{"key":"a","state":{"count":{"last":1,"times":1},"total":1}}',
    '{"key":"b","state":{"count":{"last":5,"times":2},"total":5}}',
  ]);
});

it('rejects what cannot be decoded, has no key, or makes user code throw, and changes nothing by it', () => {
  const fold = foldOf(
    sales,
    { shop: 'a', amount: 1 },
    'not json',
    { amount: 1 },
    { shop: 'a', amount: -1 },
    { shop: 'a', amount: 100 },
  );
  expect(fold.deadLetters).toBe(4);
  expect(linesOf(fold)).toEqual(['{"key":"a","state":{"count":{"last":1,"times":1},"total":1}}']);
});

it('removes a state where the operator gives none', () => {
  const fold = foldOf(sales, { shop: 'a', amount: 1 }, { shop: 'a', amount: 0 });
  expect(linesOf(fold)).toEqual(['{"key":"a","state":{"count":{"last":1,"times":1}}}']);
});

it('sees a state that differs, one that is missing and one too many', () => {
  const expected = foldOf(sales, { shop: 'a', amount: 1 }, { shop: 'b', amount: 2 }).states();
  const found = foldOf(sales, { shop: 'b', amount: 3 }, { shop: 'c', amount: 2 }).states();
  const { keys, differences } = compareStates(sales.definition, expected, found);
  expect(keys).toBe(3);
  expect(differences).toEqual([
    {
      key: 'a',
      expected: '{"key":"a","state":{"count":{"last":1,"times":1},"total":1}}',
      found: undefined,
    },
    {
      key: 'b',
      expected: '{"key":"b","state":{"count":{"last":2,"times":1},"total":2}}',
      found: '{"key":"b","state":{"count":{"last":3,"times":1},"total":3}}',
    },
    {
      key: 'c',
      expected: undefined,
      found: '{"key":"c","state":{"count":{"last":2,"times":1},"total":2}}',
    },
  ]);
});

it('writes what JSON has not, and keys that are names of every object', () => {
  const state = { ['__proto__']: 1, big: 12n, bytes: new Uint8Array([1, 2]) };
  const own = Object.fromEntries(Object.entries(state));
  expect(stateLine({ key: '__proto__', state: own })).toBe(
    '{"key":"__proto__","state":{"__proto__":1,"big":{"$bigint":"12"},"bytes":{"$bytes":"AQI="}}}',
  );
});

it('shows no ids that dedupeBy remembers, and folds what it lets pass', () => {
  const deduplicated = pipeline('p')
    .from(kinesis<{ shop: string; id: string; amount: number }>('s'))
    .keyBy(({ shop }) => shop)
    .dedupeBy(({ id }) => id, { within: { hours: 1 } })
    .reduceByKey('latest', (_, sale) => sale);
  const sale = { shop: 'a', id: '1', amount: 5 };
  const fold = foldOf(deduplicated, sale, { ...sale, amount: 6 });
  expect(keyStates(deduplicated.definition, fold.states()).map(stateLine)).toEqual([
    JSON.stringify({ key: 'a', state: { amount: 5, id: '1', shop: 'a' } }),
  ]);
});

import { expect, it } from 'vitest';
import { PlainChain } from '../../infra/cli/plain-chain.ts';
import { keyStates, stateLine } from '../../infra/cli/state-lines.ts';
import { kinesis, pipeline } from '../../shared/index.ts';
import type { Pipeline } from '../../shared/pipeline/definition.ts';

interface Sale {
  readonly shop: string;
  readonly amount: number;
}

const totals = pipeline('totals')
  .from(kinesis<Sale>('sales'))
  .keyBy(({ shop }) => shop)
  .updateStateByKey<{ shop: string; total: number }>('total', ([sale], before) => {
    const { shop, amount } = sale as Sale;
    if (amount < 0) throw new Error('A sale is not negative.');
    return { shop, total: (before?.total ?? 0) + amount };
  })
  .to(kinesis('totals'));

const large = pipeline('large')
  .from(kinesis<Sale>('sales'))
  .keyBy(({ shop }) => shop)
  .mapWithState<number, Sale>('seen', (sale, state) => {
    state.update((state.get() ?? 0) + 1);
    return sale.amount > 10 ? sale : undefined;
  })
  .to(kinesis('large'));

const newest = pipeline('newest')
  .from(kinesis<{ shop: string; total: number }>('totals'))
  .keyBy(({ shop }) => shop)
  .updateStateByKey<number>('newest', ([change]) => change?.total);

const counted = (stream: string): Pipeline =>
  pipeline('counted')
    .from(kinesis<{ shop: string }>(stream))
    .keyBy(({ shop }) => shop)
    .aggregateByKey(
      'count',
      () => 0,
      (count) => count + 1,
    )
    .to(kinesis('counts'));

function resultsOf(chain: readonly Pipeline[], ...sales: readonly unknown[]) {
  const plain = new PlainChain(chain.map(({ definition }) => definition));
  for (const sale of sales) plain.add(Buffer.from(JSON.stringify(sale)));
  return plain.results().map(({ definition, states, deadLetters }) => ({
    states: states && keyStates(definition, states).map(stateLine),
    deadLetters,
  }));
}

const SALES = [
  { shop: 'a', amount: 3 },
  { shop: 'b', amount: 20 },
  { shop: 'a', amount: 30 },
  { shop: 'a', amount: -1 },
  { shop: 'b', amount: 40 },
];

it('feeds the next pipeline what the one before publishes, and nothing of a record that is rejected', () => {
  expect(resultsOf([totals, newest], ...SALES)).toEqual([
    {
      states: ['{"key":"a","state":{"shop":"a","total":33}}', '{"key":"b","state":{"shop":"b","total":60}}'],
      deadLetters: 1,
    },
    { states: ['{"key":"a","state":33}', '{"key":"b","state":60}'], deadLetters: 0 },
  ]);
});

it('counts every event', () => {
  expect(resultsOf([large, counted('large')], ...SALES)[1]).toEqual({
    states: ['{"key":"a","state":1}', '{"key":"b","state":2}'],
    deadLetters: 0,
  });
});

it('says that it does not know what comes of changes where those in between matter', () => {
  expect(resultsOf([totals, counted('totals')], ...SALES)[1]).toEqual({ states: undefined, deadLetters: 0 });
});

it('counts dead letters of every pipeline', () => {
  const strict = pipeline('strict')
    .from(kinesis<Sale>('large'))
    .keyBy(({ shop }) => shop)
    .updateStateByKey<number>('last', ([sale]) => {
      if ((sale?.amount ?? 0) > 30) throw new Error('Too large.');
      return sale?.amount;
    });

  expect(resultsOf([large, strict], ...SALES)[1]).toEqual({
    states: ['{"key":"a","state":30}', '{"key":"b","state":20}'],
    deadLetters: 1,
  });
});

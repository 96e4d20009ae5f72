import { describe, expect, it } from 'vitest';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import type { Runtime } from '../../../shared/engine/runtime.ts';
import { dynamodb, kinesis, lookupTable, pipeline, type Row } from '../../../shared/index.ts';
import type { LookupPort } from '../../../shared/lookup/lookup-port.ts';
import { testPipeline } from '../../../shared/testing/index.ts';
import { testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { deliver, letters, records, stateOf } from '../engine/deliver.ts';
import { outcomes } from '../engine/redriving.ts';

interface Order {
  readonly customer: string;
  readonly product?: unknown;
  readonly amount: number;
}

const PRICES = lookupTable<{ readonly price: number }>('prices', { partitionKey: 'product' });
const RULES = lookupTable<{ readonly value: { readonly factor: number } }>('rules');

const spending = pipeline('spending')
  .from(kinesis<Order>('orders'))
  .keyBy(({ customer }) => customer)
  .lookup(
    PRICES,
    ({ product }) => product as string | undefined,
    ({ amount }, row) => {
      if (row?.price === 13) throw new Error('bad luck');
      return amount * (row?.price ?? 1);
    },
  )
  .broadcast(RULES, (spent, rules) => spent * (rules.get('all')?.value.factor ?? 1))
  .reduceByKey('spent', (sum, each) => sum + each)
  .lookup(
    lookupTable<{ readonly name: string }>('names'),
    (_, customer) => customer,
    (spent, row) => ({ spent, name: row?.name ?? 'nobody' }),
    { staleness: { seconds: 5 } },
  )
  .to(dynamodb('spent'));

/** Tables whose rows change, and what was asked of them. */
class Tables implements LookupPort {
  readonly asked: string[] = [];
  readonly rows: Record<string, Record<string, Row>> = {
    prices: { apple: { product: 'apple', price: 2 }, pear: { product: 'pear', price: 3 } },
    rules: { all: { pk: 'all', value: { factor: 10 } } },
    names: { ann: { pk: 'ann', name: 'Ann' } },
  };
  failure: string | undefined;

  async get(table: string, _: string, keys: readonly string[]): Promise<ReadonlyMap<string, Row>> {
    this.asked.push(`${table} ${keys.join()}`);
    if (this.failure !== undefined) throw new Error(this.failure);
    const rows = this.rows[table] ?? {};
    return new Map(keys.flatMap((key) => (key in rows ? [[key, rows[key] as Row]] : [])));
  }

  async all(table: string): Promise<ReadonlyMap<string, Row>> {
    this.asked.push(table);
    return new Map(Object.entries(this.rows[table] ?? {}));
  }
}

function world(tables: Tables): TestWorld {
  return testWorld(spending, { lookups: tables });
}

function published({ sinks }: TestWorld): unknown[] {
  return sinks.get('spent')?.values() ?? [];
}

describe('lookup and broadcast', () => {
  it('read what a batch needs in one request to each table, and nothing twice while it is fresh', async () => {
    const tables = new Tables();
    const subject = world(tables);
    const orders: Order[] = [
      { customer: 'ann', product: 'apple', amount: 1 },
      { customer: 'bob', product: 'pear', amount: 1 },
      { customer: 'ann', product: 'none', amount: 4 },
      { customer: 'ann', amount: 2 },
    ];
    await deliver(subject, records(orders));
    expect(stateOf(subject, 'ann', 'spent')).toBe(80);
    expect(stateOf(subject, 'bob', 'spent')).toBe(30);
    expect(published(subject)).toEqual(
      expect.arrayContaining([
        { spent: 80, name: 'Ann' },
        { spent: 30, name: 'nobody' },
      ]),
    );
    expect(tables.asked.toSorted()).toEqual(['names ann,bob', 'prices apple,none,pear', 'rules']);
    await deliver(subject, records([{ customer: 'ann', product: 'pear', amount: 1 }], 10));
    expect(tables.asked).toHaveLength(3);
    expect(stateOf(subject, 'ann', 'spent')).toBe(110);
  });

  it('see a row that has changed once what was read is older than its staleness', async () => {
    const tables = new Tables();
    const subject = world(tables);
    await deliver(subject, records([{ customer: 'ann', product: 'apple', amount: 1 }]));
    tables.rows['names'] = { ann: { pk: 'ann', name: 'Anna' } };
    tables.rows['prices'] = {};
    subject.nowMs += 5_000;
    await deliver(subject, records([{ customer: 'ann', product: 'apple', amount: 1 }], 1));
    expect(published(subject).at(-1)).toEqual({ spent: 40, name: 'Ann' });
    subject.nowMs += 1;
    await deliver(subject, records([{ customer: 'ann', product: 'apple', amount: 1 }], 2));
    expect(published(subject).at(-1)).toEqual({ spent: 60, name: 'Anna' });
    subject.nowMs += 55_000;
    await deliver(subject, records([{ customer: 'ann', product: 'apple', amount: 1 }], 3));
    expect(stateOf(subject, 'ann', 'spent')).toBe(70);
  });

  it('are read once by a batch that sees its clock set back', async () => {
    const tables = new Tables();
    const subject = world(tables);
    const get = tables.get.bind(tables);
    tables.get = async (...given) => {
      subject.nowMs -= 3_600_000;
      if (tables.asked.length > 10) throw new Error('It is read again and again.');
      return get(...given);
    };
    await deliver(subject, records([{ customer: 'ann', product: 'apple', amount: 1 }]));
    expect(tables.asked.toSorted()).toEqual(['names ann', 'prices apple', 'rules']);
  });

  it('keep no more of large rows from one batch to the next than a container can hold', async () => {
    const tables = new Tables();
    const product = (at: number) => `p${at}`;
    const large = 'x'.repeat(300_000);
    tables.rows['prices'] = Object.fromEntries(
      Array.from({ length: 100 }, (_, at) => [product(at), { product: product(at), price: 1, large }]),
    );
    const subject = world(tables);
    const orders = Array.from({ length: 100 }, (_, at) => ({
      customer: 'ann',
      product: product(at),
      amount: 1,
    }));
    await deliver(subject, records(orders));
    expect(stateOf(subject, 'ann', 'spent')).toBe(1_000);
    await deliver(subject, records([{ customer: 'ann', product: product(99), amount: 1 }], 100));
    expect(subject.runtime.knownTables?.get('prices')?.rows.size).toBeLessThan(30);
    expect(tables.asked).toHaveLength(3);
    await deliver(subject, records([{ customer: 'ann', product: product(0), amount: 1 }], 101));
    expect(tables.asked.at(-1)).toBe('prices p0');
  });

  it('keep what a record became, whatever the table says when it comes again', async () => {
    const tables = new Tables();
    const subject = world(tables);
    const batch = records([{ customer: 'ann', product: 'apple', amount: 1 }]);
    await deliver(subject, batch);
    tables.rows['prices'] = { apple: { product: 'apple', price: 100 } };
    const runtime: Runtime = { ...subject.runtime, cache: new ItemCache() };
    delete runtime.knownTables;
    await deliver(subject, batch, { runtime });
    expect(stateOf(subject, 'ann', 'spent')).toBe(20);
    expect(published(subject).every((value) => (value as { spent: number }).spent === 20)).toBe(true);
  });

  it('give user code rows that it cannot change', async () => {
    const tables = new Tables();
    const changing = pipeline('changing')
      .from(kinesis<Order>('orders'))
      .keyBy(({ customer }) => customer)
      .lookup(
        lookupTable<{ price: number }>('prices'),
        () => 'apple',
        (_, row) => {
          if (row !== undefined) row.price = 0;
          return 1;
        },
      )
      .reduceByKey('n', (sum, each) => sum + each);
    const subject = testWorld(changing, { lookups: tables });
    await deliver(subject, records([{ customer: 'ann', amount: 1 }]));
    expect(letters(subject)).toMatchObject([
      { stage: 'fold', reason: expect.stringContaining('price') as string },
    ]);
    expect(tables.rows['prices']?.['apple']).toMatchObject({ price: 2 });
  });

  it.each([
    [7, "the key to look up in table 'prices' is a value of type number"],
    ['', "the key to look up in table 'prices' is an empty text"],
    ['\ud800', "the key to look up in table 'prices' is a text with a lone surrogate"],
    ['x'.repeat(2_049), "the key to look up in table 'prices' is 2049 bytes of UTF-8"],
  ])('reject a record whose key cannot be looked up', async (product, reason) => {
    const subject = world(new Tables());
    const { failedFrom } = await deliver(subject, records([{ customer: 'ann', product, amount: 1 }]));
    expect(failedFrom).toBeUndefined();
    expect(letters(subject)).toEqual([
      { stage: 'fold', key: 'ann', reason: expect.stringContaining(reason) as string },
    ]);
  });

  it('fail the batch where a table cannot be read, and lose nothing', async () => {
    const tables = new Tables();
    const subject = world(tables);
    const batch = records([{ customer: 'ann', product: 'apple', amount: 1 }]);
    tables.failure = "Table 'prices' is throttled";
    await expect(deliver(subject, batch)).rejects.toThrow("Table 'prices' is throttled");
    expect(subject.store.items().size).toBe(0);
    tables.failure = undefined;
    expect((await deliver(subject, batch)).failedFrom).toBeUndefined();
    expect(stateOf(subject, 'ann', 'spent')).toBe(20);
  });

  it('read rows for a letter that is redriven, in a container that knows none', async () => {
    const tables = new Tables();
    tables.rows['prices'] = { apple: { product: 'apple', price: 13 } };
    const subject = world(tables);
    await deliver(subject, records([{ customer: 'ann', product: 'apple', amount: 1 }]));
    expect(letters(subject)).toMatchObject([{ reason: expect.stringContaining('bad luck') as string }]);
    tables.rows['prices'] = { apple: { product: 'apple', price: 4 } };
    const runtime: Runtime = { ...subject.runtime, cache: new ItemCache() };
    delete runtime.knownTables;
    expect(await outcomes(subject, {}, runtime)).toEqual(['redriven']);
    expect(stateOf(subject, 'ann', 'spent')).toBe(40);
  });

  it('see what was mended before a letter is redriven, in the container that read it a moment ago', async () => {
    const tables = new Tables();
    tables.rows['prices'] = { apple: { product: 'apple', price: 13 } };
    const subject = world(tables);
    await deliver(subject, records([{ customer: 'ann', product: 'apple', amount: 1 }]));
    tables.rows['prices'] = { apple: { product: 'apple', price: 4 } };
    expect(await outcomes(subject)).toEqual(['redriven']);
    expect(stateOf(subject, 'ann', 'spent')).toBe(40);
  });

  it('are tested with tables in memory, under faults too', async () => {
    const test = testPipeline<Order>(spending, { tables: new Tables().rows });
    await test.send(
      { customer: 'ann', product: 'apple', amount: 3 },
      { customer: 'bob', product: 'pear', amount: 1 },
    );
    expect(test.outputs('spent').map(({ value }) => value)).toEqual([
      { spent: 60, name: 'Ann' },
      { spent: 30, name: 'nobody' },
    ]);
    await test.underFaults({ seeds: 30 });
  });

  it('tell a test which table it has not given', async () => {
    await expect(
      testPipeline<Order>(spending, { tables: { names: {} } }).send({
        customer: 'a',
        product: 'b',
        amount: 1,
      }),
    ).rejects.toThrow(/There is no table '(?:prices|rules)' to look up; there is 'names'/);
  });

  it('refuse a staleness that is none, a nameless key, and two keys of one table', () => {
    const keyed = pipeline('p')
      .from(kinesis<Order>('orders'))
      .keyBy(({ customer }) => customer);
    expect(() => keyed.broadcast(RULES, (value) => value, { staleness: { seconds: 0 } })).toThrow(
      /'staleness' of the broadcast of table 'rules'/,
    );
    expect(() => lookupTable('prices', { partitionKey: '' })).toThrow(/'partitionKey' is ""/);
    expect(() =>
      keyed.broadcast(lookupTable('prices'), (value) => value).broadcast(PRICES, (value) => value),
    ).toThrow(/looks up the tables 'prices' by 'pk' and 'prices' by 'product'/);
  });

  it('stand behind keyBy alone', () => {
    const stream = pipeline('p').from(kinesis<Order>('orders'));
    // @ts-expect-error A key must not hang on what a table says today.
    expect(stream.lookup).toBeUndefined();
  });
});

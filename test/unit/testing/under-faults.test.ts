import { describe, expect, it } from 'vitest';
import { kinesis, pipeline, type Pipeline } from '../../../shared/index.ts';
import { BrokenRuleError, testPipeline, type FaultOptions } from '../../../shared/testing/index.ts';

interface Payment {
  readonly key: string;
  readonly amount: number;
}

const source = pipeline('payments').from(kinesis<Payment>('payments'));
const byKey = source.keyBy(({ key }) => key);
const SENT: readonly Payment[] = [1, 2, 3, 4, 5, 6].map((amount) => ({
  key: amount % 2 ? 'a' : 'b',
  amount,
}));

/** What `underFaults` finds wrong. */
async function errorOf(tested: Pipeline, options: FaultOptions = { seeds: 20 }): Promise<BrokenRuleError> {
  const test = testPipeline<Payment>(tested);
  await test.send(...SENT);
  const error: unknown = await test.underFaults(options).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(BrokenRuleError);
  return error as BrokenRuleError;
}

describe('underFaults', () => {
  it('finds a fold that throws dice', async () => {
    const error = await errorOf(
      byKey.updateStateByKey<number>('dice', ([payment]) => (payment?.amount ?? 0) + Math.random()),
    );
    expect(error).toMatchObject({ rule: 'pureFunctions', records: [{ key: 'a', amount: 1 }] });
    expect(error.message).toMatch(
      /^Operator 'dice' gives two results for one input. It calls Math.random\(\)/,
    );
  });

  it('finds a fold that asks for the time, however fast it is', async () => {
    const error = await errorOf(byKey.mapWithState('stamp', ({ amount }) => ({ amount, at: new Date() })));
    expect(error).toMatchObject({ rule: 'pureFunctions', records: [{ key: 'a', amount: 1 }] });
    expect(error.message).toMatch(/Operator 'stamp'.*It calls new Date\(\)/);
    const other = await errorOf(byKey.map(({ amount }) => amount + Date.now()));
    expect(other.message).toMatch(/^Map \(step 1 behind keyBy\).*Date.now\(\)/);
  });

  it('leaves a fold alone that asks for the time and makes nothing of it', async () => {
    const test = testPipeline<Payment>(
      byKey.updateStateByKey<number>(
        'sum',
        ([payment], sum = 0) => sum + (payment?.amount ?? 0) + 0 * Date.now(),
      ),
    );
    await test.send(...SENT);
    await expect(test.underFaults({ seeds: 1 })).resolves.toBeDefined();
  });

  it('finds a counter in a module', async () => {
    let calls = 0;
    const error = await errorOf(byKey.updateStateByKey<number>('count', () => ++calls));
    expect(error).toMatchObject({ rule: 'pureFunctions', records: [{ key: 'a', amount: 1 }] });
    expect(error.message).toMatch(/^Operator 'count'.*a variable of its module/);
  });

  it('finds an object of a module that a fold changes in place', async () => {
    const zero = { sum: 0 };
    const error = await errorOf(
      byKey.aggregateByKey(
        'sum',
        () => zero,
        (total, { amount }) => {
          total.sum += amount;
          return total;
        },
      ),
    );
    expect(error).toMatchObject({ rule: 'pureFunctions' });
    expect(error.message).toMatch(/^Operator 'sum'/);
  });

  it('finds what a module remembers, which shows only once', async () => {
    const seen = new Set<number>();
    const error = await errorOf(
      byKey.updateStateByKey<number>('sum', ([payment], sum = 0) => {
        const amount = payment?.amount ?? 0;
        const isNew = !seen.has(amount);
        seen.add(amount);
        return sum + (isNew ? amount : 0);
      }),
    );
    expect(error.rule).toBe('pureFunctions');
    expect(error.message).toMatch(/remembers something between two calls/);
  });

  it('finds keys that are not determined by the record', async () => {
    const error = await errorOf(
      source.keyBy(({ key }) => `${key}-${Math.random() < 0.5 ? 0 : Math.random()}`),
    );
    expect(error.rule).toBe('deterministicKeys');
    expect(error.message).toMatch(/^keyBy gives two results for one input. It calls Math.random\(\)/);
  });

  it('finds what is not pure in front of a repartition and behind it', async () => {
    const moved = pipeline('moved')
      .from(kinesis('lines', { codec: 'text' }))
      .repartition('by-chance', (line) => `${line}${Math.random()}`)
      .keyBy((line) => line)
      .aggregateByKey(
        'count',
        () => 0,
        (count) => count + 1,
      );
    const inFront = testPipeline<string>(moved);
    await inFront.send('a', 'b');
    await expect(inFront.underFaults()).rejects.toThrow(
      /The key function of repartition 'by-chance' gives two results/,
    );

    const stamped = pipeline('stamped')
      .from(kinesis('lines', { codec: 'text' }))
      .repartition('by-line', (line) => line)
      .keyBy((line) => line)
      .aggregateByKey(
        'last',
        () => 0,
        () => Date.now(),
      );
    const behind = testPipeline<string>(stamped);
    await behind.send('a', 'b');
    await expect(behind.underFaults()).rejects.toMatchObject({ rule: 'pureFunctions', records: ['a'] });
  });

  it('finds a fold that changes an object which another key is given too', async () => {
    const shared = source
      .flatMap((payment) => {
        const details = { amount: payment.amount };
        return ['x', 'y'].map((key) => ({ key, details }));
      })
      .keyBy(({ key }) => key)
      .updateStateByKey<number>('sum', ([element], sum = 0) => {
        if (element === undefined) return sum;
        element.details.amount += 1;
        return sum + element.details.amount;
      });
    const error = await errorOf(shared);
    expect(error).toMatchObject({ rule: 'unchangedInput', records: [{ key: 'a', amount: 1 }] });
    expect(error.message).toMatch(/^Operator 'sum' changes the value that it is given/);
  });

  it('finds a consumer that counts changes as if they were events, and not one that keeps the newest', async () => {
    const sums = byKey
      .updateStateByKey<number>('sum', ([payment], sum = 0) => sum + (payment?.amount ?? 0))
      .to(kinesis('sums'));
    const error = await errorOf(sums, { seeds: 20, consume: (outputs) => outputs.length });
    expect(error.rule).toBe('changesAreNotEvents');
    expect(error.records).toHaveLength(2);
    expect(error.message).toContain(`underFaults({ from: ${error.seed}, seeds: 1 })`);
    const test = testPipeline<Payment>(sums);
    await test.send(...SENT);
    const newest: FaultOptions['consume'] = (outputs) =>
      new Map(outputs.map(({ key, value }) => [key, value]));
    await expect(test.underFaults({ seeds: 20, consume: newest })).resolves.toMatchObject({ seeds: 20 });
  });

  it('lets a consumer count events, and finds one that depends on the order of keys', async () => {
    const events = byKey.mapWithState('echo', ({ amount }) => amount).to(kinesis('echoes'));
    const test = testPipeline<Payment>(events);
    await test.send(...SENT);
    await expect(test.underFaults({ seeds: 20, consume: ({ length }) => length })).resolves.toBeDefined();
    const error = await errorOf(events, {
      seeds: 20,
      consume: (outputs) => outputs.map(({ value }) => value),
    });
    expect(error.rule).toBe('orderBetweenKeys');
    expect(error.records.length).toBeLessThanOrEqual(3);
  });

  it('leaves clock and chance as they were', async () => {
    const sources = (): unknown[] => [
      Date,
      Reflect.get(Math, 'random'),
      Reflect.get(performance, 'now'),
      Reflect.get(crypto, 'randomUUID'),
    ];
    const before = sources();
    await errorOf(byKey.map(() => crypto.randomUUID()));
    expect(sources()).toEqual(before);
    expect(Object.hasOwn(performance, 'now')).toBe(false);
    expect(new Date(0).toISOString()).toBe('1970-01-01T00:00:00.000Z');
  });
});

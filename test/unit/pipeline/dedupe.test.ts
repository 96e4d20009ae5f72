import { describe, expect, it } from 'vitest';
import { kinesis, pipeline, type DedupeOptions } from '../../../shared/index.ts';

const orders = pipeline('orders')
  .from(kinesis<{ id: string }>('orders'))
  .keyBy(({ id }) => id);

function withOptions(options: unknown): () => unknown {
  return () => orders.dedupeBy(({ id }) => id, options as DedupeOptions);
}

describe('dedupeBy', () => {
  it.each([{ hours: 24 }, { seconds: 1 }, { minutes: 1, seconds: 30 }, { days: 0.5 }, { days: 400 }])(
    'takes %j',
    (within) => {
      expect(withOptions({ within })).not.toThrow();
    },
  );

  it.each<unknown>([
    undefined,
    null,
    60,
    '1 hour',
    {},
    { seconds: 0 },
    { seconds: 0.5 },
    { seconds: -1, hours: 1 },
    { hours: Number.NaN },
    { hours: '1' },
    { weeks: 1 },
    { constructor: 1 },
    { hours: Number.POSITIVE_INFINITY },
    [60],
  ])('refuses %j as the time', (within) => {
    expect(withOptions({ within })).toThrow(
      /'within' of dedupeBy 'dedupe' is .*; it is whole seconds, at least one/,
    );
  });

  it.each<unknown>([0, 1.5, 10_001, Number.NaN, '5'])('refuses %j as the limit', (limit) => {
    expect(withOptions({ within: { hours: 1 }, limit })).toThrow(
      `'limit' of dedupeBy 'dedupe' is ${String(limit)}; it is a whole number from 1 to 10000.`,
    );
  });

  it('twice in one pipeline needs a name', () => {
    const once = orders.dedupeBy(({ id }) => id, { within: { hours: 1 } });
    expect(() => once.dedupeBy(({ id }) => id, { within: { hours: 1 } })).toThrow(
      /two operators named 'dedupe', .* give each its own with the option 'name'/,
    );
    expect(
      once.dedupeBy(({ id }) => id, { within: { hours: 1 }, name: 'again' }).definition.keyedStages,
    ).toHaveLength(2);
    expect(withOptions({ within: { hours: 1 }, name: 'a b' })).toThrow(/operator name "a b" cannot be used/);
  });
});

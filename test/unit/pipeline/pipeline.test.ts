import { describe, expect, it } from 'vitest';
import { dynamodb, kinesis, pipeline } from '../../../shared/index.ts';
import { sinksOf } from '../../../shared/pipeline/definition.ts';

const keyed = pipeline('orders')
  .from(kinesis<{ id: string }>('orders'))
  .keyBy(({ id }) => id);

describe('a pipeline', () => {
  it('is frozen data, and every method gives a new one', () => {
    const longer = keyed.map(({ id }) => id);
    expect(keyed.definition.keyedStages).toHaveLength(0);
    expect(longer.definition.keyedStages).toHaveLength(1);
    expect(Object.isFrozen(longer.definition)).toBe(true);
    expect(Object.isFrozen(longer.definition.keyedStages)).toBe(true);
    expect(Object.isFrozen(longer.definition.keyedStages[0])).toBe(true);
  });

  it('runs none of the functions that it is given while it is built', () => {
    const fail = (): never => {
      throw new Error('ran');
    };
    expect(() =>
      pipeline('p')
        .from(kinesis('s'))
        .map(fail)
        .flatMap(fail)
        .filter(fail)
        .keyBy(fail)
        .updateStateByKey('a', fail, { initial: fail })
        .mapWithState('b', fail)
        .aggregateByKey('c', fail, fail)
        .reduceByKey('d', fail)
        .dedupeBy(fail, { within: { hours: 1 } })
        .to(kinesis('out', { key: fail }))
        .forEach('call', fail),
    ).not.toThrow();
  });

  it.each(['', '1a', 'a b', 'ä', 'a/b', 'x'.repeat(64), '__proto__', 'a.b'])(
    'refuses %j as the name of a pipeline, stream, table, operator and sink',
    (name) => {
      const message = /a name begins with a letter and has at most 63/;
      expect(() => pipeline(name)).toThrow(message);
      expect(() => kinesis(name)).toThrow(message);
      expect(() => dynamodb(name)).toThrow(message);
      expect(() => keyed.mapWithState(name, () => undefined)).toThrow(message);
      expect(() => keyed.forEach(name, () => undefined)).toThrow(message);
      expect(() => kinesis('out', { name })).toThrow(message);
    },
  );

  it('refuses a name that is no string, and shows it', () => {
    expect(() => pipeline(undefined as unknown as string)).toThrow(/pipeline name undefined cannot be used/);
  });

  it('refuses a policy that does not exist', () => {
    expect(() => pipeline('p', { onRecordError: 'ignore' as 'stop' })).toThrow(
      /onRecordError is "ignore"; allowed are 'deadLetter', 'parkKey', 'stop'/,
    );
  });

  it.each([
    [2, {}, /'migrate' has the versions none/],
    [2, { 2: (s: number) => s }, /has the versions 2; .* up to 1/],
    [4, { 1: (s: number) => s, 3: (s: number) => s }, /has the versions 1, 3; .* up to 3/],
    [1, { 0: (s: number) => s }, /has the versions 0/],
    [2, { '1.5': (s: number) => s }, /has the versions 1\.5/],
  ])('refuses migrations to version %i that lead nowhere: %j', (version, migrate, message) => {
    const keyed = pipeline('p').from(kinesis<number>('s')).keyBy(String);
    expect(() => keyed.updateStateByKey<number>('n', () => 1, { version, migrate })).toThrow(message);
  });

  it.each([
    ['the name of another operator', 'a', 'a'],
    ['what another was named before', 'x', 'before'],
    ['its own name', 'x', 'x'],
  ])('refuses an operator that was renamed from %s', (_, name, renamedFrom) => {
    const keyed = pipeline('p')
      .from(kinesis<number>('s'))
      .keyBy(String)
      .updateStateByKey<number>('a', () => 1, { renamedFrom: 'before' });
    expect(() => keyed.updateStateByKey<number>(name, () => 1, { renamedFrom })).toThrow(
      /two operators named/,
    );
  });

  it('refuses two operators of one name, because the name is where the state is stored', () => {
    const counted = keyed.updateStateByKey<number>('count', (_, count = 0) => count + 1);
    expect(() => counted.mapWithState('count', () => undefined)).toThrow(/two operators named 'count'/);
  });

  it('refuses two sinks of one name, and takes a stream twice under two names', () => {
    const first = keyed.to(kinesis('out'));
    expect(() => first.to(kinesis('out'))).toThrow(/two sinks named 'out'/);
    const both = first.to(kinesis('out', { name: 'again' }));
    expect(sinksOf(both.definition).map(({ name }) => name)).toEqual(['out', 'again']);
  });

  it.each([
    ['by-day', 'by_day'],
    ['Orders', 'orders'],
  ])('refuses the sinks %s and %s, whose destinations would be one environment variable', (one, other) => {
    expect(() => keyed.to(kinesis(one)).to(dynamodb(other))).toThrow(
      `has the sinks '${one}' and '${other}', which share one environment variable`,
    );
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses %d as the version of a state', (version) => {
    expect(() => keyed.mapWithState('m', () => undefined, { version })).toThrow(
      `version is ${version}; it is a whole number from 1`,
    );
  });

  it.each([0, 23, 8_761, 24.5, Number.NaN])('refuses a retention of %d hours', (retentionHours) => {
    expect(() => kinesis('s', { retentionHours })).toThrow(/Kinesis allows whole hours from 24 to 8760/);
  });

  it('refuses a schema for records that are not JSON', () => {
    const schema = {
      '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) },
    } as const;
    expect(() => kinesis('s', { codec: 'text', schema } as unknown as { codec: 'text' })).toThrow(
      "a schema needs codec 'json'; codec is 'text'",
    );
  });

  it('applies reusable pieces before and after keyBy', () => {
    const built = pipeline('p')
      .from(kinesis<number>('s'))
      .transform((stream) => stream.map((value) => value + 1))
      .keyBy(String)
      .transform((stream) => stream.filter((value) => value > 0));
    expect(built.definition.stages).toHaveLength(1);
    expect(built.definition.keyedStages).toHaveLength(1);
  });
});

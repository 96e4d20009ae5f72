import { describe, expect, it } from 'vitest';
import { dynamodb, kinesis, lookupTable, pipeline } from '../../../shared/index.ts';
import { sinkVariable } from '../../../shared/lambda/environment.ts';
import { readSettings } from '../../../shared/lambda/settings.ts';

const { definition } = pipeline('orders')
  .from(kinesis('orders'))
  .keyBy(() => 'k')
  .to(kinesis('by-day'))
  .to(dynamodb('totals'))
  .forEach('mail', () => undefined);

const COMPLETE = {
  TIDEMARK_STATE_TABLE: 'state',
  TIDEMARK_BUCKET: 'bucket',
  TIDEMARK_SINK_BY_DAY: 'by-day-4711',
  TIDEMARK_SINK_TOTALS: 'totals-4711',
};

describe('the settings of a function', () => {
  it('name the tables in which rows are looked up, each once', () => {
    const looking = pipeline('looking')
      .from(kinesis<string>('all'))
      .keyBy(() => 'k')
      .broadcast(lookupTable('price-list'), (value) => value)
      .lookup(
        lookupTable('price-list'),
        () => 'a',
        (value) => value,
      );
    const named = { ...COMPLETE, TIDEMARK_LOOKUP_PRICE_LIST: 'prices-4711' };
    expect(readSettings(looking.definition, named).lookups).toEqual(new Map([['price-list', 'prices-4711']]));
    expect(() => readSettings(looking.definition, COMPLETE)).toThrow(
      /TIDEMARK_LOOKUP_PRICE_LIST is missing\. The/,
    );
  });

  it('come from its environment, and need nothing for the user’s own calls', () => {
    expect(readSettings(definition, COMPLETE)).toEqual({
      stateTable: 'state',
      bucket: 'bucket',
      parallelizationFactor: 1,
      writes: 'partiql',
      streams: [],
      streamArns: [],
      retention: { keepLast: 24, keepDaily: 7 },
      fullEvery: 8,
      memoryMb: 128,
      checkpointReadUnits: 3_000,
      awaitsFork: false,
      sinks: new Map([
        ['by-day', 'by-day-4711'],
        ['totals', 'totals-4711'],
      ]),
      lookups: new Map(),
    });
  });

  it('say whether a new pipeline awaits its fork', () => {
    const awaits = (of: string): boolean =>
      readSettings(definition, { ...COMPLETE, TIDEMARK_FORK_OF: of }).awaitsFork;
    expect([awaits('orders-before'), awaits('')]).toEqual([true, false]);
  });

  it('name every variable that is missing or wrong in one error', () => {
    const environment = {
      TIDEMARK_BUCKET: '',
      TIDEMARK_PARALLELIZATION_FACTOR: '11',
      TIDEMARK_WRITES: 'both',
    };
    const read = (): unknown => readSettings(definition, environment);
    expect(read).toThrow(expect.objectContaining({ name: 'ConfigurationError' }) as Error);
    for (const part of [
      "The function of pipeline 'orders' cannot run",
      'TIDEMARK_STATE_TABLE is missing',
      'TIDEMARK_BUCKET is missing',
      'TIDEMARK_SINK_BY_DAY is missing',
      'TIDEMARK_SINK_TOTALS is missing',
      "TIDEMARK_PARALLELIZATION_FACTOR is '11', allowed are 1 to 10",
      "TIDEMARK_WRITES is 'both', allowed are 'partiql' and 'single'",
    ]) {
      expect(read).toThrow(part);
    }
  });

  it.each(['0', '-1', '1.5', 'two', '', 'NaN', 'Infinity'])('refuse %j as a factor', (factor) => {
    expect(() => readSettings(definition, { ...COMPLETE, TIDEMARK_PARALLELIZATION_FACTOR: factor })).toThrow(
      `TIDEMARK_PARALLELIZATION_FACTOR is '${factor}'`,
    );
  });

  it.each(['1', '10'])('take %s as a factor', (factor) => {
    const environment = { ...COMPLETE, TIDEMARK_PARALLELIZATION_FACTOR: factor };
    expect(readSettings(definition, environment).parallelizationFactor).toBe(Number(factor));
  });

  it('name a sink’s variable as an environment can hold it', () => {
    expect(sinkVariable('by-day_2')).toBe('TIDEMARK_SINK_BY_DAY_2');
  });
});

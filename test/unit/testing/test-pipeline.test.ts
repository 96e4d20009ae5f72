import { describe, expect, it } from 'vitest';
import airportDelays from '../../../functions/airport-delays/pipeline.ts';
import wordCount from '../../../functions/word-count/pipeline.ts';
import { kinesis, outputs, pipeline } from '../../../shared/index.ts';
import { testPipeline } from '../../../shared/testing/index.ts';

interface Flight {
  readonly origin: string;
  readonly delay: number;
}

describe('testPipeline', () => {
  it('gives state and outputs of what was sent, and goes on from there', async () => {
    const test = testPipeline<Flight>(airportDelays);
    await test.send({ origin: 'ATL', delay: 20 }, { origin: 'SEA', delay: 0 });
    expect(test.state('ATL')).toMatchObject({ delays: { flights: 1, late: 1 } });
    await test.send({ origin: 'ATL', delay: 0 });
    expect(test.state('ATL')).toMatchObject({ delays: { flights: 2, late: 1, lateShare: 0.5 } });
    expect(test.state('ORD')).toBeUndefined();
    const published = test.outputs<{ flights: number }>('airport-delays');
    expect(published.map(({ key, value }) => [key, value.flights])).toEqual([
      ['ATL', 1],
      ['SEA', 1],
      ['ATL', 2],
    ]);
    expect(new Set(published.map(({ id }) => id)).size).toBe(3);
  });

  it('names the sinks that there are where one is asked for that is not', () => {
    expect(() => testPipeline(airportDelays).outputs('delays')).toThrow(
      /no sink 'delays'; it has 'airport-delays'/,
    );
  });

  it('shows dead letters with their stage, reason and key', async () => {
    const picky = pipeline('picky')
      .from(kinesis<{ key: string; amount: number }>('input'))
      .keyBy(({ key }) => key)
      .aggregateByKey(
        'sum',
        () => 0,
        (sum, { amount }) => {
          if (amount < 0) throw new RangeError('negative');
          return sum + amount;
        },
      );
    const test = testPipeline<{ key: string; amount: number }>(picky);
    await test.send({ key: 'a', amount: 1 }, { key: 'a', amount: -1 }, { key: 'a', amount: 2 });
    await test.sendBytes('not JSON');
    expect(test.state('a')).toEqual({ sum: 3 });
    const letters = test.deadLetters();
    expect(letters).toMatchObject([
      { stage: 'fold', key: 'a', reason: 'RangeError: negative' },
      { stage: 'decode' },
    ]);
    await expect(test.underFaults({ seeds: 5 })).resolves.toMatchObject({ seeds: 5, records: 4 });
  });

  it('lets time pass, by which duplicates are forgotten', async () => {
    const counted = pipeline('counted')
      .from(kinesis('input', { codec: 'text' }))
      .keyBy(() => 'all')
      .dedupeBy((id) => id, { within: { hours: 24 } })
      .aggregateByKey(
        'count',
        () => 0,
        (count) => count + 1,
      );
    const test = testPipeline<string>(counted);
    const startMs = test.nowMs;
    await test.send('x', 'x');
    expect(test.state('all')).toMatchObject({ count: 1 });
    await test.advance({ hours: 25 });
    expect(test.nowMs - startMs).toBeGreaterThanOrEqual(25 * 3_600_000);
    await test.send('x');
    expect(test.state('all')).toMatchObject({ count: 2 });
    await expect(test.underFaults({ seeds: 5 })).resolves.toMatchObject({ records: 3 });
  });

  it('feeds a chained pipeline with values, as outputs of another', async () => {
    const next = pipeline('next')
      .from(outputs<{ key: string }>('middle', { upstreamRetentionHours: 24 }))
      .keyBy(({ key }) => key)
      .aggregateByKey(
        'count',
        () => 0,
        (count) => count + 1,
      )
      .to(kinesis('counts'));
    const test = testPipeline<{ key: string }>(next);
    await test.send({ key: 'a' }, { key: 'b' }, { key: 'a' });
    expect(test.state('a')).toEqual({ count: 2 });
    await expect(test.underFaults({ seeds: 5 })).resolves.toMatchObject({ records: 3 });
  });

  it('says that a pipeline with the policy stop stands in front of a rejected record', async () => {
    const stopping = pipeline('stopping', { onRecordError: 'stop' })
      .from(kinesis('input'))
      .keyBy(() => 'all')
      .aggregateByKey(
        'count',
        () => 0,
        (count) => count + 1,
      );
    await expect(testPipeline(stopping).sendBytes('not JSON')).rejects.toThrow(
      /does not come to rest.*'stop'/,
    );
  });

  it('runs a pure pipeline through many worlds in which much goes wrong', async () => {
    const test = testPipeline<string>(wordCount);
    await test.send('the quick fox', 'the lazy dog', 'the end', 'of the fox');
    const report = await test.underFaults({
      seeds: 20,
      consume: (words) => Object.fromEntries(words.map(({ key, value }) => [key, value])),
    });
    expect(report).toMatchObject({ seeds: 20, records: 4 });
    expect(Object.keys(report.happened).length).toBeGreaterThan(10);
  });

  it('runs both halves of a pipeline with a repartition', async () => {
    const arrivals = pipeline('arrivals')
      .from(kinesis<{ readonly destinations: readonly string[] }>('flights'))
      .flatMap(({ destinations }) => destinations)
      .repartition('by-destination', (destination) => destination)
      .keyBy((destination) => destination)
      .aggregateByKey(
        'count',
        () => 0,
        (count) => count + 1,
      )
      .to(kinesis('arrivals'));
    const test = testPipeline<{ destinations: string[] }>(arrivals);
    await test.send({ destinations: ['ATL', 'SEA'] }, { destinations: ['ATL'] }, { destinations: [] });
    await test.sendBytes('not JSON');
    expect(test.state('ATL')).toEqual({ count: 2 });
    // Keys have no order between them.
    const of = (key: string): unknown[] =>
      test.outputs('arrivals').flatMap((output) => (output.key === key ? [output.value] : []));
    expect([of('ATL'), of('SEA')]).toEqual([[1, 2], [1]]);
    expect(test.deadLetters()).toMatchObject([{ stage: 'decode', stream: 'flights' }]);
    await expect(
      test.underFaults({
        seeds: 30,
        consume: (counts) => Object.fromEntries(counts.map(({ key, value }) => [key, value])),
      }),
    ).resolves.toMatchObject({ seeds: 30, records: 4 });
  });

  it('refuses to run nothing', async () => {
    await expect(testPipeline(wordCount).underFaults()).rejects.toThrow(/nothing was sent/);
  });
});

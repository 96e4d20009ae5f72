import { beforeAll, describe, expect, it } from 'vitest';
import airportTraffic from '../../../functions/airport-traffic/pipeline.ts';
import { testPipeline } from '../../../shared/testing/index.ts';
import { departures, trafficOf, type Departure, type TrafficRow } from './departures.ts';

const flight = (date: string, delay = 0): Departure => ({ origin: 'ORD', date: `2001/01/01 ${date}`, delay });

describe('airport-traffic', () => {
  const flights = departures(1_000);
  const expected = trafficOf(flights);
  let test: ReturnType<typeof testPipeline<Departure>>;
  beforeAll(async () => {
    test = testPipeline<Departure>(airportTraffic);
    await test.send(...flights);
    await test.advance({ minutes: 2 });
  });

  it('has one row for each airport and window that is over, with its flights and their delays', () => {
    const rows = test.outputs<{ readonly value: TrafficRow }>('airport-traffic');
    expect(new Map(rows.map(({ key, value }) => [key, value.value]))).toEqual(expected.closed);
    // Not one of them is given twice.
    expect(rows).toHaveLength(expected.closed.size);
  });

  it('leaves out flights that left hours too late', () => {
    expect(expected.late).toBeGreaterThan(0);
    expect(test.deadLetters()).toEqual([]);
  });

  it('keeps what is not over in the state of its airport alone', () => {
    const airports = new Set(flights.map(({ origin }) => origin));
    const open = new Set([...expected.open.keys()].map((key) => key.slice(0, 3)));
    for (const airport of airports)
      expect([airport, test.state(airport) !== undefined]).toEqual([airport, open.has(airport)]);
  });

  it('counts a flight in the windows that wait for it, and in no other', async () => {
    const own = testPipeline<Departure>(airportTraffic);
    // The watermark is at 12:01 then: 06:00 to 12:00 is over, 09:00 to 15:00 is not.
    await own.send(
      flight('10:00'),
      flight('12:31'),
      flight('10:30', 125),
      flight('05:00', 455),
      flight('19:00'),
    );
    const rows = own.outputs<{ readonly value: TrafficRow }>('airport-traffic');
    expect(rows.map(({ key, value }) => [key, value.value.flights])).toEqual([
      ['ORD@2001-01-01T06:00:00.000Z', 1],
      ['ORD@2001-01-01T09:00:00.000Z', 3],
      ['ORD@2001-01-01T12:00:00.000Z', 1],
    ]);
  });

  it('rejects a flight without a time that can be read', async () => {
    const own = testPipeline<Departure>(airportTraffic);
    await own.send({ origin: 'ORD', date: 'yesterday', delay: 0 });
    expect(own.deadLetters()).toMatchObject([{ stage: 'schema' }]);
  });
});

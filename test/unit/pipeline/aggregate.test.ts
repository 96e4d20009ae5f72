import { describe, expect, it } from 'vitest';
import {
  all,
  count,
  countByValue,
  distinct,
  frequent,
  kinesis,
  last,
  maxBy,
  mean,
  pipeline,
  stats,
  sum,
  topN,
  where,
  type Pipeline,
} from '../../../shared/index.ts';
import { programOf } from '../../../shared/engine/program.ts';
import { testPipeline } from '../../../shared/testing/index.ts';

interface Flight {
  readonly origin: string;
  readonly to: string;
  readonly delay: number;
}

const byOrigin = pipeline('airports')
  .from(kinesis<Flight>('flights'))
  .keyBy(({ origin }) => origin);

const summary = byOrigin
  .aggregate(
    'summary',
    all({
      flights: count(),
      late: where((flight) => flight.delay > 15, count()),
      delay: mean((flight) => flight.delay),
      spread: stats((flight) => flight.delay),
      worst: maxBy((flight) => flight.delay),
      last: last(),
      destinations: countByValue((flight) => flight.to, { limit: 3 }),
      often: frequent(2, { of: (flight) => flight.to }),
      top: topN(2, { of: (flight) => flight.to, by: (flight) => flight.delay }),
      reached: distinct((flight) => flight.to, { precision: 8 }),
    }),
  )
  .to(kinesis('summaries'));

function flight(origin: string, to: string, delay: number): Flight {
  return { origin, to, delay };
}

/** Whether a sink's outputs refer to the state. */
function refersToState(tested: Pipeline): boolean[] {
  return programOf(tested.definition).steps.flatMap((step) =>
    step.kind === 'sink' ? [step.stateOf !== undefined] : [],
  );
}

describe('aggregate', () => {
  it('publishes the result after each value, as a change', async () => {
    const test = testPipeline<Flight>(summary);
    await test.send(flight('ATL', 'SEA', 20), flight('ATL', '__proto__', 0));
    const outputs = test.outputs('summaries');
    expect(outputs.map(({ isChange }) => isChange)).toEqual([true, true]);
    expect(outputs[1]?.value).toEqual({
      flights: 2,
      late: 1,
      delay: 10,
      spread: { count: 2, sum: 20, mean: 10, variance: 100, standardDeviation: 10 },
      worst: flight('ATL', 'SEA', 20),
      last: flight('ATL', '__proto__', 0),
      destinations: [
        { value: 'SEA', count: 1 },
        { value: '__proto__', count: 1 },
      ],
      often: [
        { value: 'SEA', count: 1, error: 0 },
        { value: '__proto__', count: 1, error: 0 },
      ],
      top: [
        { measure: 20, value: 'SEA' },
        { measure: 0, value: '__proto__' },
      ],
      reached: 2,
    });
  });

  it('rejects a record of which one part cannot be taken, in all parts, and goes on', async () => {
    const test = testPipeline<Flight>(summary);
    await test.send(
      flight('ATL', 'SEA', 1),
      { ...flight('ATL', 'SEA', 2), delay: '2' as unknown as number },
      flight('ATL', 'a\ud800', 3),
      flight('ATL', 'ORD', 4),
      flight('ATL', 'DEN', 5),
      flight('ATL', 'BOS', 6),
      flight('ATL', 'SEA', 7),
    );
    expect(test.outputs<{ flights: number }>('summaries').at(-1)?.value.flights).toBe(4);
    expect(test.deadLetters().map(({ reason }) => reason)).toEqual([
      expect.stringMatching(/mean was given a value of type string; it takes 0 and numbers/),
      expect.stringMatching(/countByValue was given a text with a lone surrogate/),
      expect.stringMatching(/countByValue counts 3 different values, and this is another; its limit is 3/),
    ]);
  });

  it('holds under faults', async () => {
    const test = testPipeline<Flight>(summary);
    const airports = ['ATL', 'SEA'];
    for (let number = 0; number < 24; number++) {
      const to = ['ORD', 'DEN', '', 'BOS'][number % 3] as string;
      await test.send(flight(airports[number % 2] as string, to, number === 11 ? Number.NaN : number * 0.1));
    }
    await expect(test.underFaults({ seeds: 15 })).resolves.toBeDefined();
  });

  it('has outputs refer to the state where that is the result, and copies any other', () => {
    const counts = all({ flights: count(), late: where((value: Flight) => value.delay > 15, count()) });
    expect(refersToState(byOrigin.aggregate('n', count()).to(kinesis('out')))).toEqual([true]);
    expect(refersToState(byOrigin.aggregate('n', counts).to(kinesis('out')))).toEqual([true]);
    expect(
      refersToState(
        byOrigin
          .aggregate(
            's',
            sum(({ delay }) => delay),
          )
          .to(kinesis('out')),
      ),
    ).toEqual([false]);
  });

  it('stops its shard in front of a state of another aggregation', async () => {
    const before = byOrigin.aggregate('flights', count());
    const [stage] = before.definition.keyedStages;
    const [other] = byOrigin.aggregate(
      'flights',
      mean(({ delay }) => delay),
    ).definition.keyedStages;
    if (stage?.kind !== 'stateful' || other?.kind !== 'stateful') throw new Error('No operators.');
    const cell = { get: () => 3, copy: () => 3, set: () => undefined, remove: () => undefined };
    const context = { arrivalMs: 0 };
    expect(stage.fold('ATL', flight('ATL', 'SEA', 1), cell, context)).toEqual([4]);
    expect(() => other.fold('ATL', flight('ATL', 'SEA', 1), cell, context)).toThrow(
      expect.objectContaining({
        name: 'ConfigurationError',
        message: expect.stringMatching(
          /^The state of operator 'flights' is none of its aggregation/,
        ) as string,
      }) as Error,
    );
  });
});

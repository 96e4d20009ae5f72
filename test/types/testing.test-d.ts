import { describe, expectTypeOf, it } from 'vitest';
import { kinesis, pipeline, type DeadLetter } from '../../shared/index.ts';
import { testPipeline, type FaultReport } from '../../shared/testing/index.ts';

// Checked by the compiler alone, with `npm run types`: a line marked as an expected error must be one.

interface Flight {
  readonly origin: string;
}
const source = pipeline('p').from(kinesis<Flight>('flights'));
const flights = source.keyBy(({ origin }) => origin);

describe('types of testPipeline', () => {
  it('say what is sent, and what comes out', () => {
    const test = testPipeline<Flight>(flights);
    expectTypeOf(test.send({ origin: 'ATL' })).toEqualTypeOf<Promise<void>>();
    expectTypeOf(test.state<{ delays: number }>('ATL')).toEqualTypeOf<{ delays: number } | undefined>();
    expectTypeOf(test.outputs<number>().map(({ value }) => value)).toEqualTypeOf<number[]>();
    expectTypeOf(test.outputs().map(({ value }) => value)).toEqualTypeOf<unknown[]>();
    expectTypeOf(test.deadLetters()).toEqualTypeOf<readonly DeadLetter[]>();
    expectTypeOf(test.underFaults()).resolves.toEqualTypeOf<FaultReport>();
  });

  it('refuse what is no whole pipeline, no record and no time', () => {
    // @ts-expect-error: it has no key yet.
    testPipeline(source);
    const test = testPipeline<Flight>(flights);
    // @ts-expect-error: it has no origin.
    expectTypeOf(test.send({ from: 'ATL' })).toEqualTypeOf<Promise<void>>();
    // @ts-expect-error: hours, not hour.
    expectTypeOf(test.advance({ hour: 1 })).toEqualTypeOf<Promise<void>>();
  });
});

import type { InvokeCommand } from '@aws-sdk/client-lambda';
import { describe, expect, it } from 'vitest';
import { runErrand } from '../../../infra/cli/letter-errand.ts';
import type { LetterResult } from '../../../shared/engine/letter-results.ts';
import type { LettersEvent } from '../../../shared/lambda/letters-command.ts';

type Answer = (event: LettersEvent) => readonly LetterResult[] | Error;

/** A function of Lambda that answers so. */
function answering(answer: Answer) {
  const asked: (readonly string[])[] = [];
  const send = async ({ input }: InvokeCommand): Promise<object> => {
    const event = JSON.parse(Buffer.from(input.Payload as Uint8Array).toString()) as LettersEvent;
    asked.push(event.names);
    const given = answer(event);
    return given instanceof Error
      ? {
          FunctionError: 'Unhandled',
          Payload: Buffer.from(
            JSON.stringify({ errorType: 'Runtime.ExitError', errorMessage: given.message }),
          ),
        }
      : { Payload: Buffer.from(JSON.stringify({ results: given })) };
  };
  return { asked, lambda: { send } as unknown as Parameters<typeof runErrand>[0] };
}

async function run(
  answer: Answer,
  names: readonly string[],
  isInterrupted = () => false,
): Promise<{ results: LetterResult[]; left: readonly string[]; asked: (readonly string[])[] }> {
  const { asked, lambda } = answering(answer);
  const results: LetterResult[] = [];
  const left = await runErrand(lambda, 'f', 'redrive', names, false, isInterrupted, (result) =>
    results.push(result),
  );
  return { results, left, asked };
}

const done = (name: string): LetterResult => ({ name, outcome: 'redriven' });

describe('the redrive of many letters', () => {
  it('asks again for those that were not begun, and for no other', async () => {
    const { results, left, asked } = await run(
      ({ names }) => names.map((name, place) => (place < 2 ? done(name) : { name, outcome: 'notBegun' })),
      ['a', 'b', 'c', 'd', 'e'],
    );
    expect(results.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(left).toEqual([]);
    expect(asked[0]).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(asked[1]?.[0]).toBe('c');
  });

  it('finds the one that kills the process, and goes on behind it', async () => {
    const { results, asked } = await run(
      ({ names }) => (names.includes('c') ? new Error('exit status 1') : names.map(done)),
      ['a', 'b', 'c', 'd'],
    );
    expect(results).toEqual([
      done('a'),
      done('b'),
      { name: 'c', outcome: 'unfinished', reason: 'the function failed: Runtime.ExitError: exit status 1' },
      done('d'),
    ]);
    expect(asked.slice(1)).toEqual([['a'], ['b'], ['c'], ['d']]);
  });

  it('gives up where nothing is begun any more, and says what is left', async () => {
    const { results, left, asked } = await run(
      ({ names }) => names.map((name) => ({ name, outcome: 'notBegun' })),
      ['a', 'b'],
    );
    expect(results).toEqual([]);
    expect(left).toEqual(['a', 'b']);
    expect(asked).toHaveLength(3);
  });

  it('stops between two invocations when it is interrupted', async () => {
    let count = 0;
    const names = Array.from({ length: 1_200 }, (_, number) => String(number));
    const { results, left } = await run(
      (event) => event.names.map(done),
      names,
      () => count++ > 0,
    );
    expect(results).toHaveLength(500);
    expect(left).toEqual(names.slice(500));
  });
});

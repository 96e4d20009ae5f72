import { describe, expect, it } from 'vitest';
import { askRemotely, Interrupted, type RemoteOptions } from '../../../infra/cli/remote-rewind.ts';
import { timeOf } from '../../../infra/cli/time-argument.ts';

interface Answered {
  readonly FunctionError?: string;
  readonly Payload: Uint8Array;
}

function answer(payload: object, FunctionError?: string): Answered {
  return {
    Payload: Buffer.from(JSON.stringify(payload)),
    ...(FunctionError !== undefined && { FunctionError }),
  };
}

function failure(errorType: string): Answered {
  return answer({ errorType, errorMessage: 'why' }, 'Unhandled');
}

/** Asks for the control row. @param answers in order; the last one for ever. */
function asking(answers: readonly (Answered | Error)[], isInterrupted = (): boolean => false) {
  const pauses: number[] = [];
  let asked = 0;
  const send = (async () => {
    const next = answers[Math.min(asked++, answers.length - 1)];
    if (next instanceof Error) throw next;
    return next;
  }) as unknown as RemoteOptions['lambda']['send'];
  const ask = askRemotely({
    lambda: { send },
    functionName: 'f',
    wait: async (ms) => void pauses.push(ms),
    isInterrupted,
    say: () => undefined,
  });
  return { answer: ask({ step: 'control' }), pauses, asked: () => asked };
}

describe('a step of a rewind', () => {
  const done = answer({ generation: 2 });

  it('is asked for again while the process dies of a record, until it is found', async () => {
    const dying = Array.from({ length: 19 }, () => failure('Runtime.ExitError'));
    const asked = asking([...dying, done]);
    expect(await asked.answer).toEqual({ generation: 2 });
    expect(asked.pauses.slice(0, 6)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 10_000]);
  });

  it('is given up where it fails again and again', async () => {
    const asked = asking([failure('Error')]);
    await expect(asked.answer).rejects.toThrow(
      "Step 'control' of the rewind: the function failed: Error: why.",
    );
    expect(asked.asked()).toBe(5);
  });

  it('is not asked for again where the answer would be the same', async () => {
    const asked = asking([failure('CheckpointError')]);
    await expect(asked.answer).rejects.toThrow('CheckpointError: why');
    expect(asked.asked()).toBe(1);
  });

  it('waits where Lambda has no room, and fails where it is not allowed', async () => {
    const full = Object.assign(new Error('slow down'), { name: 'TooManyRequestsException' });
    expect(await asking([full, done]).answer).toEqual({ generation: 2 });
    const denied = asking([Object.assign(new Error('no'), { name: 'AccessDeniedException' })]);
    await expect(denied.answer).rejects.toThrow('no');
    expect(denied.asked()).toBe(1);
  });

  it('is not begun where the command is to end', async () => {
    const asked = asking([done], () => true);
    await expect(asked.answer).rejects.toBeInstanceOf(Interrupted);
    expect(asked.asked()).toBe(0);
  });
});

describe('a time', () => {
  it.each([
    ['2026-11-25T09:00Z', Date.UTC(2026, 10, 25, 9)],
    ['90m', 10 ** 12 - 90 * 60_000],
    ['7d', 10 ** 12 - 7 * 86_400_000],
    ['latest', undefined],
    ['before-2', undefined],
    ['2026-11-28T00-35-33-989Z-56f6444d7f', undefined],
  ])('%s is %s', (text, expected) => {
    expect(timeOf(text, 10 ** 12)).toBe(expected);
  });
});

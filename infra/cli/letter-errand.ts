import type { LambdaClient } from '@aws-sdk/client-lambda';
import type { LetterResult } from '../../shared/engine/letter-results.ts';
import type { LettersAnswer, LettersEvent } from '../../shared/lambda/letters-command.ts';
import { invokeFunction } from './invoke-function.ts';

/** Letters that one invocation is asked for: their names take some 100 KB of the 6 MB that an event may have. */
export const LETTERS_PER_INVOCATION = 500;

/** Invocations in a row in which nothing was begun, after which it is given up. */
const IDLE_INVOCATIONS_LIMIT = 3;

/**
 * Has the pipeline's function redrive or drop letters, one invocation after the other. An invocation that fails as a
 * whole, because a record kills the process, is made again with each of its letters alone: what it did is done, and the
 * one that kills is found.
 * @param names those of one key in their order.
 * @param onResult told of each letter that is through.
 * @returns the letters that nobody came to, where it was interrupted or nothing went on.
 */
export async function runErrand(
  lambda: Pick<LambdaClient, 'send'>,
  functionName: string,
  action: LettersEvent['tidemark'],
  names: readonly string[],
  isForced: boolean,
  isInterrupted: () => boolean,
  onResult: (result: LetterResult) => void,
): Promise<readonly string[]> {
  let queue = names;
  let size = LETTERS_PER_INVOCATION;
  /** Letters that are sent alone. */
  let alone = 0;
  let idle = 0;
  while (queue.length > 0 && idle < IDLE_INVOCATIONS_LIMIT && !isInterrupted()) {
    const asked = queue.slice(0, alone > 0 ? 1 : size);
    const event: LettersEvent = { tidemark: action, names: asked, force: isForced };
    const answer = await invoke(lambda, functionName, event);
    if (typeof answer === 'string') {
      if (asked.length > 1) {
        alone = asked.length;
        continue;
      }
      for (const name of asked) onResult({ name, outcome: 'unfinished', reason: answer });
      queue = queue.slice(1);
      alone = Math.max(0, alone - 1);
      continue;
    }
    const left = new Set<string>();
    for (const result of answer) {
      if (result.outcome === 'notBegun') left.add(result.name);
      else onResult(result);
    }
    idle = left.size === asked.length ? idle + 1 : 0;
    alone = Math.max(0, alone - (asked.length - left.size));
    size = Math.max(1, Math.min(LETTERS_PER_INVOCATION, 2 * (asked.length - left.size)));
    queue = queue.filter((name, place) => place >= asked.length || left.has(name));
  }
  return queue;
}

/** @returns the results; in words what went wrong where the function failed. @throws where it could not be invoked. */
async function invoke(
  lambda: Pick<LambdaClient, 'send'>,
  functionName: string,
  event: LettersEvent,
): Promise<readonly LetterResult[] | string> {
  const invoked = await invokeFunction<LettersAnswer>(lambda, functionName, event);
  return 'failure' in invoked ? invoked.failure : invoked.answer.results;
}

import type { LambdaClient } from '@aws-sdk/client-lambda';
import type { RewindSteps } from '../../shared/checkpoint/drive-rewind.ts';
import type { RewindAnswers, RewindEvent, RewindStepRequest } from '../../shared/lambda/rewind-command.ts';
import { invokeFunction } from './invoke-function.ts';

/** The person at the terminal wants it to end: a rewind can be gone on with. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** Has the pipeline's function do a step. @throws Interrupted before one that is not to be begun any more. */
export type AskForStep = <Request extends RewindStepRequest>(
  request: Request,
) => Promise<RewindAnswers[Request['step']]>;

export interface RemoteOptions {
  readonly lambda: Pick<LambdaClient, 'send'>;
  readonly functionName: string;
  readonly wait: (ms: number) => Promise<void>;
  readonly isInterrupted: () => boolean;
  /** Told of an invocation that failed and is made again. */
  readonly say: (text: string) => void;
}

/** What comes out the same however often it is asked for. */
const FINAL: ReadonlySet<string> = new Set([
  'TypeError',
  'RangeError',
  'ConfigurationError',
  'CheckpointError',
]);
/**
 * A record that kills the process is found by invocations that die, three and two for each such record of a batch; what
 * else fails does so for a while, or for good.
 */
const TRIES_OF_THE_DYING = 20;
const TRIES = 5;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

/** Invocations that fail are made again: every step may be. */
export function askRemotely(options: RemoteOptions): AskForStep {
  const { lambda, functionName, wait, isInterrupted, say } = options;
  return async <Request extends RewindStepRequest>(request: Request) => {
    const event: RewindEvent = { tidemark: 'rewind', ...request };
    for (let tries = 1; ; tries++) {
      if (isInterrupted()) throw new Interrupted('Interrupted.');
      const invoked = await invokeOnce<RewindAnswers[Request['step']]>(lambda, functionName, event);
      if ('answer' in invoked) return invoked.answer;
      const { failure, errorType } = invoked;
      const isDying = errorType.startsWith('Runtime.') || errorType.startsWith('Sandbox.');
      if (FINAL.has(errorType) || tries === (isDying ? TRIES_OF_THE_DYING : TRIES)) {
        throw new Error(`Step '${event.step}' of the rewind: ${failure}.`);
      }
      say(`Step '${event.step}': ${failure}; it is asked for again.`);
      await wait(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (tries - 1)));
    }
  };
}

async function invokeOnce<Answer>(
  lambda: RemoteOptions['lambda'],
  functionName: string,
  event: RewindEvent,
): Promise<Awaited<ReturnType<typeof invokeFunction<Answer>>>> {
  try {
    return await invokeFunction<Answer>(lambda, functionName, event);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const isBusy = error.name === 'TooManyRequestsException' || Reflect.get(error, '$fault') === 'server';
    if (!isBusy) throw error;
    return { failure: `${error.name}: ${error.message}`, errorType: error.name };
  }
}

/** The steps of a rewind, an invocation each. */
export function remoteSteps(ask: AskForStep): RewindSteps {
  return {
    control: () => ask({ step: 'control' }),
    parts: (checkpoint) => ask({ step: 'parts', checkpoint }),
    takeOver: (holder) => ask({ step: 'takeOver', holder }),
    seal: (version) => ask({ step: 'seal', version }),
    restore: (version, part, skipped) => ask({ step: 'restore', version, part, skipped }),
    verify: (version, segment) => ask({ step: 'verify', version, segment }),
    switchGeneration: (version, counted) => ask({ step: 'switch', version, counted }),
    replays: () => ask({ step: 'replays' }),
    replay: (version, shard) => ask({ step: 'replay', version, shard }),
    release: (version) => ask({ step: 'release', version }),
    undo: (version) => ask({ step: 'undo', version }),
    finish: (version) => ask({ step: 'finish', version }),
  };
}

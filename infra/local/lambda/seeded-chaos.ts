import { createHash } from 'node:crypto';
import type { AnswerFault, ChaosPlan, FaultKind, RequestFault } from './chaos-plan.ts';

/** How likely each fault is at each point where it can strike, 0 to 1. What is left out never happens. */
export type FaultProbabilities = Readonly<Partial<Record<FaultKind, number>>>;

export interface SeededChaos {
  /** The same seed gives the same decisions, point for point. */
  readonly seed: number;
  readonly probabilities: FaultProbabilities;
  readonly maximumFaultsPerFunction: number;
  /** A late reply comes up to so much later. */
  readonly maximumDelayMs: number;
  /** A zombie sleeps through up to so many further invocations. */
  readonly maximumZombieInvocations: number;
  /** The functions that are tormented; all where absent. */
  readonly functions?: readonly string[];
}

const REQUEST_FAULTS: readonly RequestFault['kind'][] = [
  'killBeforeForward',
  'killBeforeReply',
  'killAfterReply',
  'failAfterEffect',
  'throttle',
  'throttlePart',
  'delayReply',
  'becomeZombie',
];
const ANSWER_FAULTS: readonly AnswerFault['kind'][] = ['killBeforeAnswer', 'loseAnswer'];

/** Of the parts of a request all, every second or every third are throttled. */
const LARGEST_PART_STEP = 3;

/**
 * A plan from a seed. Chance is drawn by hashing the seed with the point, not from one running generator: functions
 * run at the same time, and the order in which they would draw differs from run to run.
 * @throws RangeError where a probability is not between 0 and 1, or those of one point add up to more than 1.
 */
export function seededChaos(options: SeededChaos): ChaosPlan {
  for (const kinds of [REQUEST_FAULTS, ANSWER_FAULTS]) checkProbabilities(options.probabilities, kinds);
  const isSpared = (functionName: string): boolean =>
    options.functions !== undefined && !options.functions.includes(functionName);
  const draw = (...coordinates: readonly (string | number)[]): number =>
    chance([options.seed, ...coordinates]);
  return {
    maximumFaultsPerFunction: options.maximumFaultsPerFunction,
    onRequest({ functionName, invocation, request }) {
      if (isSpared(functionName)) return undefined;
      const kind = choose(
        options.probabilities,
        REQUEST_FAULTS,
        draw(functionName, invocation, request, 'kind'),
      );
      const amount = draw(functionName, invocation, request, 'amount');
      switch (kind) {
        case undefined:
          return undefined;
        case 'delayReply':
          return { kind, delayMs: Math.ceil(amount * options.maximumDelayMs) };
        case 'throttlePart': {
          const every = 1 + Math.floor(amount * LARGEST_PART_STEP);
          return {
            kind,
            every,
            offset: Math.floor(draw(functionName, invocation, request, 'offset') * every),
          };
        }
        case 'becomeZombie':
          return {
            kind,
            resumeAfterInvocations: Math.floor(amount * (options.maximumZombieInvocations + 1)),
          };
        default:
          return { kind };
      }
    },
    onAnswer({ functionName, invocation }) {
      if (isSpared(functionName)) return undefined;
      const kind = choose(options.probabilities, ANSWER_FAULTS, draw(functionName, invocation, 'answer'));
      return kind === undefined ? undefined : { kind };
    },
  };
}

/** A number from 0 up to but without 1 that depends on its coordinates alone. */
function chance(coordinates: readonly (string | number)[]): number {
  const digest = createHash('sha256').update(JSON.stringify(coordinates)).digest();
  return digest.readUInt32BE(0) / 2 ** 32;
}

function choose<Kind extends FaultKind>(
  probabilities: FaultProbabilities,
  kinds: readonly Kind[],
  drawn: number,
): Kind | undefined {
  let upTo = 0;
  return kinds.find((kind) => {
    upTo += probabilities[kind] ?? 0;
    return drawn < upTo;
  });
}

function checkProbabilities(probabilities: FaultProbabilities, kinds: readonly FaultKind[]): void {
  let sum = 0;
  for (const kind of kinds) {
    const probability = probabilities[kind] ?? 0;
    if (!(probability >= 0 && probability <= 1)) {
      throw new RangeError(`The probability of ${kind} is ${probability}; give a number from 0 to 1.`);
    }
    sum += probability;
  }
  if (sum > 1) {
    throw new RangeError(
      `The probabilities of ${kinds.join(', ')} add up to ${sum}; only one of them can strike at a point, so their sum is at most 1.`,
    );
  }
}

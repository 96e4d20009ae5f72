import { createHash } from 'node:crypto';
import type { AwsService } from './aws-service.ts';
import type { AnswerFault, ChaosPlan, FaultKind, RequestFault } from './chaos-plan.ts';

/** How likely each fault is at each point where it can strike, 0 to 1. What is left out never happens. */
export type FaultProbabilities = Readonly<Partial<Record<FaultKind, number>>>;

/** Times in which a pipeline's destinations are throttled or slow. */
export interface SinkSpells {
  /** How many requests in a row it lasts. */
  readonly requests: number;
  /** How likely each row of so many requests is to be throttled, 0 to 1. */
  readonly rejects: number;
  /** How likely each is to be slow, 0 to 1. */
  readonly isSlow: number;
}

export interface SeededChaos {
  /** The same seed gives the same decisions, point for point. */
  readonly seed: number;
  readonly probabilities: FaultProbabilities;
  /** In place of `probabilities`, for requests to these services. */
  readonly atService?: Readonly<Partial<Record<AwsService, FaultProbabilities>>>;
  /** Strikes PutRecords, by which a pipeline's function sends its outputs. Never where absent. */
  readonly sinkSpells?: SinkSpells;
  readonly maximumFaultsPerFunction: number;
  /** A late reply comes up to so much later; that of a slow sink up to ten times so much. */
  readonly maximumDelayMs: number;
  /** A frozen process stands still for up to so long. */
  readonly maximumFreezeMs: number;
  /** A zombie sleeps through up to so many further invocations. */
  readonly maximumZombieInvocations: number;
  /** The functions that are tormented; all where absent. */
  readonly functions?: readonly string[];
  /** What of a function's name chance depends on; all of it where absent. */
  readonly nameOf?: (functionName: string) => string;
}

/** Those that are drawn for each request by itself; a sink's strike many in a row. */
const REQUEST_FAULTS = [
  'killBeforeForward',
  'killBeforeReply',
  'killAfterReply',
  'failAfterEffect',
  'cutReply',
  'hangReply',
  'throttle',
  'throttlePart',
  'failPartAfterEffect',
  'delayReply',
  'freeze',
  'freezeBeyondTimeout',
  'timeOut',
  'becomeZombie',
] as const satisfies readonly RequestFault['kind'][];
const ANSWER_FAULTS: readonly AnswerFault['kind'][] = ['killBeforeAnswer', 'loseAnswer'];

/** Of the parts of a request all, every second or every third are throttled. */
const LARGEST_PART_STEP = 3;
/** A slow sink is so much slower than a late reply. */
const SLOWER = 10;

/**
 * A plan from a seed. Chance is drawn by hashing the seed with the point, not from one running generator: functions
 * run at the same time, and the order in which they would draw differs from run to run.
 * @throws RangeError where a probability is not between 0 and 1, or those of one point add up to more than 1.
 */
export function seededChaos(options: SeededChaos): ChaosPlan {
  const { seed, sinkSpells, nameOf = (name: string) => name } = options;
  for (const probabilities of [options.probabilities, ...Object.values(options.atService ?? {})]) {
    for (const kinds of [REQUEST_FAULTS, ANSWER_FAULTS]) checkProbabilities(probabilities, kinds);
  }
  if (sinkSpells !== undefined) {
    const { rejects, isSlow } = sinkSpells;
    checkProbabilities({ sinkRejects: rejects, sinkIsSlow: isSlow }, ['sinkRejects', 'sinkIsSlow']);
  }
  const isSpared = (functionName: string): boolean =>
    options.functions !== undefined && !options.functions.includes(functionName);
  return {
    maximumFaultsPerFunction: options.maximumFaultsPerFunction,
    onRequest({ functionName, invocation, request, service, operation, ofService }) {
      if (isSpared(functionName)) return undefined;
      const draw = (what: string): number => chance(seed, nameOf(functionName), invocation, request, what);
      if (operation === 'PutRecords' && sinkSpells !== undefined) {
        const spell = Math.floor((ofService - 1) / sinkSpells.requests);
        const drawn = chance(seed, nameOf(functionName), 'spell', spell);
        if (drawn < sinkSpells.rejects) return { kind: 'sinkRejects' };
        if (drawn < sinkSpells.rejects + sinkSpells.isSlow)
          return { kind: 'sinkIsSlow', delayMs: Math.ceil(draw('amount') * SLOWER * options.maximumDelayMs) };
      }
      const kind = choose(
        options.atService?.[service] ?? options.probabilities,
        REQUEST_FAULTS,
        draw('kind'),
      );
      switch (kind) {
        case undefined:
          return undefined;
        case 'delayReply':
          return { kind, delayMs: Math.ceil(draw('amount') * options.maximumDelayMs) };
        case 'freeze':
          return { kind, freezeMs: Math.ceil(draw('amount') * options.maximumFreezeMs) };
        case 'throttlePart':
        case 'failPartAfterEffect': {
          const every = 1 + Math.floor(draw('amount') * LARGEST_PART_STEP);
          return { kind, every, offset: Math.floor(draw('offset') * every) };
        }
        case 'becomeZombie':
        case 'freezeBeyondTimeout': {
          const resumeAfterInvocations = Math.floor(draw('amount') * (options.maximumZombieInvocations + 1));
          return { kind, resumeAfterInvocations };
        }
        default:
          return { kind };
      }
    },
    onAnswer({ functionName, invocation }) {
      if (isSpared(functionName)) return undefined;
      const drawn = chance(seed, nameOf(functionName), invocation, 'answer');
      const kind = choose(options.probabilities, ANSWER_FAULTS, drawn);
      return kind === undefined ? undefined : { kind };
    },
  };
}

/** A number from 0 up to but without 1 that depends on its coordinates alone. */
export function chance(...coordinates: readonly (string | number)[]): number {
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

import type { MappingTiming } from '../../shared/mapping/mapping-settings.ts';
import { seededRandom } from '../../shared/testing/seeded-random.ts';
import { DeathBudget } from './death-budget.ts';
import type { Chaos, DeliveryFault } from './driver/chaos.ts';
import type { ChaosPlan, FaultKind } from './lambda/chaos-plan.ts';
import { type FaultProbabilities, seededChaos } from './lambda/seeded-chaos.ts';
import { type PlannedReshard, reshardPlan } from './reshard.ts';

/** What goes wrong in a run with chaos, on both sides of the function: how it is fed, and what it asks of AWS. */
export interface LocalChaos {
  readonly seed: number;
  readonly plan: ChaosPlan;
  readonly delivery: Chaos;
  readonly timing: Partial<MappingTiming>;
  /** In place of that of the template: a run shall not stand still for a minute at each process that hangs. */
  readonly functionTimeoutSeconds: number;
  readonly resharding: readonly PlannedReshard[];
  /** How often each fault of delivery was injected so far. */
  readonly deliveryFaults: Readonly<Record<DeliveryFault, number>>;
  /** Tells the plan which batch the next invocation of a function works on. */
  beforeInvocation(functionName: string, event: unknown): void;
}

/** Enough to mean something in forty batches, few enough that a run comes to its end. */
const MAXIMUM_FAULTS = 400;

/**
 * Several times the engine's margin before its deadline, so that it does not run short of time without a fault, also
 * where this machine is busy.
 */
const FUNCTION_TIMEOUT_SECONDS = 10;

/** After these the process may not live to the end of its invocation. */
const DEADLY: ReadonlySet<FaultKind> = new Set([
  'killBeforeForward',
  'killBeforeReply',
  'killAfterReply',
  'hangReply',
  'freeze',
  'freezeBeyondTimeout',
  'timeOut',
  'becomeZombie',
  'killBeforeAnswer',
]);

/** These hold a shard up for as long as a client or Lambda waits. */
const SLOW: ReadonlySet<FaultKind> = new Set(['hangReply', 'freezeBeyondTimeout', 'timeOut']);
/** Of the slow faults a function meets one in its first invocations, and another for each further so many. */
const INVOCATIONS_PER_SLOW_FAULT = 40;

/** At each request, and at each answer. */
const PROBABILITIES: FaultProbabilities = {
  killBeforeForward: 0.012,
  killBeforeReply: 0.012,
  killAfterReply: 0.012,
  failAfterEffect: 0.02,
  cutReply: 0.015,
  hangReply: 0.006,
  throttle: 0.02,
  throttlePart: 0.04,
  failPartAfterEffect: 0.03,
  delayReply: 0.03,
  freeze: 0.01,
  freezeBeyondTimeout: 0.006,
  timeOut: 0.006,
  becomeZombie: 0.012,
  killBeforeAnswer: 0.04,
  loseAnswer: 0.05,
};

/** Dead letters are few, and each is to meet what can go wrong: lost before, lost after, stored twice. */
const OBJECT_PROBABILITIES: FaultProbabilities = {
  ...PROBABILITIES,
  killBeforeReply: 0.04,
  failAfterEffect: 0.15,
  cutReply: 0.05,
  throttle: 0.15,
  throttlePart: 0,
  failPartAfterEffect: 0,
};

/** The same seed gives the same decisions at the same points; which points there are depends on the run's timing. */
export function localChaos(seed: number): LocalChaos {
  const deliveryFaults: Record<DeliveryFault, number> = { duplicate: 0, recut: 0, abandon: 0 };
  const deaths = new DeathBudget();
  const slowFaults = new Map<string, number>();
  const drawn = seededChaos({
    seed,
    probabilities: PROBABILITIES,
    atService: { s3: OBJECT_PROBABILITIES },
    sinkSpells: { requests: 6, rejects: 0.06, isSlow: 0.06 },
    maximumFaultsPerFunction: MAXIMUM_FAULTS,
    maximumDelayMs: 60,
    maximumFreezeMs: 2_500,
    maximumZombieInvocations: 4,
  });
  const takeTime = (functionName: string, invocation: number): boolean => {
    const before = slowFaults.get(functionName) ?? 0;
    if (before >= 1 + Math.floor(invocation / INVOCATIONS_PER_SLOW_FAULT)) return false;
    slowFaults.set(functionName, before + 1);
    return true;
  };
  /** Faults that would make an innocent record look like one that kills do not come about. */
  const allowed = <Fault extends { readonly kind: FaultKind }>(
    fault: Fault | undefined,
    functionName: string,
    invocation: number,
  ): Fault | undefined => {
    if (fault === undefined) return undefined;
    if (SLOW.has(fault.kind) && !takeTime(functionName, invocation)) return undefined;
    if (DEADLY.has(fault.kind) && !deaths.takeDeath(functionName, invocation)) return undefined;
    deaths.strike(functionName, invocation);
    return fault;
  };

  return {
    seed,
    plan: {
      maximumFaultsPerFunction: drawn.maximumFaultsPerFunction,
      onRequest: (point) => allowed(drawn.onRequest(point), point.functionName, point.invocation),
      onAnswer: (point) => allowed(drawn.onAnswer(point), point.functionName, point.invocation),
    },
    delivery: {
      random: seededRandom(seed),
      duplicateProbability: 0.25,
      recutProbability: 0.5,
      abandonProbability: 0.05,
      maximumDelayMs: 150,
      onInjected: (fault) => {
        deliveryFaults[fault] += 1;
      },
    },
    timing: { pollIntervalMs: 250, listIntervalMs: 1_000, firstRetryDelayMs: 20, maximumRetryDelayMs: 200 },
    functionTimeoutSeconds: FUNCTION_TIMEOUT_SECONDS,
    resharding: reshardPlan(seed),
    deliveryFaults,
    beforeInvocation: (functionName, event) => deaths.begin(functionName, recordsOf(event)),
  };
}

/** Shard and sequence number of each record, as the event names them. */
function recordsOf(event: unknown): string[] {
  const { Records = [] } = event as { Records?: readonly { readonly eventID?: string }[] };
  return Records.map(({ eventID = '' }) => eventID);
}

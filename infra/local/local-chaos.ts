import type { Chaos, DeliveryFault } from './driver/chaos.ts';
import type { ChaosPlan, FaultKind } from './lambda/chaos-plan.ts';
import { seededChaos } from './lambda/seeded-chaos.ts';
import type { MappingTiming } from '../../shared/mapping/mapping-settings.ts';
import { seededRandom } from '../../shared/testing/seeded-random.ts';

/** What goes wrong in a run with chaos, on both sides of the function: how it is fed, and what it asks of AWS. */
export interface LocalChaos {
  readonly plan: ChaosPlan;
  readonly delivery: Chaos;
  readonly timing: Partial<MappingTiming>;
  /** How often each fault of delivery was injected so far. */
  readonly deliveryFaults: Readonly<Record<DeliveryFault, number>>;
  /** Chance for whoever else does harm, from the same seed. */
  readonly random: () => number;
  /** Tells the plan which batch the next invocation of a function works on. */
  beforeInvocation(functionName: string, event: unknown): void;
}

/**
 * Deaths that one batch is dealt. The engine takes a record for poison by the deaths of its batch, and cannot tell
 * deaths by chance from those by the record: more of them would rightly end in dead letters.
 */
const DEATHS_PER_BATCH = 2;

/** Enough to mean something in forty batches, few enough that a run ends within a minute. */
const MAXIMUM_FAULTS = 200;

const DEADLY: ReadonlySet<FaultKind> = new Set([
  'killBeforeForward',
  'killBeforeReply',
  'killAfterReply',
  'becomeZombie',
  'killBeforeAnswer',
]);

/** The same seed gives the same decisions at the same points; which points there are depends on the run's timing. */
export function localChaos(seed: number): LocalChaos {
  const random = seededRandom(seed);
  const deliveryFaults: Record<DeliveryFault, number> = { duplicate: 0, recut: 0, abandon: 0 };
  const batches = new Map<string, string>();
  const invocations = new Map<string, number>();
  const deaths = new Map<string, number>();

  const drawn = seededChaos({
    seed,
    probabilities: {
      killBeforeForward: 0.012,
      killBeforeReply: 0.012,
      killAfterReply: 0.012,
      failAfterEffect: 0.02,
      throttle: 0.02,
      throttlePart: 0.04,
      delayReply: 0.03,
      becomeZombie: 0.012,
      killBeforeAnswer: 0.04,
      loseAnswer: 0.05,
    },
    maximumFaultsPerFunction: MAXIMUM_FAULTS,
    maximumDelayMs: 60,
    maximumZombieInvocations: 4,
  });
  const unlessPoisonous = <Fault extends { readonly kind: FaultKind }>(
    fault: Fault | undefined,
    functionName: string,
    invocation: number,
  ): Fault | undefined => {
    if (fault === undefined || !DEADLY.has(fault.kind)) return fault;
    const batch = batches.get(`${functionName}#${invocation}`) ?? '';
    const before = deaths.get(batch) ?? 0;
    if (before >= DEATHS_PER_BATCH) return undefined;
    deaths.set(batch, before + 1);
    return fault;
  };

  return {
    plan: {
      maximumFaultsPerFunction: drawn.maximumFaultsPerFunction,
      onRequest: (point) => unlessPoisonous(drawn.onRequest(point), point.functionName, point.invocation),
      onAnswer: (point) => unlessPoisonous(drawn.onAnswer(point), point.functionName, point.invocation),
    },
    delivery: {
      random,
      duplicateProbability: 0.25,
      recutProbability: 0.5,
      abandonProbability: 0.05,
      maximumDelayMs: 150,
      onInjected: (fault) => {
        deliveryFaults[fault] += 1;
      },
    },
    timing: { pollIntervalMs: 250, listIntervalMs: 1_000, firstRetryDelayMs: 20, maximumRetryDelayMs: 200 },
    deliveryFaults,
    random,
    beforeInvocation(functionName, event) {
      const number = (invocations.get(functionName) ?? 0) + 1;
      invocations.set(functionName, number);
      batches.set(`${functionName}#${number}`, firstOf(event));
      // Invocations long over are asked about no more.
      batches.delete(`${functionName}#${number - BATCHES_REMEMBERED}`);
    },
  };
}

const BATCHES_REMEMBERED = 1_000;

/** Shard and sequence number of the batch's first record, as the event names them. */
function firstOf(event: unknown): string {
  const { Records } = event as { Records?: readonly { readonly eventID?: string }[] };
  return Records?.[0]?.eventID ?? '';
}

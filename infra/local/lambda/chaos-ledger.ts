import type {
  AnswerFault,
  AnswerPoint,
  ChaosPlan,
  FaultKind,
  RequestFault,
  RequestPoint,
} from './chaos-plan.ts';

export type FaultCounts = Record<FaultKind, number>;

/** Asks the plan while the function's budget lasts, and counts what was done. */
export class ChaosLedger {
  readonly counts: FaultCounts = {
    killBeforeForward: 0,
    killBeforeReply: 0,
    killAfterReply: 0,
    failAfterEffect: 0,
    throttle: 0,
    delayReply: 0,
    becomeZombie: 0,
    killBeforeAnswer: 0,
    loseAnswer: 0,
  };
  readonly #plan: ChaosPlan;
  readonly #faultsByFunction = new Map<string, number>();

  constructor(plan: ChaosPlan) {
    this.#plan = plan;
  }

  atRequest(point: RequestPoint): RequestFault | undefined {
    return this.#spend(point.functionName, () => this.#plan.onRequest(point));
  }

  atAnswer(point: AnswerPoint): AnswerFault | undefined {
    return this.#spend(point.functionName, () => this.#plan.onAnswer(point));
  }

  #spend<Fault extends RequestFault | AnswerFault>(
    functionName: string,
    decide: () => Fault | undefined,
  ): Fault | undefined {
    const spent = this.#faultsByFunction.get(functionName) ?? 0;
    if (spent >= this.#plan.maximumFaultsPerFunction) return undefined;
    const fault = decide();
    if (fault !== undefined) {
      this.#faultsByFunction.set(functionName, spent + 1);
      this.counts[fault.kind] += 1;
    }
    return fault;
  }
}

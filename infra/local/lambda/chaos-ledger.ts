import { noFaults } from './chaos-plan.ts';
import type {
  AnswerFault,
  AnswerPoint,
  ChaosPlan,
  FaultCounts,
  RequestFault,
  RequestPoint,
} from './chaos-plan.ts';

/** Asks the plan while the function's budget lasts, and counts what was done. */
export class ChaosLedger {
  readonly counts: FaultCounts = noFaults();
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

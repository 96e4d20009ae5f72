import { noFaults } from './chaos-plan.ts';
import type { AwsService } from './aws-service.ts';
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
  /** How many of them struck a request to S3. */
  objectFaults = 0;
  readonly #plan: ChaosPlan;
  readonly #faultsByFunction = new Map<string, number>();
  readonly #requests = new Map<string, number>();

  constructor(plan: ChaosPlan) {
    this.#plan = plan;
  }

  atRequest(at: Omit<RequestPoint, 'ofService'>): RequestFault | undefined {
    const ofService = this.#count(at.functionName, at.service);
    const fault = this.#spend(at.functionName, () => this.#plan.onRequest({ ...at, ofService }));
    if (fault !== undefined && at.service === 's3') this.objectFaults += 1;
    return fault;
  }

  atAnswer(point: AnswerPoint): AnswerFault | undefined {
    return this.#spend(point.functionName, () => this.#plan.onAnswer(point));
  }

  #count(functionName: string, service: AwsService): number {
    const name = `${functionName}/${service}`;
    const number = (this.#requests.get(name) ?? 0) + 1;
    this.#requests.set(name, number);
    return number;
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

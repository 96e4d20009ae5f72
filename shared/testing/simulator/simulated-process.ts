import type { LettersRequest } from '../../engine/letter-results.ts';
import type { Runtime } from '../../engine/runtime.ts';
import type { SourceRecord } from '../../source/record.ts';
import type { Checker } from './checker.ts';
import type { SimulatedPorts } from './simulated-ports.ts';

/** What a process is busy with. */
export interface Invocation {
  readonly shard: string;
  readonly records: readonly SourceRecord[];
  /** In place of them: what it has read once more. */
  reread?: readonly SourceRecord[] | undefined;
  readonly deadlineMs: number;
  /** In place of records: the dead letters that an operator asks for. */
  readonly request?: LettersRequest;
  /** It writes items of a checkpoint. */
  readonly restores?: RestoredFrom;
}

/** Whose checkpoint it is. */
export interface RestoredFrom {
  readonly generation: number;
  /** Of the other pipeline, where it is a fork. */
  readonly checker?: Checker;
}

/** One container: a process with a warm cache, in which one invocation runs at a time. */
export interface SimulatedProcess {
  readonly id: number;
  /** Of the pipeline; with a repartition of its back half. */
  readonly runtime: Runtime;
  /** What a sweep of spilled states works on. */
  readonly spilled: SimulatedPorts['spilled'];
  /** Of the front of a repartition. */
  readonly front: Runtime | undefined;
  isAlive: boolean;
  /** Nothing goes on in it before; milliseconds since the epoch. */
  frozenUntilMs: number;
  /** How far its clock is ahead of the world's, milliseconds. */
  skewMs: number;
  invocation: Invocation | undefined;
}

/** What may become of one request. */
export type RequestFault =
  'none' | 'crashBeforeEffect' | 'crashAfterEffect' | 'refusedRequest' | 'lostAnswer' | 'repeatedRequest';

/** How one request goes: how long it takes to arrive, and back, and what goes wrong. */
export interface RequestPlan {
  readonly thereMs: number;
  readonly backMs: number;
  readonly fault: RequestFault;
}

/** Decides how each request of a process goes. @param call port and method, such as `store.commit`. */
export type PlanRequest = (process: SimulatedProcess, call: string) => RequestPlan;

import type { MetricSums } from '../local/function-log.ts';
import type { LambdaFigures } from '../local/lambda/local-lambda.ts';
import type { MappingStatus } from '../../shared/mapping/mapping-status.ts';

/** The figures of a run, for `--json`. */
export interface RunFigures {
  /** Lines that this run sent. */
  readonly records: number;
  readonly applied: number;
  readonly duplicates: number;
  /** Dead letters in the bucket. */
  readonly deadLetters: number;
  /** Keys that have a state. */
  readonly keys: number;
  /** Batches that the function took whole. */
  readonly batches: number;
  readonly invocations: number;
  /** Invocations after which records came again. */
  readonly retries: number;
  readonly conflicts: number;
  readonly stateWrites: number;
  readonly stateWriteRequests: number;
  readonly stateReads: number;
  readonly wcu: number;
  readonly rcu: number;
  readonly published: number;
  /** From the first line sent until all was processed. */
  readonly seconds: number;
  /** Of a run with chaos. */
  readonly chaos?: ChaosFigures;
}

/** What went wrong in a run, and what came of it. */
export interface ChaosFigures {
  readonly seed: number;
  /** How often each fault was injected. */
  readonly faults: Readonly<Record<string, number>>;
  /** How many of them struck the storing of a dead letter. */
  readonly deadLetterFaults: number;
  /** Whether state and dead letters are those of a plain fold; undefined where they were not compared. */
  readonly isEqual: boolean | undefined;
}

/** Puts together what each part of the local cloud counts. */
export function runFigures(
  counts: Pick<RunFigures, 'records' | 'deadLetters' | 'keys' | 'seconds'>,
  metrics: MetricSums,
  mapping: MappingStatus,
  lambda: LambdaFigures,
): RunFigures {
  return {
    records: counts.records,
    applied: metrics.applied,
    duplicates: metrics.duplicates,
    deadLetters: counts.deadLetters,
    keys: counts.keys,
    batches: mapping.completedBatches,
    invocations: lambda.invocations,
    retries: mapping.failedInvocations,
    conflicts: metrics.conflicts,
    stateWrites: metrics.stateWrites,
    stateWriteRequests: metrics.stateWriteRequests,
    stateReads: metrics.stateReads,
    wcu: metrics.wcu,
    rcu: metrics.rcu,
    published: metrics.published,
    seconds: counts.seconds,
  };
}

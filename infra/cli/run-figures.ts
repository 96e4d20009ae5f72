import type { MetricSums } from '../local/function-log.ts';
import type { LambdaFigures } from '../local/lambda/local-lambda.ts';
import type { MappingStatus } from '../../shared/mapping/mapping-status.ts';

/** The figures of one pipeline. */
export interface PipelineFigures {
  readonly applied: number;
  readonly duplicates: number;
  /** Values that came too late for what waits for event time, and were dropped. */
  readonly late: number;
  /** Dead letters in the bucket. */
  readonly deadLetters: number;
  /** Keys that have a state. */
  readonly keys: number;
  /** Batches that the function took whole. */
  readonly batches: number;
  /** Invocations after which records came again. */
  readonly retries: number;
  readonly conflicts: number;
  readonly stateWrites: number;
  readonly stateWriteRequests: number;
  readonly stateReads: number;
  readonly wcu: number;
  readonly rcu: number;
  readonly published: number;
}

/** The figures of a run, for `--json`: of all its pipelines together. */
export interface RunFigures extends PipelineFigures {
  /** Lines that this run sent. */
  readonly records: number;
  readonly invocations: number;
  /** From the first line sent until all was processed. */
  readonly seconds: number;
  /** By name, where the run has several. */
  readonly pipelines?: Readonly<Record<string, PipelineFigures>>;
  /** Of a run with chaos. */
  readonly chaos?: ChaosFigures;
}

/** What went wrong in a run, and what came of it. */
export interface ChaosFigures {
  readonly seed: number;
  /** How often each fault was injected. */
  readonly faults: Readonly<Record<string, number>>;
  /** How many of them struck a request to S3: dead letters, and states that are spilled. */
  readonly objectFaults: number;
  /** Whether state and dead letters are those of a plain fold; undefined where they were not compared. */
  readonly isEqual: boolean | undefined;
}

/** Puts together what each part of the local cloud counts for one pipeline. */
export function pipelineFigures(
  counts: Pick<PipelineFigures, 'deadLetters' | 'keys'>,
  metrics: MetricSums,
  mappings: readonly MappingStatus[],
): PipelineFigures {
  return {
    applied: metrics.applied,
    duplicates: metrics.duplicates,
    late: metrics.late,
    deadLetters: counts.deadLetters,
    keys: counts.keys,
    batches: mappings.reduce((sum, { completedBatches }) => sum + completedBatches, 0),
    retries: mappings.reduce((sum, { failedInvocations }) => sum + failedInvocations, 0),
    conflicts: metrics.conflicts,
    stateWrites: metrics.stateWrites,
    stateWriteRequests: metrics.stateWriteRequests,
    stateReads: metrics.stateReads,
    wcu: metrics.wcu,
    rcu: metrics.rcu,
    published: metrics.published,
  };
}

/** @param pipelines at least one. */
export function runFigures(
  counts: Pick<RunFigures, 'records' | 'seconds'>,
  pipelines: ReadonlyMap<string, PipelineFigures>,
  { invocations }: LambdaFigures,
): RunFigures {
  const [first, ...others] = [...pipelines.values()];
  const total = others.reduce(sumOf, first as PipelineFigures);
  return {
    ...counts,
    ...total,
    invocations,
    ...(others.length > 0 && { pipelines: Object.fromEntries(pipelines) }),
  };
}

function sumOf(a: PipelineFigures, b: PipelineFigures): PipelineFigures {
  const names = Object.keys(a) as (keyof PipelineFigures)[];
  return Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as Record<
    keyof PipelineFigures,
    number
  >;
}

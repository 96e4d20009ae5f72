/**
 * The names of the environment variables through which `infra/` tells a deployed function where its resources are,
 * written once for both sides.
 */
export const ENVIRONMENT = {
  /** Name of the state table. */
  stateTable: 'TIDEMARK_STATE_TABLE',
  /** Names of the streams that the pipeline reads, with commas between: needed for checkpoints. */
  streams: 'TIDEMARK_STREAMS',
  /** ARNs of the same streams, in the same order: needed for rewinds. */
  streamArns: 'TIDEMARK_STREAM_ARNS',
  /** Hash of the deployed code, which a checkpoint notes: a rewind tells by it whether the code has changed since. */
  code: 'TIDEMARK_CODE',
  /** How many of the newest checkpoints are kept; 24 unless given. */
  keepLast: 'TIDEMARK_CHECKPOINTS_KEEP_LAST',
  /** Of how many days one checkpoint is kept; 7 unless given. */
  keepDaily: 'TIDEMARK_CHECKPOINTS_KEEP_DAILY',
  /** Every so many checkpoints one is full, and the others are deltas; 8 unless given, 1 for full ones only. */
  fullEvery: 'TIDEMARK_CHECKPOINTS_FULL_EVERY',
  /** Set by Lambda: how much memory the function has, MiB. */
  memoryMb: 'AWS_LAMBDA_FUNCTION_MEMORY_SIZE',
  /** Read units a second that a checkpoint may use; 3,000 unless given. */
  checkpointReadUnits: 'TIDEMARK_CHECKPOINT_READ_UNITS',
  /** Name of the bucket for checkpoints and dead letters. */
  bucket: 'TIDEMARK_BUCKET',
  /** ParallelizationFactor of the event source mapping, 1 to 10. */
  parallelizationFactor: 'TIDEMARK_PARALLELIZATION_FACTOR',
  /** Present in a pipeline that goes on from a checkpoint of another: the other's name. Nothing is processed before. */
  forkOf: 'TIDEMARK_FORK_OF',
  /** `partiql` (25 conditional writes to a request, AWS) or `single` (engines without PartiQL). */
  writes: 'TIDEMARK_WRITES',
} as const;

/** The variable that holds the physical name of a table in which rows are looked up. */
export function lookupVariable(table: string): string {
  return `TIDEMARK_LOOKUP_${table.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`;
}

/** The variable that holds the physical name of a sink's stream or table. */
export function sinkVariable(sinkName: string): string {
  return `TIDEMARK_SINK_${sinkName.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`;
}

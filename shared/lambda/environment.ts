/**
 * The names of the environment variables through which `infra/` tells a deployed function where its resources are,
 * written once for both sides.
 */
export const ENVIRONMENT = {
  /** Name of the state table. */
  stateTable: 'TIDEMARK_STATE_TABLE',
  /** Name of the bucket for checkpoints and dead letters. */
  bucket: 'TIDEMARK_BUCKET',
  /** ParallelizationFactor of the event source mapping, 1 to 10. */
  parallelizationFactor: 'TIDEMARK_PARALLELIZATION_FACTOR',
  /** `partiql` (25 conditional writes to a request, AWS) or `single` (engines without PartiQL). */
  writes: 'TIDEMARK_WRITES',
} as const;

/** The variable that holds the physical name of a sink's stream or table. */
export function sinkVariable(sinkName: string): string {
  return `TIDEMARK_SINK_${sinkName.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`;
}

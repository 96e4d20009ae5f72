/** The id of a pipeline's stack, by which the operator's command finds it. */
export function stackIdOf(pipelineName: string): string {
  return `Tidemark-${pipelineName}`;
}

/** The outputs of a pipeline's stack: physical names, for people and for the operator's command. */
export const OUTPUTS = {
  stream: 'SourceStreamName',
  /** Of all streams that the pipeline reads, with commas between. */
  streams: 'StreamNames',
  stateTable: 'StateTableName',
  bucket: 'BucketName',
  function: 'FunctionName',
  mapping: 'EventSourceMappingId',
  dashboard: 'DashboardName',
} as const;

/** What an environment may be called: it is a part of stack names, between hyphens. */
const ENVIRONMENT_NAME = /^[A-Za-z][A-Za-z0-9]{0,19}$/;

/**
 * The id of a pipeline's stack, by which the operator's command finds it.
 * @param environment where one account has several of each, such as `prod`.
 * @throws Error where that is no name for one.
 */
export function stackIdOf(pipelineName: string, environment?: string): string {
  if (environment === undefined) return `Tidemark-${pipelineName}`;
  if (ENVIRONMENT_NAME.test(environment)) return `Tidemark-${environment}-${pipelineName}`;
  throw new Error(
    `The environment is ${JSON.stringify(environment)}; allowed are 1 to 20 letters and digits, a letter first, ` +
      'such as prod: stack names hold it.',
  );
}

/** The outputs of a pipeline's stack: physical names, for people and for the operator's command. */
export const OUTPUTS = {
  stream: 'SourceStreamName',
  /** Of all streams that the pipeline reads, with commas between. */
  streams: 'StreamNames',
  /** Their ARNs, in the same order: one of another account is not found by its name. */
  streamArns: 'StreamArns',
  stateTable: 'StateTableName',
  bucket: 'BucketName',
  /** Where its outputs go: `sink=physical name`, with commas between. */
  sinks: 'SinkNames',
  /** What each of these sinks takes: `sink=stream/event` or `sink=table/change`, with commas between. */
  sinkKinds: 'SinkKinds',
  function: 'FunctionName',
  mapping: 'EventSourceMappingId',
  dashboard: 'DashboardName',
} as const;

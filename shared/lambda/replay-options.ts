import type { KinesisReplaySourceOptions } from '../checkpoint/kinesis-replay-source.ts';
import { ConfigurationError } from '../pipeline/configuration-error.ts';
import type { PipelineDefinition } from '../pipeline/definition.ts';
import { ENVIRONMENT } from './environment.ts';
import type { Settings } from './settings.ts';

/**
 * What a function is told of the streams that its pipeline reads, for whoever reads them as a replay does.
 * @param lacks what the function cannot do without, for the message.
 * @throws ConfigurationError where the environment names no streams.
 */
export function replayOptions(
  { name, repartition }: PipelineDefinition,
  { streamArns, sinks }: Settings,
  lacks: string,
  wait: (ms: number) => Promise<void>,
): Omit<KinesisReplaySourceOptions, 'client'> {
  if (streamArns.length === 0) {
    throw new ConfigurationError(
      `The function of pipeline '${name}' ${lacks}: ${ENVIRONMENT.streamArns} is missing. The StatefulPipeline ` +
        'construct sets it; a function that is deployed in another way needs it too.',
    );
  }
  const inner = repartition && sinks.get(repartition.sink.name);
  return { streamArns, ...(inner !== undefined && { repartitioned: inner }), wait };
}

import { fileURLToPath } from 'node:url';
import airportDelays from '../functions/airport-delays/pipeline.ts';
import wordCount from '../functions/word-count/pipeline.ts';
import type { StatefulPipelineProps } from './constructs/stateful-pipeline-props.ts';

/** The pipelines that are deployed, each in a stack of its own, with what their descriptions do not say. */
export const PIPELINES: readonly StatefulPipelineProps[] = [
  { pipeline: airportDelays, handlerFile: handlerOf('airport-delays') },
  { pipeline: wordCount, handlerFile: handlerOf('word-count') },
];

function handlerOf(folder: string): string {
  return fileURLToPath(new URL(`../functions/${folder}/handler.ts`, import.meta.url));
}

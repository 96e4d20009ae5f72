import { fileURLToPath } from 'node:url';
import airportDelays from '../functions/airport-delays/pipeline.ts';
import airportGrades from '../functions/airport-grades/pipeline.ts';
import airportTraffic from '../functions/airport-traffic/pipeline.ts';
import arrivals from '../functions/arrivals/pipeline.ts';
import earthquakeWatch from '../functions/earthquake-watch/pipeline.ts';
import wordCount from '../functions/word-count/pipeline.ts';
import type { StatefulPipelineProps } from './constructs/stateful-pipeline-props.ts';

/**
 * The pipelines that are deployed, each in a stack of its own, with what their descriptions do not say. One whose source
 * is the outputs of another reads the stream that the other's stack makes.
 */
export const PIPELINES: readonly StatefulPipelineProps[] = [
  { pipeline: airportDelays, handlerFile: handlerOf('airport-delays') },
  { pipeline: airportGrades, handlerFile: handlerOf('airport-grades') },
  { pipeline: airportTraffic, handlerFile: handlerOf('airport-traffic') },
  { pipeline: arrivals, handlerFile: handlerOf('arrivals') },
  { pipeline: earthquakeWatch, handlerFile: handlerOf('earthquake-watch') },
  { pipeline: wordCount, handlerFile: handlerOf('word-count') },
];

function handlerOf(folder: string): string {
  return fileURLToPath(new URL(`../functions/${folder}/handler.ts`, import.meta.url));
}

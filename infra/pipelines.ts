import { fileURLToPath } from 'node:url';
import airportDelays from '../functions/airport-delays/pipeline.ts';
import airportGrades from '../functions/airport-grades/pipeline.ts';
import airportTraffic from '../functions/airport-traffic/pipeline.ts';
import alsoViewed from '../functions/also-viewed/pipeline.ts';
import arrivals from '../functions/arrivals/pipeline.ts';
import clickSessions from '../functions/click-sessions/pipeline.ts';
import earthquakeWatch from '../functions/earthquake-watch/pipeline.ts';
import viewedTogether from '../functions/viewed-together/pipeline.ts';
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
  { pipeline: alsoViewed, handlerFile: handlerOf('also-viewed') },
  { pipeline: arrivals, handlerFile: handlerOf('arrivals') },
  { pipeline: clickSessions, handlerFile: handlerOf('click-sessions') },
  { pipeline: earthquakeWatch, handlerFile: handlerOf('earthquake-watch') },
  { pipeline: viewedTogether, handlerFile: handlerOf('viewed-together') },
  { pipeline: wordCount, handlerFile: handlerOf('word-count') },
];

function handlerOf(folder: string): string {
  return fileURLToPath(new URL(`../functions/${folder}/handler.ts`, import.meta.url));
}

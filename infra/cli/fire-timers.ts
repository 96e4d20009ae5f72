import type { PipelineDefinition } from '../../shared/pipeline/definition.ts';
import type { TimerSweep } from '../../shared/engine/sweep-timers.ts';
import type { CommandName } from '../../shared/lambda/commands.ts';
import type { LocalPipeline } from '../local/local-cloud.ts';

/** How far event time has come in a pipeline when nothing more fires by itself. */
export interface TimeReached {
  readonly name: string;
  /** Milliseconds since the epoch; undefined where no record has come, or a shard holds all back. */
  readonly overMs: number | undefined;
  /** Keys in which something is due and does not fire. */
  readonly left: number;
}

const COMMAND: CommandName = 'timers';
/** Sweeps of one pipeline in a row: each lifts what is idle, or fires what that has moved time beyond. */
const SWEEPS = 100;

/**
 * Fires what no record fires any more: asks each pipeline's function as its schedule does each minute, until nothing
 * comes of it, and lets what it publishes be processed by the next one before that one is asked.
 * @param untilDrained resolves when all pipelines have processed what they were given.
 * @throws Error where a function fails.
 */
export async function fireTimers(
  pipelines: readonly LocalPipeline[],
  chain: readonly PipelineDefinition[],
  untilDrained: () => Promise<void>,
): Promise<TimeReached[]> {
  const reached: TimeReached[] = [];
  for (const [place, pipeline] of pipelines.entries()) {
    const { time } = chain[place] as PipelineDefinition;
    if (time === undefined) continue;
    const { overMs, left } = await sweepUntilQuiet(pipeline, time.of === undefined);
    reached.push({ name: pipeline.name, overMs, left });
    await untilDrained();
  }
  return reached;
}

/** @param isByClock where a lane is lifted each time, because the clock has gone on. */
async function sweepUntilQuiet(pipeline: LocalPipeline, isByClock: boolean): Promise<TimerSweep> {
  for (let count = 1; ; count++) {
    const outcome = await pipeline.invoke({ tidemark: COMMAND });
    if (outcome.kind !== 'response') {
      throw new Error(
        `The timers of ${pipeline.name} did not fire: ${outcome.errorType}: ${outcome.errorMessage}`,
      );
    }
    const sweep = outcome.payload as TimerSweep;
    const { fired, published, lifted } = sweep;
    const isQuiet = fired === 0 && published === 0 && (lifted === 0 || isByClock);
    if (isQuiet || count === SWEEPS) return sweep;
  }
}

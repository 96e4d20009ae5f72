import { randomBytes } from 'node:crypto';
import { CHECKPOINT_DEFAULTS } from '../checkpoint/checkpoint-defaults.ts';
import { begunMs, savepointNameProblem } from '../checkpoint/checkpoint-id.ts';
import { poolLinesOf } from '../checkpoint/line-pool.ts';
import { newestCheckpoint } from '../checkpoint/read-checkpoint.ts';
import { takeCheckpoint, type CheckpointReport } from '../checkpoint/take-checkpoint.ts';
import { ConfigurationError } from '../pipeline/configuration-error.ts';
import type { CommandContext } from './commands.ts';
import { ENVIRONMENT } from './environment.ts';
import { generationsOf } from './generations.ts';
import { kinesisStreamShards } from './kinesis-ports.ts';
import { s3Checkpoints } from './s3-ports.ts';

/** The event that asks a pipeline's function for a checkpoint. */
export interface CheckpointEvent {
  readonly tidemark: 'checkpoint';
  readonly savepoint?: string;
  /** Only where the newest was begun so long ago. */
  readonly ifOlderThanSeconds?: number;
  /** No delta. */
  readonly isFull?: boolean;
}

/**
 * Takes a checkpoint, or goes on with one, until time runs short. It is invoked again by the schedule, never by itself:
 * Lambda stops functions that do.
 * @throws TypeError when the event is not a `CheckpointEvent`.
 */
export async function checkpointCommand(event: object, context: CommandContext): Promise<CheckpointReport> {
  const { savepoint, ifOlderThanSeconds, isFull } = event as Partial<CheckpointEvent>;
  const problem = savepoint === undefined ? undefined : savepointNameProblem(savepoint);
  if (problem !== undefined) throw new TypeError(problem);
  if (ifOlderThanSeconds !== undefined && typeof ifOlderThanSeconds !== 'number') {
    throw new TypeError(
      `The event asks for a checkpoint with 'ifOlderThanSeconds' ${JSON.stringify(ifOlderThanSeconds)}; it is a number.`,
    );
  }
  const { runtime, services, deadlineMs } = context;
  const { settings, trace } = services;
  const { program, clock } = runtime;
  const { name } = program.definition;
  if (settings.streams.length === 0) {
    throw new ConfigurationError(
      `The function of pipeline '${name}' cannot take a checkpoint: ${ENVIRONMENT.streams} is missing. The ` +
        'StatefulPipeline construct sets it; a function that is deployed in another way needs it too.',
    );
  }
  const checkpoints = s3Checkpoints(settings.bucket, name, trace);
  try {
    const report = await takeCheckpoint(
      {
        pipeline: name,
        checkpoints,
        generations: generationsOf(context),
        store: runtime.store,
        streamShards: kinesisStreamShards(settings.streamArns, trace),
        streams: settings.streams,
        operators: program.operators.map((operator) => ({
          name: operator.name,
          version: operator.version,
        })),
        horizonSeconds: program.horizonSeconds,
        isByPartition: runtime.parallelizationFactor > 1,
        ...(settings.code !== undefined && { code: settings.code }),
        retention: settings.retention,
        ...(settings.fullEvery > 1 && {
          deltas: { fullEvery: settings.fullEvery, poolLines: poolLinesOf(settings.memoryMb) },
        }),
        segments: CHECKPOINT_DEFAULTS.segments,
        readUnitsPerSecond: settings.checkpointReadUnits,
        clock,
        wait: runtime.wait,
        random: () => randomBytes(5).toString('hex'),
        log: runtime.log,
        deadlineMs,
      },
      {
        ...(savepoint !== undefined && { savepoint }),
        ...(ifOlderThanSeconds !== undefined && { ifOlderThanMs: ifOlderThanSeconds * 1_000 }),
        ...(isFull === true && { isFull }),
      },
    );
    if (report.status !== 'notDue') {
      const { status, id = '', items = 0, kept = 0, bytes = 0, parts = 0 } = report;
      runtime.log.info?.(`A checkpoint was asked for: ${status}`, { id, items, kept, bytes, parts });
    }
    return report;
  } finally {
    // Also where it failed: that is when somebody wants to know how old the last good one is.
    const newest = await newestCheckpoint(checkpoints);
    if (newest !== undefined) context.gauge('checkpointAge', (clock.nowMs() - begunMs(newest)) / 1_000);
  }
}

import {
  removable,
  removeGenerations,
  type GenerationRemover,
  type RemovalReport,
} from '../checkpoint/remove-generations.ts';
import { DEADLINE_MARGIN_MS } from '../engine/limits.ts';
import { sweepSpilled, type SweepReport } from '../state/sweep-spilled.ts';
import type { CommandContext } from './commands.ts';
import { generationsOf } from './generations.ts';
import { s3Checkpoints } from './s3-ports.ts';

export interface SweepAnswer extends SweepReport {
  /** Of generations that were left long ago; absent where there are none. */
  readonly removal?: RemovalReport;
}

/**
 * Removes objects with spilled states that no item points to, and what is left of old generations; what time does not
 * suffice for is left to the next.
 */
export async function sweepCommand(context: CommandContext): Promise<SweepAnswer> {
  const { runtime, spilled, deadlineMs } = context;
  const { clock, log } = runtime;
  const startMs = clock.nowMs();
  const endMs = deadlineMs - DEADLINE_MARGIN_MS;
  const old = removable(await runtime.store.readControl(), startMs);
  // Neither waits for the other for days.
  const sweptUntilMs = old.length === 0 ? endMs : startMs + (endMs - startMs) / 2;
  const report = await sweepSpilled({
    ...spilled,
    nowMs: startMs,
    horizonSeconds: runtime.program.horizonSeconds,
    keepGoing: () => clock.nowMs() < sweptUntilMs,
  });
  const { examined, removed, unreadable } = report;
  if (removed > 0 || unreadable > 0) {
    log.warn('Objects with spilled states that nothing points to were found', {
      examined,
      removed,
      unreadable,
    });
  }
  if (old.length === 0) return report;
  const removal = await removeGenerations(removerOf(context, () => clock.nowMs() < endMs));
  const { rows, objects, letters } = removal;
  const generations = removal.generations.join(', ');
  log.info?.('Generations that were left are being removed', { rows, objects, letters, generations });
  return { ...report, removal };
}

function removerOf(context: CommandContext, keepGoing: () => boolean): GenerationRemover {
  const { runtime, spilled, services } = context;
  const { settings, trace } = services;
  const { store, deadLetters, clock, wait } = runtime;
  return {
    store,
    generations: generationsOf(context),
    checkpoints: s3Checkpoints(settings.bucket, runtime.program.definition.name, trace),
    blobs: spilled.blobs,
    deadLetters,
    clock,
    wait,
    keepGoing,
  };
}

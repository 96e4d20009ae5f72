import { DEADLINE_MARGIN_MS } from '../engine/limits.ts';
import { sweepSpilled, type SweepReport } from '../state/sweep-spilled.ts';
import type { CommandContext } from './commands.ts';

/** Removes objects with spilled states that no item points to; what time does not suffice for is left to the next. */
export async function sweepCommand({ runtime, spilled, deadlineMs }: CommandContext): Promise<SweepReport> {
  const report = await sweepSpilled({
    ...spilled,
    nowMs: runtime.clock.nowMs(),
    horizonSeconds: runtime.program.horizonSeconds,
    keepGoing: () => runtime.clock.nowMs() < deadlineMs - DEADLINE_MARGIN_MS,
  });
  const { examined, removed, unreadable } = report;
  if (removed > 0 || unreadable > 0) {
    runtime.log.warn('Objects with spilled states that nothing points to were found', {
      examined,
      removed,
      unreadable,
    });
  }
  return report;
}

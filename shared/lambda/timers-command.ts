import { DEADLINE_MARGIN_MS } from '../engine/limits.ts';
import { sweepTimers, type TimerSweep } from '../engine/sweep-timers.ts';
import type { CommandContext } from './commands.ts';

/** Fires what waits for event time and no record brings; what time does not suffice for is left to the next. */
export async function timersCommand({ runtime, deadlineMs, swept }: CommandContext): Promise<TimerSweep> {
  const before = runtime.store.costs();
  const untilMs = deadlineMs - DEADLINE_MARGIN_MS;
  const report = await sweepTimers(runtime, () => runtime.clock.nowMs() < untilMs);
  swept(report, before);
  const { items, fired, published, left, lifted } = report;
  if (left > 0) runtime.log.warn('Timers that are due are left for the next sweep', { items, left });
  if (fired > 0 || lifted > 0) {
    runtime.log.info?.('Timers were swept', { items, fired, published, lifted });
  }
  return report;
}

import { DEADLINE_MARGIN_MS } from '../engine/limits.ts';
import { sweepTimers, type TimerSweep } from '../engine/sweep-timers.ts';
import type { CommandContext } from './commands.ts';

/** The finest rate of an EventBridge schedule. */
const SCHEDULE_MS = 60_000;
/** A sweep asks each part of an index, whether something is due or not. */
const LEAST_SECONDS = 5;

/** How a sweep of timers is asked for: `{ "tidemark": "timers", "everySeconds": 10 }`. */
export interface TimersEvent {
  /** It sweeps so often until the schedule comes again; once unless given. */
  readonly everySeconds?: number;
}

/**
 * Fires what no record brings; what time does not suffice for is left to the next sweep. Asked to sweep more often than
 * the schedule comes, it waits between its sweeps, and ends when the schedule comes again. One that fails does not end
 * the others; the first failure is told when all have been.
 * @throws TypeError for an interval that is none; what the first sweep threw that failed.
 */
export async function timersCommand(event: object, context: CommandContext): Promise<TimerSweep> {
  const { clock, wait, log } = context.runtime;
  const untilMs = context.deadlineMs - DEADLINE_MARGIN_MS;
  const startMs = clock.nowMs();
  const everyMs = intervalMsOf(event);
  let sum: TimerSweep | undefined;
  let failure: { readonly error: unknown } | undefined;
  for (let atMs = startMs; atMs < startMs + SCHEDULE_MS && atMs < untilMs; atMs += everyMs) {
    const pauseMs = atMs - clock.nowMs();
    // One that took longer than the interval takes the place of those that were to begin meanwhile.
    if (pauseMs <= -everyMs) continue;
    if (pauseMs > 0) await wait(pauseMs);
    try {
      sum = together(sum, await sweep(context, untilMs));
    } catch (error) {
      failure ??= { error };
      if (everyMs < SCHEDULE_MS)
        log.warn('A sweep of timers failed; the next one comes', { error: String(error) });
    }
  }
  if (failure !== undefined) throw failure.error;
  return sum ?? NOTHING;
}

const NOTHING: TimerSweep = { items: 0, fired: 0, published: 0, left: 0, lifted: 0 };

/** @throws TypeError for one that is none. */
function intervalMsOf({ everySeconds }: TimersEvent): number {
  if (everySeconds === undefined) return SCHEDULE_MS;
  const most = SCHEDULE_MS / 1_000;
  if (Number.isInteger(everySeconds) && everySeconds >= LEAST_SECONDS && everySeconds <= most)
    return everySeconds * 1_000;
  throw new TypeError(
    `The event asks for a sweep of timers with 'everySeconds' ${JSON.stringify(everySeconds)}; it is a whole number from ` +
      `${LEAST_SECONDS} to ${most}.`,
  );
}

async function sweep({ runtime, swept }: CommandContext, untilMs: number): Promise<TimerSweep> {
  const before = runtime.store.costs();
  const report = await sweepTimers(runtime, () => runtime.clock.nowMs() < untilMs);
  swept(report, before);
  const { items, fired, published, left, lifted } = report;
  if (left > 0) runtime.log.warn('Timers that are due are left for the next sweep', { items, left });
  if (fired > 0 || lifted > 0) {
    runtime.log.info?.('Timers were swept', { items, fired, published, lifted });
  }
  return report;
}

/** What several have done, and what the last of them has left. */
function together(before: TimerSweep = NOTHING, last: TimerSweep): TimerSweep {
  return {
    ...last,
    items: before.items + last.items,
    fired: before.fired + last.fired,
    published: before.published + last.published,
    lifted: before.lifted + last.lifted,
  };
}

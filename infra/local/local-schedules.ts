import type { LocalSchedule } from './provision/local-schedule.ts';
import type { Timer } from './timer.ts';

export interface LocalSchedulesOptions {
  readonly schedules: readonly LocalSchedule[];
  /** Invokes a function, and waits for what comes of it. */
  readonly invoke: (functionName: string, event: unknown) => Promise<void>;
  readonly timer: Timer;
  readonly onNotice: (text: string) => void;
}

const RATE = /^rate\((\d+) (minute|hour|day)s?\)$/;
const UNIT_MS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

/**
 * Invokes functions at the rates of their rules, as EventBridge does: first when the time has passed once, and whether
 * the invocation before is over or not.
 */
export class LocalSchedules {
  readonly #options: LocalSchedulesOptions;
  readonly #cancels = new Map<LocalSchedule, () => void>();
  #isStopped = false;

  constructor(options: LocalSchedulesOptions) {
    this.#options = options;
    for (const schedule of options.schedules) {
      if (!schedule.isEnabled) continue;
      const periodMs = periodOf(schedule.expression);
      if (periodMs === undefined) {
        options.onNotice(
          `Schedule ${schedule.name} does not run on this machine: ${schedule.expression} is no rate.`,
        );
      } else this.#wait(schedule, periodMs);
    }
  }

  /** Begins nothing any more; what has begun ends with its function. */
  stop(): void {
    this.#isStopped = true;
    for (const cancel of this.#cancels.values()) cancel();
  }

  #wait(schedule: LocalSchedule, periodMs: number): void {
    const cancel = this.#options.timer.schedule(periodMs, () => {
      this.#wait(schedule, periodMs);
      void this.#run(schedule);
    });
    this.#cancels.set(schedule, cancel);
  }

  async #run({ name, functionName, input }: LocalSchedule): Promise<void> {
    const { invoke, onNotice } = this.#options;
    const event: unknown =
      input === undefined ? { source: 'aws.events', 'detail-type': 'Scheduled Event' } : JSON.parse(input);
    try {
      await invoke(functionName, event);
    } catch (error) {
      if (!this.#isStopped) onNotice(`Schedule ${name} failed: ${String(error)}`);
    }
  }
}

function periodOf(expression: string): number | undefined {
  const [, count, unit] = RATE.exec(expression) ?? [];
  return count === undefined ? undefined : Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS];
}

import type { CheckpointReport } from '../checkpoint/take-checkpoint.ts';
import type { Runtime } from '../engine/runtime.ts';
import type { TimerSweep } from '../engine/sweep-timers.ts';

import type { StoreCosts } from '../state/state-store.ts';
import type { GaugeName } from './batch-metrics.ts';
import type { Container } from './container.ts';
import type { LettersAnswer } from './letters-command.ts';
import type { RewindCommandAnswer } from './rewind-command.ts';
import type { SweepAnswer } from './sweep-command.ts';

/** What a command runs with. */
export interface CommandContext {
  readonly runtime: Runtime;
  readonly spilled: Container['spilled'];
  readonly services: Container['services'];
  /** When Lambda ends the process, milliseconds since the epoch. */
  readonly deadlineMs: number;
  /** Tells this invocation from every other. */
  readonly requestId: string;
  /** Writes a metric of its own. */
  readonly gauge: (name: GaugeName, value: number) => void;
  /** Writes what a sweep of timers published, and what it used of the store since. */
  readonly swept: (sweep: Pick<TimerSweep, 'published'>, before: StoreCosts) => void;
}

export type CommandAnswer = LettersAnswer | SweepAnswer | CheckpointReport | RewindCommandAnswer | TimerSweep;

/** What a function may be asked for beside its batches, by an event `{ "tidemark": "<name>", … }`. */
const COMMANDS = {
  redrive: async (event: object, context: CommandContext): Promise<LettersAnswer> =>
    (await import('./letters-command.ts')).lettersCommand('redrive', event, context),
  drop: async (event: object, context: CommandContext): Promise<LettersAnswer> =>
    (await import('./letters-command.ts')).lettersCommand('drop', event, context),
  sweep: async (_: object, context: CommandContext): Promise<SweepAnswer> =>
    (await import('./sweep-command.ts')).sweepCommand(context),
  timers: async (event: object, context: CommandContext): Promise<TimerSweep> =>
    (await import('./timers-command.ts')).timersCommand(event, context),
  checkpoint: async (event: object, context: CommandContext): Promise<CheckpointReport> =>
    (await import('./checkpoint-command.ts')).checkpointCommand(event, context),
  rewind: async (event: object, context: CommandContext): Promise<RewindCommandAnswer> =>
    (await import('./rewind-command.ts')).rewindCommand(event, context),
} as const;

export type CommandName = keyof typeof COMMANDS;

/** Only who may invoke the function can ask: an event source mapping's events all have records and no such field. */
export function commandOf(event: unknown): ((context: CommandContext) => Promise<CommandAnswer>) | undefined {
  if (typeof event !== 'object' || event === null || !('tidemark' in event)) return undefined;
  const name = event.tidemark;
  if (typeof name === 'string' && Object.hasOwn(COMMANDS, name)) {
    return (context) => COMMANDS[name as CommandName](event, context);
  }
  throw new TypeError(
    `The event asks for the command ${JSON.stringify(name)}; there are: ${Object.keys(COMMANDS).join(', ')}.`,
  );
}

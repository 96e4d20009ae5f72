import { Command } from 'commander';
import { checkpointCommand } from '../../infra/cli/checkpoints.ts';
import { deadLettersCommand } from '../../infra/cli/deadletters.ts';
import type { OperatorContext } from '../../infra/cli/operator-context.ts';
import type { Whereabouts } from '../../infra/cli/pipeline-access.ts';
import { restoreCommand, rewindCommand } from '../../infra/cli/rewind.ts';
import { stateCommand } from '../../infra/cli/state.ts';
import { statusCommand } from '../../infra/cli/status.ts';
import { systemClock } from '../../shared/time/clock.ts';

/** What a command of the operator answered, in the form for scripts. */
export interface Answer {
  /** False where the command says that not all is done. */
  readonly isDone: boolean;
  /** Each line of standard output, read as JSON. */
  readonly lines: readonly Record<string, unknown>[];
  /** What people are told. */
  readonly said: string;
}

/**
 * Runs the operator's command in this process.
 * @throws what the command throws.
 */
export async function tidemark(where: Whereabouts, ...args: readonly string[]): Promise<Answer> {
  const lines: Record<string, unknown>[] = [];
  const said: string[] = [];
  let isDone = true;
  const { signal } = new AbortController();
  const context: OperatorContext = {
    out: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>),
    people: (line) => void said.push(line),
    bars: undefined,
    input: process.stdin,
    question: process.stderr,
    interruption: { signal, requested: new Promise(() => undefined), release: () => undefined },
    nowMs: () => systemClock.nowMs(),
    fail: () => void (isDone = false),
  };
  const command = new Command('tidemark')
    .addCommand(statusCommand(context, new Command('status')))
    .addCommand(stateCommand(context))
    .addCommand(checkpointCommand(context))
    .addCommand(rewindCommand(context, new Command('rewind')))
    .addCommand(restoreCommand(context, new Command('restore')))
    .addCommand(deadLettersCommand(context));
  const place = [
    ...(where.local === true ? ['--local'] : []),
    ...(where.env === undefined ? [] : ['--env', where.env]),
  ];
  await command.parseAsync([...args, ...place, '--json'], { from: 'user' });
  return { isDone, lines, said: said.join('\n') };
}

import { Command } from 'commander';
import { checkpointCommand } from '../../infra/cli/checkpoints.ts';
import { compareCommand } from '../../infra/cli/compare.ts';
import { deadLettersCommand } from '../../infra/cli/deadletters.ts';
import { forkCommand } from '../../infra/cli/fork.ts';
import type { OperatorContext } from '../../infra/cli/operator-context.ts';
import { positionsCommand } from '../../infra/cli/positions.ts';
import { restoreCommand, rewindCommand } from '../../infra/cli/rewind.ts';
import { stateCommand } from '../../infra/cli/state.ts';
import { statusCommand } from '../../infra/cli/status.ts';
import { systemClock } from '../../shared/time/clock.ts';

/** What a command of the operator said, and whether it said that all is done. */
export interface Said {
  readonly isDone: boolean;
  readonly out: readonly string[];
  readonly people: readonly string[];
  readonly error: unknown;
}

/** The operator's process is gone. */
export class Death extends Error {}

/**
 * A command of the operator in this process.
 * @param diesAt it is gone when people are told this. @param where the pipeline is.
 */
export async function operate(
  args: readonly string[],
  diesAt?: string,
  where: readonly string[] = ['--local'],
): Promise<Said> {
  const said = { isDone: true, out: [] as string[], people: [] as string[], error: undefined as unknown };
  const { signal } = new AbortController();
  const context: OperatorContext = {
    isRead: () => true,
    out: (line) => void said.out.push(line),
    people: (line) => {
      said.people.push(line);
      if (diesAt !== undefined && line.includes(diesAt)) throw new Death(line);
    },
    bars: undefined,
    input: process.stdin,
    question: process.stderr,
    interruption: { signal, requested: new Promise(() => undefined), release: () => undefined },
    nowMs: () => systemClock.nowMs(),
    fail: () => void (said.isDone = false),
  };
  const command = new Command('tidemark')
    .addCommand(rewindCommand(context, new Command('rewind')))
    .addCommand(restoreCommand(context, new Command('restore')))
    .addCommand(forkCommand(context, new Command('fork')))
    .addCommand(compareCommand(context, new Command('compare')))
    .addCommand(statusCommand(context, new Command('status')))
    .addCommand(positionsCommand(context, new Command('positions')))
    .addCommand(stateCommand(context))
    .addCommand(deadLettersCommand(context))
    .addCommand(checkpointCommand(context));
  try {
    await command.parseAsync([...args, ...where, '--json'], { from: 'user' });
  } catch (error) {
    said.error = error;
    said.isDone = false;
  }
  return said;
}

/** The last line of a command's answer. @throws Error where there is none. */
export function json(said: Said): Record<string, unknown> {
  const line = said.out.at(-1);
  if (line === undefined)
    throw new Error(`Nothing was said: ${said.people.join('\n')}`, { cause: said.error });
  return JSON.parse(line) as Record<string, unknown>;
}

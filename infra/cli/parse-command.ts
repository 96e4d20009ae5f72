import { CommanderError, InvalidArgumentError, type Command } from 'commander';
import { UsageError } from './usage-error.ts';

/**
 * Has a command read its arguments; its errors are thrown, not printed.
 * @returns whether there is something to do: not where only help was asked for, which has been given then.
 * @throws UsageError for what the command does not take.
 */
export function parseCommand(command: Command, argv: readonly string[]): boolean {
  command
    .helpOption('-h, --help', 'show this')
    .allowExcessArguments(false)
    .configureOutput({ writeErr: () => undefined })
    .exitOverride();
  try {
    command.parse([...argv], { from: 'user' });
    return true;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return false;
    throw new UsageError(error.message.replace(/^error: /, ''));
  }
}

/** Reads an option's number. */
export function wholeNumber({
  lowest,
  highest,
}: {
  lowest: number;
  highest: number;
}): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (value >= lowest && value <= highest) return value;
    throw new InvalidArgumentError(`Allowed are whole numbers from ${lowest} to ${highest}.`);
  };
}

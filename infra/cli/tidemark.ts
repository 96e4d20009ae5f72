#!/usr/bin/env -S npx tsx
import { Command, CommanderError } from 'commander';
import { systemClock } from '../../shared/time/clock.ts';
import { checkpointCommand } from './checkpoints.ts';
import { compareCommand } from './compare.ts';
import { costCommand } from './cost.ts';
import { deadLettersCommand } from './deadletters.ts';
import { forkCommand } from './fork.ts';
import { letReaderGo } from './gone-reader.ts';
import { listenForInterruption } from './interruption.ts';
import type { OperatorContext } from './operator-context.ts';
import { positionsCommand } from './positions.ts';
import { restoreCommand, rewindCommand } from './rewind.ts';
import { stateCommand } from './state.ts';
import { pipelinesCommand, statusCommand } from './status.ts';
import { UsageError } from './usage-error.ts';

const EXIT = { fine: 0, notAll: 1, badUsage: 2 } as const;

/** `npm run tidemark -- …`: what an operator does with a pipeline that is deployed. @returns the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  let code: number = EXIT.fine;
  const interruption = listenForInterruption(
    () => systemClock.nowMs(),
    () => process.stderr.write('\nStopping when what is under way has ended … (Ctrl-C again ends at once)\n'),
  );
  const isRead = letReaderGo(process.stdout);
  letReaderGo(process.stderr);
  const context: OperatorContext = {
    isRead,
    out: (line) => process.stdout.write(`${line}\n`),
    people: (line) => process.stderr.write(`${line}\n`),
    bars: process.stderr.isTTY ? process.stderr : undefined,
    input: process.stdin,
    question: process.stderr,
    interruption,
    nowMs: () => systemClock.nowMs(),
    fail: () => (code = EXIT.notAll),
  };
  try {
    await tidemarkCommand(context).parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    return fail(error);
  } finally {
    interruption.release();
  }
}

function tidemarkCommand(context: OperatorContext): Command {
  const command = new Command('tidemark')
    .description('Operates pipelines that are deployed, on AWS or in the local cloud.')
    .addCommand(pipelinesCommand(context, new Command('pipelines')))
    .addCommand(statusCommand(context, new Command('status')))
    .addCommand(positionsCommand(context, new Command('positions')))
    .addCommand(stateCommand(context))
    .addCommand(checkpointCommand(context))
    .addCommand(rewindCommand(context, new Command('rewind')))
    .addCommand(restoreCommand(context, new Command('restore')))
    .addCommand(forkCommand(context, new Command('fork')))
    .addCommand(compareCommand(context, new Command('compare')))
    .addCommand(deadLettersCommand(context))
    .addCommand(costCommand(context, new Command('cost')))
    .addHelpText('after', '\nExit codes: 0 all is done, 1 some is not, 2 bad usage.');
  return strict(command);
}

/** Errors are thrown, not printed: one place says them. */
function strict(command: Command): Command {
  command
    .allowExcessArguments(false)
    .configureOutput({ writeErr: () => undefined })
    .exitOverride();
  for (const each of command.commands) strict(each);
  return command;
}

function fail(error: unknown): number {
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.fine;
  if (error instanceof CommanderError || error instanceof UsageError) {
    const message = error.message.replace(/^error: /, '');
    const said = message === '(outputHelp)' ? 'Which command?' : message;
    process.stderr.write(`${said}\nnpm run tidemark -- --help lists what there is.\n`);
    return EXIT.badUsage;
  }
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return EXIT.notAll;
}

// Said once by every client that is loaded: the Node that runs here is the user's own choice.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
process.exitCode = await main(process.argv.slice(2));

import type { Command } from 'commander';
import { accessPipeline, type PipelineAccess, type Whereabouts } from './pipeline-access.ts';

/** What every command of a pipeline takes. */
export interface LocatedOptions extends Whereabouts {
  readonly json?: boolean;
}

/** Gives a command the options that say where its pipeline is, and how it answers. */
export function located(command: Command): Command {
  return command
    .option('--json', 'for a script: JSON on standard output, all else on standard error')
    .option('--local', 'of the local cloud that "npm start" runs on this machine')
    .option('--profile <name>', 'AWS profile')
    .option('--region <name>', 'AWS region')
    .option('--env <name>', 'the environment that it was deployed for with "-c env=…"');
}

/** A command of one pipeline. */
export function ofPipeline(command: Command, description: string): Command {
  return located(command.description(description).argument('<pipeline>', 'its name'));
}

export async function withAccess<Result>(
  pipeline: string,
  where: Whereabouts,
  run: (access: PipelineAccess) => Promise<Result>,
): Promise<Result> {
  const access = await accessPipeline(pipeline, where);
  try {
    return await run(access);
  } finally {
    access.close();
  }
}

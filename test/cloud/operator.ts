import type { Whereabouts } from '../../infra/cli/pipeline-access.ts';
import { operate } from '../support/operate.ts';

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
  const place = [
    ...(where.local === true ? ['--local'] : []),
    ...(where.env === undefined ? [] : ['--env', where.env]),
  ];
  const { isDone, out, people, error } = await operate(args, undefined, place);
  if (error instanceof Error) throw error;
  return {
    isDone,
    lines: out.map((line) => JSON.parse(line) as Record<string, unknown>),
    said: people.join('\n'),
  };
}

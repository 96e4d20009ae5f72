import { createInterface } from 'node:readline/promises';
import { setTimeout as wait } from 'node:timers/promises';
import type { OperatorContext } from './operator-context.ts';
import { UsageError } from './usage-error.ts';

/** Asks a person whether to go on. @throws UsageError where nobody can be asked. */
export async function confirmed(
  { input, question, interruption }: OperatorContext,
  what: string,
): Promise<boolean> {
  if (input.isTTY !== true) throw new UsageError(`${what} Nobody can be asked here: say --yes.`);
  const lines = createInterface({ input, output: question });
  try {
    const answer = await lines.question(`${what} [y/N] `, { signal: interruption.signal });
    return /^y(es)?$/i.test(answer.trim());
  } catch (error) {
    if (interruption.signal.aborted) return false;
    throw error;
  } finally {
    lines.close();
    await wait(0);
  }
}

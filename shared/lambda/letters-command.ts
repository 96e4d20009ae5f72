import type { LetterResult, LettersRequest } from '../engine/letter-results.ts';
import { processLetters } from '../engine/redrive.ts';
import type { CommandContext } from './commands.ts';

/** The event that asks a pipeline's function to redrive or drop dead letters. */
export interface LettersEvent {
  readonly tidemark: LettersRequest['action'];
  readonly names: readonly string[];
  /** Redrive behind earlier letters of a key that are open. */
  readonly force?: boolean;
}

export interface LettersAnswer {
  /** One per name, in their order. */
  readonly results: readonly LetterResult[];
}

/** @throws TypeError when the event is not a `LettersEvent`. */
export async function lettersCommand(
  action: LettersRequest['action'],
  event: object,
  { runtime, deadlineMs, requestId }: CommandContext,
): Promise<LettersAnswer> {
  const { names, force = false } = event as Partial<LettersEvent>;
  if (
    !Array.isArray(names) ||
    !names.every((name) => typeof name === 'string') ||
    typeof force !== 'boolean'
  ) {
    throw new TypeError(
      `The event asks to ${action} dead letters without saying which: 'names' is a list of their names, 'force' true or false.`,
    );
  }
  const results = await processLetters(
    runtime,
    { action, names, isForced: force, session: requestId },
    deadlineMs,
  );
  const counts = new Map<string, number>();
  for (const { outcome } of results) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  runtime.log.warn(`Dead letters were asked for: ${action}`, Object.fromEntries(counts));
  return { results };
}

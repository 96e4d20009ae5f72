import type { DeadLetterStage } from '../state/state-item.ts';
import { kindOfThrown } from './kind-of-thrown.ts';

/** This record, or one element of it, cannot be processed, now or ever: it becomes a dead letter (or stops the shard). */
export class RecordError extends Error {
  override readonly name = 'RecordError';
  readonly stage: DeadLetterStage;

  constructor(stage: DeadLetterStage, reason: string) {
    super(reason);
    this.stage = stage;
  }
}

/** What a dead letter says of why, in bytes that are paid for in the item: long reasons are cut. */
export const REASON_LIMIT_CHARACTERS = 400;

/** A rejection as it is committed: where it happened and why. */
export interface Rejection {
  readonly stage: DeadLetterStage;
  readonly reason: string;
  /** What may be logged instead, where the reason may quote the record. */
  readonly summary?: string;
}

/** What user code threw becomes a rejection at `stage`, unless it knows its own. */
export function rejectionOf(error: unknown, stage: DeadLetterStage): Rejection {
  const known = error instanceof RecordError ? error : undefined;
  const reason = (known?.message ?? textOf(error)).slice(0, REASON_LIMIT_CHARACTERS).toWellFormed();
  if (known !== undefined && OWN_WORDS.has(known.stage)) return { stage: known.stage, reason };
  const summary =
    known === undefined ? `user code threw ${kindOfThrown(error)}` : `the ${known.stage} was refused`;
  return {
    stage: known?.stage ?? stage,
    reason,
    summary: `${summary}; the reason may quote the record and is not logged: read the record by its sequence number`,
  };
}

/** Stages whose reasons are in the engine's words alone and quote nothing. */
const OWN_WORDS: ReadonlySet<DeadLetterStage> = new Set(['decode', 'key']);

/** Whatever user code throws: its name and message may themselves be no text, or throw. */
function textOf(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : `thrown: ${String(error)}`;
  } catch {
    return 'a value was thrown that cannot be shown';
  }
}

import type { DeadLetterStage } from '../state/state-item.ts';

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
}

/** What user code threw becomes a rejection at `stage`, unless it knows its own. */
export function rejectionOf(error: unknown, stage: DeadLetterStage): Rejection {
  const reason = error instanceof Error ? `${error.name}: ${error.message}` : `thrown: ${safeText(error)}`;
  const known = error instanceof RecordError;
  return {
    stage: known ? error.stage : stage,
    reason: (known ? error.message : reason).slice(0, REASON_LIMIT_CHARACTERS).toWellFormed(),
  };
}

function safeText(value: unknown): string {
  try {
    return String(value);
  } catch {
    return 'a value that cannot be shown';
  }
}

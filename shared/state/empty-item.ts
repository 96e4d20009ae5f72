import { firstRevision } from './revision.ts';
import { generationOf } from './row-key.ts';
import type { StateItem } from './state-item.ts';

/** An item in which nothing is, made now. @param nowMs milliseconds since the epoch. */
export function emptyItem(pk: string, nowMs: number): StateItem {
  const revision = firstRevision(generationOf(pk), nowMs);
  return { pk, revision, marks: new Map(), states: new Map(), versions: new Map(), outbox: [] };
}

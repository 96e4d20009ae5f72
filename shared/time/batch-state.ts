import type { OperatorTimers, StatefulStage } from '../pipeline/definition.ts';
import type { Document } from '../state/document.ts';
import { requireTime } from './window-operator.ts';

/** As it is stored: the state, and the values of batches that are not over, by the batch's start. */
interface Held {
  readonly s?: Document;
  readonly b?: { readonly [batch: string]: readonly Document[] };
}

/**
 * Spark's `updateStateByKey` to the letter: called when a batch is over, with all of a key's values of it, and for every
 * key that has a state, with or without values. What comes for a batch that is over is dropped and counted.
 */
export function batchStateStage(
  name: string,
  version: number,
  intervalMs: number,
  update: (
    values: readonly Document[],
    state: Document | undefined,
    key: string,
    endMs: number,
  ) => Document | undefined,
): StatefulStage {
  const timers: OperatorTimers = {
    dueMs: (state, firedMs) => {
      const { s, b = {} } = state as Held;
      const first = Math.min(...Object.keys(b).map(Number));
      const ofValues = first + intervalMs;
      const ofState =
        s === undefined || firedMs === -Infinity
          ? Infinity
          : Math.floor(firedMs / intervalMs) * intervalMs + intervalMs;
      const dueMs = Math.min(ofValues, ofState);
      return dueMs === Infinity ? undefined : dueMs;
    },
    fire: (key, endMs, cell) => {
      const { s, b = {} } = cell.get() as Held;
      const { [String(endMs - intervalMs)]: values = [], ...rest } = b;
      const next = update(values, s, key, endMs);
      const hasRest = Object.keys(rest).length > 0;
      if (next === undefined && !hasRest) cell.remove();
      else cell.set({ ...(next !== undefined && { s: next }), ...(hasRest && { b: rest }) });
      return next === undefined ? [] : [next];
    },
  };
  return {
    kind: 'stateful',
    name,
    version,
    outputs: 'event',
    timers,
    fold: (_, value, cell, { time }) => {
      const { eventMs, overMs, onLate } = requireTime(name, time);
      const startMs = Math.floor(eventMs / intervalMs) * intervalMs;
      if (startMs + intervalMs <= overMs) {
        onLate?.();
        return [];
      }
      const held = (cell.get() ?? {}) as Held;
      const batch = String(startMs);
      cell.set({ ...held, b: { ...held.b, [batch]: [...(held.b?.[batch] ?? []), value as Document] } });
      return [];
    },
  };
}

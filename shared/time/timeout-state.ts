import type { OperatorTimers, StateCell, StatefulStage } from '../pipeline/definition.ts';
import { requireSynchronous } from '../pipeline/synchronous.ts';
import type { Document } from '../state/document.ts';
import { requireTime } from './window-operator.ts';

/** As it is stored: the state, and when it times out. */
interface Held {
  readonly s: Document;
  readonly t?: number;
}

/** `mapWithState` of keys that are given up when nothing has come for them for a time. */
export function timeoutStateStage(
  name: string,
  version: number,
  timeoutMs: number,
  map: (value: unknown, state: StateCell, key: string) => unknown,
  onTimeout: (state: Document, key: string) => unknown,
): StatefulStage {
  const timers: OperatorTimers = {
    dueMs: (state, firedMs) => {
      const { t } = state as unknown as Held;
      return t === undefined ? undefined : Math.max(t, firedMs + 1);
    },
    fire: (key, _, cell) => {
      const { s } = cell.get() as unknown as Held;
      cell.remove();
      const output = requireSynchronous(onTimeout(s, key), `onTimeout of operator '${name}'`);
      return output === undefined ? [] : [output];
    },
  };
  return {
    kind: 'stateful',
    name,
    version,
    outputs: 'event',
    timers,
    fold: (key, value, cell, { time }) => {
      const { eventMs, firedMs } = requireTime(name, time);
      const before = cell.get() as unknown as Held | undefined;
      let state = before?.s;
      const own: StateCell = {
        get: () => state,
        copy: () => structuredClone(state),
        set: (next) => (state = next as Document),
        remove: () => (state = undefined),
      };
      const output = map(value, own, key);
      // An older value must not shorten the time that a newer one has given.
      const t = Math.max(before?.t ?? -Infinity, eventMs + timeoutMs, firedMs + 1);
      if (state === undefined) cell.remove();
      else cell.set({ s: state, t });
      return output === undefined ? [] : [output];
    },
  };
}

import type { OperatorTimers, StatefulStage } from '../pipeline/definition.ts';
import type { Document } from '../state/document.ts';
import {
  destinationKey,
  lateOutputs,
  outputMs,
  requireTime,
  type WindowFold,
  type WindowSettings,
} from './window-operator.ts';
import type { SessionWindows } from './window-spec.ts';

interface Session {
  readonly startMs: number;
  readonly endMs: number;
  readonly accumulator: Document;
}

/**
 * The operator over sessions: the state has `[end, accumulator]` by the session's start. A value is a session from its
 * time to the end of its gap, which merges with all that it meets. Whether it is late it says alone, as in Spark: in time
 * for its own session, or not.
 */
export function sessionWindowStage(
  name: string,
  version: number,
  { gapMs }: SessionWindows<unknown>,
  fold: WindowFold,
  late: WindowSettings['late'],
): StatefulStage {
  const timers: OperatorTimers = {
    dueMs: (state) => Math.min(...sessionsOf(state).map(({ endMs }) => endMs)),
    fire: (key, dueMs, cell) => {
      const sessions = sessionsOf(cell.get());
      const left = sessions.filter(({ endMs }) => endMs > dueMs);
      if (left.length === 0) cell.remove();
      else cell.set(stateOf(left));
      return sessions.filter(({ endMs }) => endMs <= dueMs).map((each) => resultOf(key, each));
    },
  };
  const resultOf = (key: string, { startMs, endMs, accumulator }: Session): unknown => ({
    key,
    window: { start: startMs, end: endMs },
    value: fold.result(accumulator),
  });

  return {
    kind: 'stateful',
    name,
    version,
    outputs: 'event',
    timers,
    outputMs,
    destinationKey,
    fold: (key, value, cell, context) => {
      const time = requireTime(name, context.time);
      const { eventMs, overMs } = time;
      const ownGapMs = gapMs(value);
      if (!(ownGapMs > 0)) return [];
      const endMs = eventMs + ownGapMs;
      if (endMs <= overMs) {
        return lateOutputs(name, late, endMs, time, () => [
          resultOf(key, { startMs: eventMs, endMs, accumulator: fold.add(undefined, value) }),
        ]);
      }
      const sessions = sessionsOf(cell.get());
      const met = sessions.filter((each) => each.startMs <= endMs && eventMs <= each.endMs);
      const startMs = Math.min(eventMs, ...met.map((each) => each.startMs));
      // Merged in the order of their times, the value behind them: it came last.
      const [first, ...others] = met;
      const before = others.reduce<Document | undefined>(
        (whole, { accumulator }) => (whole === undefined ? accumulator : fold.merge(whole, accumulator)),
        first?.accumulator,
      );
      const merged: Session = {
        startMs,
        endMs: Math.max(endMs, ...met.map((each) => each.endMs)),
        accumulator: fold.add(before, value),
      };
      cell.set(stateOf([...sessions.filter((each) => !met.includes(each)), merged]));
      return [];
    },
  };
}

function sessionsOf(state: Document | undefined): readonly Session[] {
  const sessions = Object.entries((state ?? {}) as { readonly [start: string]: readonly [number, Document] });
  return sessions
    .map(([start, [endMs, accumulator]]) => ({ startMs: Number(start), endMs, accumulator }))
    .sort((a, b) => a.startMs - b.startMs);
}

function stateOf(sessions: readonly Session[]): Document {
  return Object.fromEntries(
    sessions.map(({ startMs, endMs, accumulator }) => [String(startMs), [endMs, accumulator]]),
  );
}

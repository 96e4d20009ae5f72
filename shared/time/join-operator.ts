import type { OperatorTimers, StatefulStage } from '../pipeline/definition.ts';
import type { Document } from '../state/document.ts';
import { RecordError } from '../source/record-error.ts';
import { requireTime, type LatePolicy } from './window-operator.ts';

export type JoinKind = 'inner' | 'leftOuter' | 'rightOuter' | 'fullOuter' | 'leftSemi';

export interface JoinSettings {
  readonly kind: JoinKind;
  readonly isLeft: (value: unknown) => boolean;
  readonly isRight: (value: unknown) => boolean;
  /** A right value joins a left one where it is at most so much before it, or behind it, milliseconds. */
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly late: LatePolicy;
}

type Side = 'l' | 'r';

/** A value that waits for others: its time, the value, and 1 where it has met one. */
type Waiting = readonly [timeMs: number, value: Document, hasMet?: 1];

interface Held {
  readonly l?: readonly Waiting[];
  readonly r?: readonly Waiting[];
}

const OTHER: Readonly<Record<Side, Side>> = { l: 'r', r: 'l' };

/**
 * Joins the values of a key that are of two kinds, where their times are near enough. Each waits until event time is over
 * for all that could join it: then it goes, and where it must be given without a partner, it is.
 */
export function joinStage(
  name: string,
  version: number,
  { kind, isLeft, isRight, beforeMs, afterMs, late }: JoinSettings,
): StatefulStage {
  /**
   * How long behind its own time a value's last partner may come. One that is a window's result comes when that
   * millisecond is over.
   */
  const waitMs: Readonly<Record<Side, number>> = { l: afterMs, r: beforeMs };
  const isOuter: Readonly<Record<Side, boolean>> = {
    l: kind === 'leftOuter' || kind === 'fullOuter',
    r: kind === 'rightOuter' || kind === 'fullOuter',
  };
  const alone = (side: Side, value: Document): Document =>
    side === 'l' ? { left: value, right: null } : { left: null, right: value };
  const meet = (side: Side, timeMs: number, [otherMs]: Waiting): boolean => {
    const [leftMs, rightMs] = side === 'l' ? [timeMs, otherMs] : [otherMs, timeMs];
    return rightMs >= leftMs - beforeMs && rightMs <= leftMs + afterMs;
  };

  const timers: OperatorTimers = {
    dueMs: (state) => {
      const { l = [], r = [] } = state as Held;
      const dueMs = Math.min(
        ...l.map(([timeMs]) => timeMs + waitMs.l + 1),
        ...r.map(([timeMs]) => timeMs + waitMs.r + 1),
      );
      return dueMs === Infinity ? undefined : dueMs;
    },
    fire: (_, dueMs, cell) => {
      const held = cell.get() as Held;
      const outputs: Document[] = [];
      const left: { [Name in Side]?: readonly Waiting[] } = {};
      for (const side of ['l', 'r'] as const) {
        const waiting = held[side] ?? [];
        for (const [timeMs, value, hasMet] of waiting) {
          if (timeMs + waitMs[side] < dueMs && isOuter[side] && hasMet === undefined) {
            outputs.push(alone(side, value));
          }
        }
        left[side] = waiting.filter(([timeMs]) => timeMs + waitMs[side] >= dueMs);
      }
      hold(cell, left);
      return outputs;
    },
  };

  return {
    kind: 'stateful',
    name,
    version,
    outputs: 'event',
    timers,
    fold: (_, value, cell, { time }) => {
      const side: Side | undefined = isLeft(value) ? 'l' : isRight(value) ? 'r' : undefined;
      if (side === undefined) return [];
      const { eventMs, overMs, onLate } = requireTime(name, time);
      const isLate = eventMs <= overMs;
      if (isLate && late === 'drop') {
        onLate?.();
        return [];
      }
      if (isLate && late === 'deadLetter') {
        const over = new Date(overMs).toISOString();
        throw new RecordError(
          'late',
          `it came too late for operator '${name}': event time is over up to ${over}`,
        );
      }
      const held = (cell.get() ?? {}) as Held;
      const own = value as Document;
      const outputs: Document[] = [];
      let hasMet = false;
      const others = (held[OTHER[side]] ?? []).map((other): Waiting => {
        if (!meet(side, eventMs, other)) return other;
        const [otherMs, otherValue, otherHasMet] = other;
        const [left, right] = side === 'l' ? [own, otherValue] : [otherValue, own];
        if (kind !== 'leftSemi') outputs.push({ left, right });
        // Each left value once, when its first partner is there.
        else if (side === 'l' ? !hasMet : otherHasMet === undefined) outputs.push(left);
        hasMet = true;
        return [otherMs, otherValue, 1];
      });
      const mine = held[side] ?? [];
      if (isLate) {
        if (!hasMet && isOuter[side]) outputs.push(alone(side, own));
        hold(cell, { ...held, [OTHER[side]]: others });
        return outputs;
      }
      const waiting: Waiting = hasMet ? [eventMs, own, 1] : [eventMs, own];
      hold(cell, { [OTHER[side]]: others, [side]: [...mine, waiting] });
      return outputs;
    },
  };
}

function hold(cell: { set(state: unknown): void; remove(): void }, { l = [], r = [] }: Held): void {
  if (l.length === 0 && r.length === 0) cell.remove();
  else cell.set({ ...(l.length > 0 && { l }), ...(r.length > 0 && { r }) });
}

import { joinStage, type JoinKind } from '../time/join-operator.ts';
import { requireLatePolicy, type LatePolicy } from '../time/window-operator.ts';
import type { StatefulStage } from './definition.ts';
import { secondsOf, type Duration } from './duration.ts';
import { requireSynchronous } from './synchronous.ts';
import { requireVersion } from './version.ts';

export interface JoinOptions<T, L extends T, R extends T> {
  /** Which of the key's values are left ones. */
  left: (value: T) => value is L;
  /** Which are right ones, of those that are not left. What is neither is left out. */
  right: (value: T) => value is R;
  /**
   * How much a right value's time may lie before a left one's, or behind it: one of them at least. Values are kept for so
   * long.
   */
  within: { before?: Duration; after?: Duration };
  /**
   * What becomes of a value whose time is over when it comes: it is dropped and counted (`drop`, unless given), it becomes
   * a dead letter (`deadLetter`), or it joins what is still there, and waits for nothing (`accept`).
   */
  late?: LatePolicy;
  /** Version of the values' form, a whole number from 1. */
  version?: number;
}

/** A left value and a right one. */
export interface Joined<L, R> {
  readonly left: L;
  readonly right: R;
}

/** @throws TypeError where an option cannot be used. */
export function joinOf<T, L extends T, R extends T>(
  name: string,
  kind: JoinKind,
  { left, right, within, late = 'drop', version = 1 }: JoinOptions<T, L, R>,
): StatefulStage {
  requireVersion(name, version);
  const { before, after } = within;
  if (before === undefined && after === undefined) {
    throw new TypeError(
      `Operator '${name}' joins without a bound in time, and would keep each value for ever: give 'within' a 'before' ` +
        "or an 'after'.",
    );
  }
  requireLatePolicy(`operator '${name}'`, late);
  const msOf = (which: string, duration: Duration | undefined): number =>
    duration === undefined ? 0 : secondsOf(`'within.${which}' of operator '${name}'`, duration) * 1_000;
  return joinStage(name, version, {
    kind,
    isLeft: (value) => requireSynchronous(left(value as T), `'left' of operator '${name}'`),
    isRight: (value) => requireSynchronous(right(value as T), `'right' of operator '${name}'`),
    beforeMs: msOf('before', before),
    afterMs: msOf('after', after),
    late,
  });
}

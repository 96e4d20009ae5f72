import { ConfigurationError } from '../pipeline/configuration-error.ts';
import type { ValueTime } from '../pipeline/definition.ts';
import { RecordError } from '../source/record-error.ts';
import type { Document } from '../state/document.ts';

/** Start and end of a window, milliseconds since the epoch; the end is the first moment that is not in it. */
export interface WindowBounds {
  readonly start: number;
  readonly end: number;
}

/** What came of the values of one key in one window. */
export interface WindowResult<R> {
  readonly key: string;
  readonly window: WindowBounds;
  readonly value: R;
  /** What the window has so far; there will be another result of it. Only where early results are asked for. */
  readonly isEarly?: true;
}

/** How values become one accumulator, and two accumulators one. */
export interface WindowFold {
  readonly add: (accumulator: Document | undefined, value: unknown) => Document;
  readonly merge: (earlier: Document, later: Document) => Document;
  readonly result: (accumulator: Document) => unknown;
}

export interface WindowSettings {
  /** `onClose`: one result when the window is over. `onUpdate`: one with every value. */
  readonly emit: 'onClose' | 'onUpdate';
  /** At whole multiples of it windows that have something new give a result so far, milliseconds of event time. */
  readonly earlyMs: number | undefined;
  /** How long a window takes values behind its end, milliseconds; each that comes when it has fired gives a new result. */
  readonly allowedLatenessMs: number;
  /** What becomes of a value that comes too late for all of its windows. */
  readonly late: LatePolicy;
}

const LATE_POLICIES = ['drop', 'deadLetter', 'accept'] as const;
export type LatePolicy = (typeof LATE_POLICIES)[number];

/** @param of what, as errors name it. @throws TypeError for what is no policy. */
export function requireLatePolicy(of: string, late: LatePolicy): void {
  if (LATE_POLICIES.includes(late)) return;
  const allowed = LATE_POLICIES.map((each) => `'${each}'`).join(', ');
  throw new TypeError(`'late' of ${of} is ${JSON.stringify(late)}; it is one of ${allowed}.`);
}

/** A result stands at the last moment of its window, for what waits for time behind it. */
export function outputMs(output: unknown): number {
  return (output as WindowResult<unknown>).window.end - 1;
}

/** A key's windows go on independently of each other. */
export function destinationKey(key: string, output: unknown): string {
  return `${key}@${new Date((output as WindowResult<unknown>).window.start).toISOString()}`;
}

/**
 * What comes of a value that is too late for its windows, of which the last ended at `endMs`.
 * @param alone the results that it gives by itself, where it is accepted.
 * @throws RecordError where it is to be a dead letter.
 */
export function lateOutputs(
  name: string,
  late: LatePolicy,
  endMs: number,
  { onLate }: ValueTime,
  alone: () => readonly unknown[],
): readonly unknown[] {
  if (late === 'deadLetter') {
    throw new RecordError(
      'late',
      `it came too late for operator '${name}': its last window ended at ${new Date(endMs).toISOString()}`,
    );
  }
  if (late === 'accept') return alone();
  onLate?.();
  return [];
}

/** @throws ConfigurationError in a pipeline without a time, which the types refuse. */
export function requireTime(name: string, time: ValueTime | undefined): ValueTime {
  if (time !== undefined) return time;
  throw new ConfigurationError(
    `Operator '${name}' waits for event time, and its pipeline has none: give it eventTime(…) or arrivalTime().`,
  );
}

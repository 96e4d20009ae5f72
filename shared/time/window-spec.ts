import { secondsOf, type Duration } from '../pipeline/duration.ts';

/** Windows of one size, a new one at every slide; `tumbling` where the two are the same. */
export interface AlignedWindows {
  readonly kind: 'aligned';
  readonly sizeMs: number;
  readonly slideMs: number;
  /** Windows begin at whole slides since 1970 and this. */
  readonly offsetMs: number;
}

/** A window lasts until nothing of its key comes for a gap. */
export interface SessionWindows<T> {
  readonly kind: 'session';
  /** Of a value, milliseconds; a value whose gap is not above 0 is in no session. */
  readonly gapMs: (value: T) => number;
}

export type Windows<T> = AlignedWindows | SessionWindows<T>;

export interface WindowOptions {
  /** Begins windows so much behind whole slides since 1970. */
  offset?: Duration;
}

/**
 * Windows that follow each other without gap or overlap.
 * @throws TypeError where size or offset is no duration.
 */
export function tumbling(size: Duration, options: WindowOptions = {}): AlignedWindows {
  return sliding(size, size, options);
}

/**
 * A window of one size at every slide: they overlap where the slide is smaller, and leave gaps where it is larger, whose
 * values are in no window.
 * @throws TypeError where size, slide or offset is no duration, or there are more than 1,000 slides in a window.
 */
export function sliding(size: Duration, slide: Duration, { offset }: WindowOptions = {}): AlignedWindows {
  const sizeMs = secondsOf("The window's size", size) * 1_000;
  const slideMs = secondsOf("The window's slide", slide) * 1_000;
  const offsetMs = offset === undefined ? 0 : secondsOf("The window's offset", offset) * 1_000;
  if (offsetMs >= slideMs) {
    throw new TypeError(
      `The window's offset is ${offsetMs / 1_000} seconds; it is less than the slide, which is ${slideMs / 1_000}.`,
    );
  }
  if (sizeMs / slideMs > MAXIMUM_OVERLAP) {
    throw new TypeError(
      `A window of ${sizeMs / 1_000} seconds every ${slideMs / 1_000} seconds: each value would be in ` +
        `${Math.ceil(sizeMs / slideMs)} windows, the limit is ${MAXIMUM_OVERLAP}. Let them slide further.`,
    );
  }
  return Object.freeze({ kind: 'aligned', sizeMs, slideMs, offsetMs });
}

/** Each value is added to each of its windows, or to a pane of each of them: what is written stays in bounds. */
const MAXIMUM_OVERLAP = 1_000;

/**
 * A window that grows with every value that comes less than a gap behind the last, and merges with another that it
 * reaches.
 * @param gap one for all values, or a function from a value to its own; what is not above 0 puts the value into no session.
 * @throws TypeError where it is no duration.
 */
export function session<T = unknown>(gap: Duration | ((value: T) => Duration | number)): SessionWindows<T> {
  if (typeof gap !== 'function') {
    const gapMs = secondsOf('The gap of a session', gap) * 1_000;
    return Object.freeze({ kind: 'session', gapMs: () => gapMs });
  }
  return Object.freeze({
    kind: 'session',
    gapMs: (value: T) => {
      const own = gap(value);
      return typeof own === 'number' ? requireMs(own) : secondsOf('The gap of a session', own) * 1_000;
    },
  });
}

function requireMs(gap: number): number {
  if (Number.isSafeInteger(gap)) return gap;
  throw new TypeError(`The gap of a session is ${gap}; it is a duration, or whole milliseconds.`);
}

/** Length of the panes of which windows are made: each window is some of them, whole. */
export function paneMsOf({ sizeMs, slideMs }: AlignedWindows): number {
  let [a, b] = [sizeMs, slideMs];
  while (b > 0) [a, b] = [b, a % b];
  return a;
}

/** The end of the first window that ends above a time. */
export function firstEndAbove({ sizeMs, slideMs, offsetMs }: AlignedWindows, timeMs: number): number {
  return Math.floor((timeMs - sizeMs - offsetMs) / slideMs) * slideMs + slideMs + sizeMs + offsetMs;
}

/** The end of the last window that begins at or before a time. */
export function lastEndOf({ sizeMs, slideMs, offsetMs }: AlignedWindows, timeMs: number): number {
  return Math.floor((timeMs - offsetMs) / slideMs) * slideMs + offsetMs + sizeMs;
}

/** A length of time, the sum of its parts: `{ hours: 24 }`, `{ minutes: 1, seconds: 30 }`. */
export interface Duration {
  readonly days?: number;
  readonly hours?: number;
  readonly minutes?: number;
  readonly seconds?: number;
}

const PART_SECONDS: Readonly<Record<keyof Duration, number>> = {
  days: 86_400,
  hours: 3_600,
  minutes: 60,
  seconds: 1,
};

/**
 * The whole seconds of a duration.
 * @param what the option that it was given for, as errors name it.
 * @throws TypeError where it is no duration, or not at least one second in whole seconds.
 */
export function secondsOf(what: string, duration: Duration): number {
  const parts: [string, unknown][] =
    typeof duration === 'object' && duration !== null ? Object.entries(duration) : [];
  let seconds = 0;
  for (const [part, amount] of parts) {
    const unit = Object.hasOwn(PART_SECONDS, part) ? PART_SECONDS[part as keyof Duration] : Number.NaN;
    seconds += unit * (typeof amount === 'number' && amount >= 0 ? amount : Number.NaN);
  }
  if (Number.isSafeInteger(seconds) && seconds >= 1) return seconds;
  throw new TypeError(
    `${what} is ${JSON.stringify(duration)}; it is whole seconds, at least one, as { days, hours, minutes, seconds } ` +
      'of which one is enough: { hours: 24 }.',
  );
}

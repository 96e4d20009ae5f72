/** Count, mean and sum of squared distances from it, value by value, as Welford adds them up. */
export interface Running {
  readonly count: number;
  readonly mean: number;
  readonly squares: number;
}

export function running(): Running {
  return { count: 0, mean: 0, squares: 0 };
}

export function withValue({ count, mean, squares }: Running, value: number): Running {
  const next = mean + (value - mean) / (count + 1);
  return { count: count + 1, mean: next, squares: squares + (value - mean) * (value - next) };
}

/** Standard deviation of the values so far. */
export function deviation({ count, squares }: Running): number {
  return count === 0 ? 0 : Math.sqrt(squares / count);
}

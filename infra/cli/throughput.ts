/** How many records a pipeline had acknowledged at a moment, in a generation. */
export interface Reading {
  readonly generation: number;
  readonly records: number;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
}

/** Records a second between two readings. */
export interface Throughput {
  readonly recordsPerSecond: number;
  /** Over which it was measured. */
  readonly seconds: number;
}

/** @returns `undefined` where the readings do not belong together: a rewind lies between, or no time. */
export function throughputBetween(before: Reading, after: Reading): Throughput | undefined {
  const seconds = (after.atMs - before.atMs) / 1_000;
  if (seconds <= 0 || before.generation !== after.generation || after.records < before.records)
    return undefined;
  return { recordsPerSecond: (after.records - before.records) / seconds, seconds };
}

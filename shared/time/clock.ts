/** The wall clock, handed in wherever time is read. Milliseconds since the epoch. */
export interface Clock {
  nowMs(): number;
}

/** The one place of the engine that reads the wall clock. */
export const systemClock: Clock = { nowMs: () => Date.now() };

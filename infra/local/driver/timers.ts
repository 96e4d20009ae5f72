/** Calls back later; handed in, so that tests own the time. */
export interface Timers {
  /** @returns a function that cancels the call, without effect once it was made. */
  after(delayMs: number, call: () => void): () => void;
}

export const systemTimers: Timers = {
  after(delayMs, call) {
    const timer = setTimeout(call, delayMs);
    return () => clearTimeout(timer);
  },
};

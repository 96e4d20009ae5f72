/** The passing of time, handed in so that a test can let it pass on command. */
export interface Timer {
  /** Runs `action` once, `delayMs` from now. What it gives takes the order back; afterwards that is without effect. */
  schedule(delayMs: number, action: () => void): () => void;
}

export const systemTimer: Timer = {
  schedule(delayMs, action) {
    const handle = setTimeout(action, delayMs);
    return () => clearTimeout(handle);
  },
};

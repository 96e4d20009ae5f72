/** The wish of a person, or of the system, that the command ends. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** Resolves at the first signal. */
  readonly requested: Promise<void>;
  /** Gives signals back their usual effect. */
  release(): void;
}

/** One that listens for signals, and takes the wish from elsewhere too. */
export interface InterruptionListener extends Interruption {
  request(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** A terminal signals every process of the group, and a process above this one may pass its own on: that is one wish. */
const SAME_WISH_MS = 700;
/** 128 and the number of SIGINT, as shells have it. */
const FORCED_EXIT_CODE = 130;

/**
 * Listens for the signals that ask a process to end. The second wish ends it at once; engines and functions end by
 * themselves when this process is gone.
 */
export function listenForInterruption(nowMs: () => number, onFirst: () => void): InterruptionListener {
  const controller = new AbortController();
  let firstMs: number | undefined;
  const take = (): void => {
    if (firstMs === undefined) {
      firstMs = nowMs();
      onFirst();
      controller.abort();
    } else if (nowMs() - firstMs > SAME_WISH_MS) {
      process.exit(FORCED_EXIT_CODE);
    }
  };
  for (const signal of SIGNALS) process.on(signal, take);
  const { signal } = controller;
  return {
    signal,
    request: () => {
      if (firstMs === undefined) take();
    },
    requested: new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
    release: () => {
      for (const name of SIGNALS) process.off(name, take);
    },
  };
}

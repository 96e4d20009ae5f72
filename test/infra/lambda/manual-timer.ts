import type { Timer } from '../../../infra/local/timer.ts';

interface Order {
  readonly delayMs: number;
  readonly action: () => void;
}

/** Fires what was ordered when the test says so. */
export class ManualTimer implements Timer {
  readonly #orders = new Set<Order>();
  readonly #expected = new Map<number, () => void>();

  schedule(delayMs: number, action: () => void): () => void {
    const order = { delayMs, action };
    this.#orders.add(order);
    this.#expected.get(delayMs)?.();
    return () => this.#orders.delete(order);
  }

  /** Resolves when something is ordered with this delay; at once where it was ordered before. */
  ordered(delayMs: number): Promise<void> {
    if ([...this.#orders].some((order) => order.delayMs === delayMs)) return Promise.resolve();
    return new Promise((resolve) => this.#expected.set(delayMs, resolve));
  }

  /** Fires what was ordered with this delay and gives how many there were. */
  fire(delayMs: number): number {
    const due = [...this.#orders].filter((order) => order.delayMs === delayMs);
    for (const order of due) {
      this.#orders.delete(order);
      order.action();
    }
    return due.length;
  }
}

import type { StoreCosts } from './state-store.ts';

/** Adds up what a store uses. */
export class CostCounter {
  #costs: StoreCosts = { writes: 0, writeRequests: 0, reads: 0, readRequests: 0, wcu: 0, rcu: 0 };

  add(used: Partial<StoreCosts>): void {
    const costs = this.#costs;
    this.#costs = {
      writes: costs.writes + (used.writes ?? 0),
      writeRequests: costs.writeRequests + (used.writeRequests ?? 0),
      reads: costs.reads + (used.reads ?? 0),
      readRequests: costs.readRequests + (used.readRequests ?? 0),
      wcu: costs.wcu + (used.wcu ?? 0),
      rcu: costs.rcu + (used.rcu ?? 0),
    };
  }

  /** The sums so far; later additions do not change what was given. */
  total(): StoreCosts {
    return this.#costs;
  }
}

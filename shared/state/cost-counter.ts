import type { StoreCosts } from './state-store.ts';

export const NO_COSTS: StoreCosts = Object.freeze({
  writes: 0,
  writeRequests: 0,
  reads: 0,
  readRequests: 0,
  wcu: 0,
  rcu: 0,
  blobPuts: 0,
  blobGets: 0,
  blobRemovals: 0,
});

/** What was used from one sum to a later one. */
export function costsBetween(before: StoreCosts, after: StoreCosts): StoreCosts {
  const names = Object.keys(NO_COSTS) as (keyof StoreCosts)[];
  return { ...NO_COSTS, ...Object.fromEntries(names.map((name) => [name, after[name] - before[name]])) };
}

/** Adds up what a store uses. */
export class CostCounter {
  #costs: StoreCosts = NO_COSTS;

  add(used: Partial<StoreCosts>): void {
    const costs = this.#costs;
    this.#costs = {
      writes: costs.writes + (used.writes ?? 0),
      writeRequests: costs.writeRequests + (used.writeRequests ?? 0),
      reads: costs.reads + (used.reads ?? 0),
      readRequests: costs.readRequests + (used.readRequests ?? 0),
      wcu: costs.wcu + (used.wcu ?? 0),
      rcu: costs.rcu + (used.rcu ?? 0),
      blobPuts: costs.blobPuts + (used.blobPuts ?? 0),
      blobGets: costs.blobGets + (used.blobGets ?? 0),
      blobRemovals: costs.blobRemovals + (used.blobRemovals ?? 0),
    };
  }

  /** The sums so far; later additions do not change what was given. */
  total(): StoreCosts {
    return this.#costs;
  }
}

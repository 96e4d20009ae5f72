import { FAULTS, type Fault, type FaultBudget } from './faults.ts';

/** Faults that end processes, or seem to. */
const DEATHS: readonly Fault[] = ['crashBeforeEffect', 'crashAfterEffect', 'frozen', 'slowRequest'];
/** One less than make a batch suspicious, and then a record that is innocent. */
const DEATHS_LIMIT = 3;

/** Draws how often each fault may happen. @param kills whether records of the world end their process themselves. */
export function drawFaults(random: () => number, kills: boolean): FaultBudget {
  const upTo = (limit: number): number => Math.floor(random() * (limit + 1));
  const intensity = [0, 1, 1, 2, 4][upTo(4)] as number;
  const faults = Object.fromEntries(
    Object.keys(FAULTS).map((fault) => [fault, random() < 0.5 ? 0 : upTo(intensity)]),
  ) as Record<Fault, number>;
  // Enough that some outputs are left to the next invocation.
  if (random() < 0.1) faults.refusedDelivery = 12;
  // Deaths are counted: a record that shares those of a killer would be taken for one, and rightly so.
  let left = kills ? 0 : DEATHS_LIMIT;
  for (const fault of DEATHS) {
    faults[fault] = Math.min(faults[fault], left);
    left -= faults[fault];
  }
  return faults;
}

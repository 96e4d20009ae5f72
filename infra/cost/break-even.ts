import { countBatch } from './counted-batch.ts';
import { countCheckpoints } from './counted-checkpoints.ts';
import { costPage, WAYS, type Assumptions, type CostPage, type Way } from './monthly-cost.ts';
import type { StreamShape } from './stream-shape.ts';

/** The same stream at another rate. */
export interface RateCosts {
  readonly recordsPerSecond: number;
  readonly dollars: Readonly<Record<Way, number>>;
}

/** Where Tidemark costs less than another way, records a second, both ends included. */
export interface CheaperRange {
  readonly from: number;
  readonly to: number;
}

export interface BreakEven {
  readonly rates: readonly RateCosts[];
  /** By the other way; no range where Tidemark is never cheaper. */
  readonly cheaper: Readonly<Record<Exclude<Way, 'tidemark'>, readonly CheaperRange[]>>;
}

/** Rates that are looked at, records a second. Between two of which the answers differ, the change is searched for. */
export const RATES = [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000];
/** How close to a change the search comes. */
const PRECISION = 1.05;

/**
 * Where the same stream, with the same keys, settings and share of changed keys, costs less with Tidemark than otherwise.
 * @param countDay of checkpoints, which are the same at every rate.
 */
export async function breakEven(
  shape: StreamShape,
  assumptions: Assumptions,
  countDay: typeof countCheckpoints = countCheckpoints,
): Promise<BreakEven> {
  const counted = remembered(countBatch);
  const countedDay = remembered(countDay);
  const pageAt = (recordsPerSecond: number): Promise<CostPage> =>
    costPage({ ...shape, recordsPerSecond }, assumptions, counted, countedDay);
  const pages: CostPage[] = [];
  for (const rate of RATES) pages.push(await pageAt(rate));
  const ranges = async (way: Way): Promise<CheaperRange[]> => {
    const found: CheaperRange[] = [];
    let from: number | undefined;
    for (const [place, page] of pages.entries()) {
      const rate = RATES[place] as number;
      const isCheaper = isCheaperThan(page, way);
      if (isCheaper === (from !== undefined)) continue;
      const change =
        place === 0 ? rate : await changeBetween(RATES[place - 1] as number, rate, way, isCheaper);
      if (isCheaper) from = change;
      else if (from !== undefined) {
        found.push({ from, to: change });
        from = undefined;
      }
    }
    return from === undefined ? found : [...found, { from, to: RATES.at(-1) as number }];
  };
  /** @returns the rate next to the change at which Tidemark is the cheaper one. */
  const changeBetween = async (
    low: number,
    high: number,
    way: Way,
    isCheaperAbove: boolean,
  ): Promise<number> => {
    while (high - low > 1 && high / low > PRECISION) {
      const middle = Math.round(Math.sqrt(low * high));
      if (middle === low || middle === high) break;
      if (isCheaperThan(await pageAt(middle), way) === isCheaperAbove) high = middle;
      else low = middle;
    }
    return isCheaperAbove ? high : low;
  };
  return {
    rates: pages.map(({ costs }, place) => ({
      recordsPerSecond: RATES[place] as number,
      dollars: dollarsOf(costs),
    })),
    cheaper: {
      idempotentLambda: await ranges('idempotentLambda'),
      flink: await ranges('flink'),
      spark: await ranges('spark'),
    },
  };
}

function isCheaperThan({ costs }: CostPage, way: Way): boolean {
  return costs.tidemark.dollars < costs[way].dollars;
}

function dollarsOf(costs: CostPage['costs']): Record<Way, number> {
  const ways = Object.keys(WAYS) as Way[];
  return Object.fromEntries(ways.map((way) => [way, costs[way].dollars])) as Record<Way, number>;
}

/** Many rates have batches of the same shape. */
function remembered<S, T>(count: (shape: S) => Promise<T>): (shape: S) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (shape) => {
    const name = JSON.stringify(shape);
    const result = known.get(name) ?? count(shape);
    known.set(name, result);
    return result;
  };
}

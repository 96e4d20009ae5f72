import { array, number, object, string } from 'valibot';
import { dynamodb, outputsOf, pipeline } from '../../shared/index.ts';
import viewedTogether, { type Company } from '../viewed-together/pipeline.ts';

const CompanySchema = object({ item: string(), others: array(string()), at: number() });

/** What was seen together so long ago counts half. */
const HALF_LIFE_MS = 12 * 3_600_000;
/** So many others are remembered of an item: the least of them are forgotten first. */
const OTHERS_KEPT = 100;
/** So many are recommended. */
const RECOMMENDED = 5;

/** What a shop's page about an item shows. */
export interface AlsoViewed {
  /** How many visits it is judged by. */
  readonly visits: number;
  /** Most often seen with it of late, the first one most. */
  readonly alsoViewed: readonly string[];
}

/** How often an item was seen with others, as it counts at one time: nothing hangs on the order of the visits. */
interface Neighbours {
  readonly visits: number;
  /** The last visit, milliseconds since the epoch. */
  readonly at: number;
  readonly weights: readonly (readonly [other: string, weight: number])[];
}

/** What else those looked at who looked at an item. The table holds it under the item's name. */
export default pipeline('also-viewed')
  .from(outputsOf(viewedTogether, 'viewed-together', { schema: CompanySchema }))
  .keyBy(({ item }) => item)
  .updateStateByKey<Neighbours>('neighbours', (visits, neighbours) => visits.reduce(withVisit, neighbours))
  .map(({ visits, weights }): AlsoViewed => ({
    visits,
    alsoViewed: weights.slice(0, RECOMMENDED).map(([other]) => other),
  }))
  .to(dynamodb('also-viewed'));

function withVisit(before: Neighbours | undefined, { others, at }: Company): Neighbours {
  const { visits, weights, at: lastAt } = before ?? { visits: 0, weights: [], at };
  const now = Math.max(lastAt, at);
  const faded = new Map(weights.map(([other, weight]) => [other, weight * left(now - lastAt)]));
  for (const other of others) faded.set(other, (faded.get(other) ?? 0) + left(now - at));
  const sorted = [...faded].sort(([a, weightA], [b, weightB]) => weightB - weightA || (a < b ? -1 : 1));
  return { visits: visits + 1, at: now, weights: sorted.slice(0, OTHERS_KEPT) };
}

function left(ageMs: number): number {
  return 2 ** (-ageMs / HALF_LIFE_MS);
}

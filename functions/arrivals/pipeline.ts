import { number, object, string } from 'valibot';
import { kinesis, pipeline } from '../../shared/index.ts';

const Flight = object({ origin: string(), destination: string(), delay: number() });

/** What is known of the flights to one airport; minutes. */
export interface Arrivals {
  flights: number;
  largestDelay: number;
}

/**
 * The stream has a flight in the shard of its origin; here they are counted by destination. The repartition brings all
 * flights to an airport into one shard of an internal stream first.
 */
export default pipeline('arrivals')
  .from(kinesis('flights', { schema: Flight }))
  .map(({ destination, delay }) => ({ destination, delay }))
  .repartition('by-destination', ({ destination }) => destination)
  .keyBy(({ destination }) => destination)
  .aggregateByKey<Arrivals>(
    'arrivals',
    () => ({ flights: 0, largestDelay: -Infinity }),
    (sum, { delay }) => ({ flights: sum.flights + 1, largestDelay: Math.max(sum.largestDelay, delay) }),
  )
  .to(kinesis('arrivals'));

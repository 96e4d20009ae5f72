import { number, object, string } from 'valibot';
import { kinesis, pipeline } from '../../shared/index.ts';

const Flight = object({ origin: string(), delay: number() });

/** A flight counts as late when it leaves more than 15 minutes after its time. */
const LATE_MINUTES = 15;

/** Delays of the flights that left one airport; minutes. */
export interface DelayStats {
  flights: number;
  /** Flights delayed by more than 15 minutes. */
  late: number;
  lateShare: number;
  meanDelay: number;
  largestDelay: number;
}

function addDelay(stats: DelayStats | undefined, delay: number): DelayStats {
  const flights = (stats?.flights ?? 0) + 1;
  const late = (stats?.late ?? 0) + (delay > LATE_MINUTES ? 1 : 0);
  const mean = stats?.meanDelay ?? 0;
  return {
    flights,
    late,
    lateShare: late / flights,
    meanDelay: mean + (delay - mean) / flights,
    largestDelay: Math.max(stats?.largestDelay ?? -Infinity, delay),
  };
}

export default pipeline('airport-delays')
  .from(kinesis('flights', { schema: Flight }))
  .keyBy((flight) => flight.origin)
  .updateStateByKey<DelayStats>('delays', (flights, stats) =>
    flights.reduce<DelayStats | undefined>((sum, { delay }) => addDelay(sum, delay), stats),
  )
  .to(kinesis('airport-delays'));

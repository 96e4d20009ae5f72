import { number, object, pipe, regex, string } from 'valibot';
import { all, count, dynamodb, kinesis, mean, pipeline, sliding, where } from '../../shared/index.ts';

const Flight = object({
  origin: string(),
  /** When it was to leave, in the time of its airport: `2001/01/01 00:47`. */
  date: pipe(string(), regex(/^\d{4}\/\d\d\/\d\d \d\d:\d\d$/)),
  delay: number(),
});

/** A flight counts as delayed when it leaves more than 15 minutes after its time. */
const DELAYED_MINUTES = 15;

/** What a display in an airport's hall shows of some hours of departures; minutes. */
export interface Traffic {
  readonly flights: number;
  readonly delayed: number;
  readonly meanDelay: number | null;
}

/**
 * Departures of each airport in six hours, every three hours, by the time at which they were to leave. A flight is
 * reported when it leaves: one that leaves hours after its time comes late, in the stream as on the runway, and one that
 * comes when all of its windows are over is counted and dropped. Each airport and window stands under
 * `ORD@2001-01-01T12:00:00.000Z` in the table.
 */
export default pipeline('airport-traffic')
  .from(kinesis('flights', { schema: Flight }))
  .eventTime(({ date }) => leavingMs(date))
  .watermark({ lateness: { minutes: 30 } })
  .keyBy((flight) => flight.origin)
  .window(sliding({ hours: 6 }, { hours: 3 }))
  .aggregate(
    'traffic',
    all({
      flights: count(),
      delayed: where(({ delay }) => delay > DELAYED_MINUTES, count()),
      meanDelay: mean(({ delay }) => delay),
    }),
  )
  .to(dynamodb('airport-traffic'));

/** Local times are taken for UTC: airports are not compared with each other. */
function leavingMs(date: string): number {
  return Date.parse(`${date.replaceAll('/', '-').replace(' ', 'T')}Z`);
}

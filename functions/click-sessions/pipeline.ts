import { object, string } from 'valibot';
import { distinctItems } from './distinct-items.ts';
import { kinesis, pipeline, session } from '../../shared/index.ts';

const Click = object({ user: string(), item: string(), at: string() });

/** A visit is over when nothing has come of its user for so long. */
const VISIT_GAP = { minutes: 30 };

/** The different things that one user looked at in one visit. */
export interface Visit {
  readonly user: string;
  readonly items: readonly string[];
  /** When its last click came, milliseconds since the epoch. */
  readonly at: number;
}

/**
 * Visits from clicks, by user. Published under the user: behind it stand timers, and all that a user's timers publish has
 * one order of its own, which a next pipeline keeps a mark for. Under the items each item would keep one per user.
 */
export default pipeline('click-sessions')
  .from(kinesis('clicks', { schema: Click }))
  .eventTime(({ at }) => new Date(at))
  .watermark({ lateness: { minutes: 2 } })
  .keyBy(({ user }) => user)
  .window(session(VISIT_GAP))
  .aggregate('visit', distinctItems)
  .map(({ key, window, value }): Visit => ({
    user: key,
    items: value,
    at: window.end - VISIT_GAP.minutes * 60_000,
  }))
  .filter(({ items }) => items.length > 1)
  .to(kinesis<Visit>('visits', { key: ({ user }) => user }));

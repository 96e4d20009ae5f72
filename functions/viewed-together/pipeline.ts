import { array, number, object, string } from 'valibot';
import { kinesis, outputsOf, pipeline } from '../../shared/index.ts';
import clickSessions from '../click-sessions/pipeline.ts';

const Visit = object({ user: string(), items: array(string()), at: number() });

/** What else was looked at in a visit to one item. */
export interface Company {
  readonly item: string;
  readonly others: readonly string[];
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/**
 * Re-keys visits from users to items, and keeps nothing. It stands between the two because what it publishes goes in the
 * order of a few shards, where what users' timers publish goes in an order for each user.
 */
export default pipeline('viewed-together')
  .from(outputsOf(clickSessions, 'visits', { schema: Visit }))
  .keyBy(({ user }) => user)
  .flatMap(({ items, at }) =>
    items.map((item): Company => ({ item, others: items.filter((other) => other !== item), at })),
  )
  .to(kinesis<Company>('viewed-together', { key: ({ item }) => item }));

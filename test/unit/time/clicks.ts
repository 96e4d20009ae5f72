import { kinesis, pipeline } from '../../../shared/index.ts';

/** Seconds since 1970 stand for event times: what a test says is what its windows show. */
export interface Click {
  readonly user: string;
  readonly at: number;
  readonly n?: number;
}

export const click = (user: string, at: number, n = 1): Click => ({ user, at: at * 1_000, n });

/** Clicks by user, in event time, two seconds late at most. */
export const clicksByUser = () =>
  pipeline('clicks')
    .from(kinesis<Click>('clicks'))
    .eventTime(({ at }) => at)
    .watermark({ lateness: { seconds: 2 } })
    .keyBy(({ user }) => user);

interface Windowed {
  readonly key: string;
  readonly window: { readonly start: number; readonly end: number };
  readonly value: unknown;
}

/** `key start-end value`, in seconds; between windows there is no order but that of their ends. */
export const shown = (outputs: readonly { readonly value: unknown }[]): string[] =>
  outputs
    .map(({ value }) => value as Windowed)
    .toSorted((a, b) => a.window.end - b.window.end || (a.key < b.key ? -1 : Number(a.key > b.key)))
    .map(
      ({ key, window, value }) =>
        `${key} ${window.start / 1_000}-${window.end / 1_000} ${JSON.stringify(value)}`,
    );

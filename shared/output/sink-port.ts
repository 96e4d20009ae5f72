import type { OutputEntry } from '../state/state-item.ts';

/** One committed output on its way to its sink. */
export interface Delivery {
  /** No retry, re-cut, restore or replay changes it (I4). */
  readonly id: string;
  readonly destinationKey: string;
  /** The value as JSON text. */
  readonly json: string;
  /** The item that holds the output. */
  readonly pk: string;
  /** As which it is told to be newer or older than others of its item: see `Control.rank`. */
  readonly revision: number;
  /** See `Control.epoch`. */
  readonly epoch?: number;
  readonly entry: OutputEntry;
}

/** Where outputs go. */
export interface SinkPort {
  /** How many deliveries one request takes, and how many bytes of values. */
  readonly maximumDeliveries: number;
  readonly maximumBytes: number;
  /**
   * Delivers; no two of one destination key come in one request.
   * @returns per delivery whether it is confirmed. What is not confirmed is delivered again: at least once.
   * @throws when the whole request failed.
   */
  deliver(deliveries: readonly Delivery[]): Promise<readonly boolean[]>;
}

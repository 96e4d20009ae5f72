import type { DeadLetterStage } from '../state/state-item.ts';

/** A rejected record, whole, with its reason. What a redrive needs is in it. */
export interface DeadLetter {
  readonly pipeline: string;
  readonly generation: number;
  readonly stream: string;
  readonly shard: string;
  readonly lane: string;
  readonly sequenceNumber: string;
  readonly subSequenceNumber: number;
  /** Number of the element that was rejected. */
  readonly element: number;
  /** The key it was rejected for; absent where it has none. */
  readonly key?: string;
  readonly stage: DeadLetterStage;
  readonly reason: string;
  readonly partitionKey: string;
  readonly arrivalMs: number;
  /** The record's bytes as they came, base64. */
  readonly data: string;
}

/** Where dead letters are kept. Putting one again under the same name changes nothing. */
export interface DeadLetterStore {
  /** @param name unique in the pipeline, see `deadLetterName`. @throws when it is not stored. */
  put(name: string, letter: DeadLetter): Promise<void>;
}

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
  /** Row of the state item that says that the record is a dead letter, and whether it is still open. */
  readonly item: string;
  /** The letter's number in that item. */
  readonly number: number;
  /** Number of the element that was rejected; of the first, where the record has several for the key. */
  readonly element: number;
  /** Elements that the letter is not for although it is for the whole record, or for all that the key has of it. */
  readonly except?: readonly number[];
  /** The key it was rejected for; absent where it has none. */
  readonly key?: string;
  readonly stage: DeadLetterStage;
  readonly reason: string;
  readonly partitionKey: string;
  readonly arrivalMs: number;
  /** The record's bytes as they came, base64. */
  readonly data: string;
  readonly closed?: ClosedLetter;
}

/** What became of a letter. */
export interface ClosedLetter {
  readonly outcome: 'redriven' | 'dropped';
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly places?: RedrivePlaces;
}

/**
 * By the hash of the key whose item made them: where the outputs of a redriven letter stand for whoever reads them. A
 * rewind that redrives it once more lets them stand there again, or the next pipeline would count them twice.
 */
export type RedrivePlaces = Readonly<Record<string, RedrivePlace>>;

/** A lane of redrives, and which letter of it, from 1. */
export interface RedrivePlace {
  readonly lane: string;
  readonly place: number;
}

/** A stored letter, as a listing shows it. */
export interface ListedLetter {
  readonly name: string;
  /** When it was stored, milliseconds since the epoch. */
  readonly storedMs: number;
}

/** Where the dead letters of one pipeline are kept. One contract suite runs on every version of it. */
export interface DeadLetterStore {
  /**
   * Putting one again under the same name changes nothing.
   * @param name unique in the pipeline, see `deadLetterName`.
   * @throws when it is not stored.
   */
  put(name: string, letter: DeadLetter): Promise<void>;

  /** @returns `undefined` where there is none. */
  get(name: string): Promise<DeadLetter | undefined>;

  /** Removes a letter; one that is not there is as good as removed. */
  remove(name: string): Promise<void>;

  /**
   * The letters whose names begin so, page by page, in the order of their names' bytes.
   * @param prefix see `deadLetterNamesOf`; '' for all.
   */
  list(prefix: string): AsyncIterable<readonly ListedLetter[]>;
}

import type { StateItem } from './state-item.ts';
import type { Control, NewProgress } from './state-store.ts';

export interface ScanRequest {
  readonly generation: number;
  /** Which of the `segments` parts of the table, from 0. */
  readonly segment: number;
  readonly segments: number;
  /** Where an earlier page of the same segment ended: its `next`; or the key of any item of such a page. */
  readonly after?: string;
}

export interface ScanPage {
  /** The generation's state items, those of keys and those of shards, as they are stored: see `StateItem.spilled`. */
  readonly items: readonly StateItem[];
  /** Where the next page begins; absent at the end of the segment. */
  readonly next?: string;
}

export interface KeyPage {
  readonly keys: readonly string[];
  /** Where the next page begins; absent at the end. */
  readonly next?: string;
}

/**
 * - `insert`: makes the row where there is none.
 * - `seal`: nothing of it can be acknowledged any more. Its position no longer changes.
 * - `unseal`: takes that back. @param rank from then on; unchanged unless given.
 * - `release`: it takes live events, and no replay's.
 */
export type ProgressChange =
  | { readonly kind: 'insert'; readonly progress: NewProgress }
  | { readonly kind: 'seal' }
  | { readonly kind: 'unseal'; readonly rank?: number }
  | { readonly kind: 'release' };

/**
 * What checkpoints and rewinds do to the table of a pipeline, beside the batches that go on meanwhile. One contract
 * suite runs on every version of it.
 */
export interface GenerationStore {
  /**
   * Some rows of one segment, read consistently: each as it is at that moment, not all at one moment. A page may hold
   * no item and yet not be the last.
   * @throws when reading fails.
   */
  scan(request: ScanRequest): Promise<ScanPage>;

  /**
   * Writes the control row where it still has the version that `before` has, with the next version. Whether lanes are
   * by partition key is left as it is in the table: functions note it at any time.
   * @returns the control as written; `undefined` where somebody else wrote it since, or this call's own first try did.
   * @throws when the outcome is unknown.
   */
  replaceControl(before: Control, after: Control): Promise<Control | undefined>;

  /**
   * The shards of all progress rows of a generation: every one that exists when it is asked. None can come to it any
   * more once the control row has left the generation or phase `live`.
   */
  shards(generation: number): Promise<readonly string[]>;

  /**
   * Changes a shard's progress row in one transaction with a look at the control row's version: what a driver does that
   * somebody else has taken over from comes to nothing, however late it comes. Doing it again changes nothing.
   * @returns `missing` where there is no row to change; `superseded` where the control row has another version.
   * @throws when the outcome is unknown.
   */
  changeProgress(
    generation: number,
    shard: string,
    change: ProgressChange,
    version: number,
  ): Promise<'done' | 'missing' | 'superseded'>;

  /**
   * The keys of all rows of some generations, page by page, in no order. What was written a moment ago may be missing:
   * it is for generations that nobody writes any more.
   * @param after where an earlier page ended: its `next`.
   * @throws when reading fails.
   */
  keysOf(generations: ReadonlySet<number>, after?: string): Promise<KeyPage>;

  /**
   * Removes rows, whatever they hold. One that is not there is no error.
   * @throws RangeError for a row that is of no generation, and when not all of them are known to be removed.
   */
  removeRows(keys: readonly string[]): Promise<void>;

  /** Units and requests used since it was made. */
  costs(): { readonly rcu: number; readonly readRequests: number; readonly wcu: number };
}

import type { StateItem } from './state-item.ts';
import type { Control } from './state-store.ts';

export interface ScanRequest {
  readonly generation: number;
  /** Which of the `segments` parts of the table, from 0. */
  readonly segment: number;
  readonly segments: number;
  /** Where an earlier page of the same segment ended: its `next`. */
  readonly after?: string;
}

export interface ScanPage {
  /** The generation's state items, those of keys and those of shards, as they are stored: see `StateItem.spilled`. */
  readonly items: readonly StateItem[];
  /** Where the next page begins; absent at the end of the segment. */
  readonly next?: string;
}

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

  /** Units and requests used since it was made. */
  costs(): { readonly rcu: number; readonly readRequests: number };
}

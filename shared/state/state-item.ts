import type { MarkPosition, Position } from '../source/position.ts';
import type { Document } from './document.ts';
import type { Letters } from './letters.ts';

/**
 * Per lane: the position up to which that lane's records are in an item, and when that record arrived. Of a chained
 * pipeline, lane and position are those of the record that made the output: see `MarkPlace`.
 */
export interface Mark {
  readonly position: MarkPosition;
  /** Whole seconds since the epoch; a mark may be dropped only when the horizon has passed since (I9). */
  readonly arrivalSeconds: number;
}

interface OutboxEntryBase {
  /** The lane of the record that made the entry. */
  readonly lane: string;
  readonly position: Position;
  /** Which of the elements of the record made it; of what a timer made, whether it came before or behind them. */
  readonly element: number;
  /**
   * Of a record that was redriven: where it once stood in the stream. Ids and names are made of it, while lane and
   * position tell the order in which the redrive went. Of what a timer made that fired with a record: the lane of the
   * key's timers, and as sequence number the due time with the operator's place behind it; lane and position are then the
   * record's, with which it is published and acknowledged.
   */
  readonly origin?: { readonly lane: string; readonly position: Position };
}

/** An output that is committed and perhaps not yet published. */
export interface OutputEntry extends OutboxEntryBase {
  readonly kind: 'output';
  readonly sink: string;
  /** Which of the outputs of the element for this sink it is. */
  readonly index: number;
  /** The key under which the sink gets it, and per which publication keeps its order. */
  readonly destinationKey: string;
  /** The item's revision in which it was committed: tells the order of outputs of one item, whatever their lanes. */
  readonly revision: number;
  /** A change is superseded by a newer one of the same sink and destination key; every event counts. */
  readonly isChange: boolean;
  /** Milliseconds since the epoch at which the record arrived that made the output. */
  readonly arrivalMs: number;
  /** In a chained pipeline: when the record arrived at the head of the chain, milliseconds since the epoch. */
  readonly originArrivalMs?: number | undefined;
  /** The value as JSON text, or the operator whose current state is the value (bytes are write units). */
  readonly value: { readonly json: string } | { readonly stateOf: string };
}

/**
 * A record that was rejected for the item's key, all its elements of that key together; in a shard's own item, one that
 * was rejected before it had keys, or one element of it that has none. The record is in hand when the letter is stored.
 */
export interface DeadLetterEntry extends OutboxEntryBase {
  readonly kind: 'deadLetter';
  /** See `Letters`. */
  readonly number: number;
  /** In a chained pipeline: when the record arrived, milliseconds since the epoch; tells when the entry may go. */
  readonly arrivalMs?: number | undefined;
  readonly stage: DeadLetterStage;
  readonly reason: string;
  /** Elements that the letter is not for although it is for the whole record, or for all that the key has of it; ascending. */
  readonly except?: readonly number[];
}

/** Where a record was rejected; `late`: by what waits for event time; `parked`: nowhere, an earlier record of its key was. */
export type DeadLetterStage =
  'decode' | 'schema' | 'stateless' | 'key' | 'fold' | 'output' | 'state' | 'killed' | 'late' | 'parked';
export type OutboxEntry = OutputEntry | DeadLetterEntry;

/** A record that has a letter in a shard's own item. */
export interface RejectedRecord {
  /** In the item's lane: as a mark would tell it. */
  readonly position: MarkPosition;
  /** Those of its elements that have a letter, ascending; absent where the letter is for the whole record. */
  readonly elements?: readonly number[];
}

/** Which object holds the states of an item that do not fit into it. */
export interface SpilledStates {
  /** The revision whose write made the object; later ones may point to it too, while the states stay the same. */
  readonly revision: number;
  /** SHA-256 of the states' text. */
  readonly hash: string;
  /** Bytes of that text. */
  readonly bytes: number;
}

/** The one item that holds everything of one key in one pipeline. Never changed in place: a write makes a new one. */
export interface StateItem {
  /** `<generation>/s/<key>`, or `<generation>/d/<shard>` for a shard's own dead letters. */
  readonly pk: string;
  /**
   * The condition of the next write. Starts at the first record's arrival in milliseconds and goes up by one, or by a
   * redrive to that moment's time.
   */
  readonly revision: number;
  /** In a shard's own item: up to where records without a key have letters that `rejected` lists no more. */
  readonly marks: ReadonlyMap<string, Mark>;
  /** By operator name. An operator without an entry has no state; an item without any is a tombstone. */
  readonly states: ReadonlyMap<string, Document>;
  /** State version by operator name, as last written. */
  readonly versions: ReadonlyMap<string, number>;
  readonly outbox: readonly OutboxEntry[];
  /** Where the states are, in an item that was read without them: `states` is empty then, and means nothing. */
  readonly spilled?: SpilledStates;
  /** Of an item that ever had a dead letter. */
  readonly letters?: Letters;
  /** Of a shard's own item: the records above what is settled that have a letter in it. */
  readonly rejected?: readonly RejectedRecord[];
  /**
   * Of a shard's own item: up to here every record of its lane has its fate, in it or in its keys' items. Never in a restored
   * item: a checkpoint's scan may have read a key's item before the record was in it. There the names of the letters tell
   * who has one up to the mark.
   */
  readonly settled?: MarkPosition;
  /** Fired up to here: what waits for this event time or an earlier one is late, milliseconds since the epoch. */
  readonly firedMs?: number;
  /**
   * When a sweep must look at the item, event time in milliseconds since the epoch: not later than its earliest timer,
   * and 0 while it holds what a sweep has fired and not published.
   */
  readonly dueMs?: number;
  /** As `firedMs` for timers of processing time, which go by the clock: neither raises the other. */
  readonly processingFiredMs?: number;
  /** As `dueMs`, processing time: not later than the earliest timer by the clock, 0 while it holds what one has made. */
  readonly processingDueMs?: number;
  /** The table's TTL, seconds since the epoch: only on a tombstone that has no open letter. */
  readonly expiresAtSeconds?: number;
}

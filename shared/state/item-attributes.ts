/** Every attribute of a state item. The names are short because they are paid for at every write. */
export const ITEM = {
  /** S. The partition key: see `row-key`. */
  pk: 'pk',
  /** N. The revision, the condition of the next write. */
  revision: 'r',
  /** M. Marks by lane: an encoded position (of an output, with `/element/index`), `@`, and the arrival in seconds as base 36. */
  marks: 'm',
  /** M. States by operator name, as native documents. Absent on a tombstone, and where they are spilled. */
  states: 's',
  /** S. Where spilled states are: the object's revision as base 36, hash and bytes, with dots between. */
  spilled: 'b',
  /** M. State versions by operator name; an operator with a state and no entry here has version 1. */
  versions: 'v',
  /** L. The outbox: maps with the names of `ENTRY`. Absent where it is empty. */
  outbox: 'o',
  /** M. Dead letters, with the names of `LETTERS`. Absent where there never was one. */
  letters: 'd',
  /**
   * S. Of a shard's own item: the records above what is settled that have a letter in it, encoded positions with spaces between;
   * `#0-3,5` behind one stands for elements, without it the letter is for the whole record. Absent where there are none.
   */
  rejected: 'k',
  /** S. Of a shard's own item: the encoded position up to which every record of its lane has its fate. Not in checkpoints. */
  settled: 'z',
  /** N. Event time up to which timers have fired, milliseconds since the epoch. */
  fired: 'f',
  /** N. Sort key of the index of what is due: event time, milliseconds since the epoch. Absent where nothing is. */
  due: 't',
  /** N. Processing time up to which timers have fired, milliseconds since the epoch. */
  processingFired: 'g',
  /** N. Sort key of the index of what is due by the clock: processing time, milliseconds since the epoch. Absent where nothing is. */
  processingDue: 'j',
  /** S. Partition key of both indexes: generation and bucket. Absent where nothing is due. */
  dueBucket: 'i',
  /** N. The table's TTL attribute, seconds since the epoch. */
  expiry: 'x',
} as const;

/** The names inside `ITEM.letters`. */
export const LETTERS = {
  /** N. The number that the next letter gets. */
  next: 'n',
  /** S. Closed numbers, `0-17,20`; absent where there are none. */
  closed: 'c',
  /** N. The first letter that the key is parked behind; absent where it is not. */
  parkedFrom: 'p',
} as const;

/** The names inside an outbox entry. An entry with a `stage` is a dead letter, any other an output. */
export const ENTRY = {
  /** S. The lane of the record that made the entry. */
  lane: 'l',
  /** S. The encoded position of that record. */
  position: 'p',
  /** N. Which of the record's elements; absent for 0. */
  element: 'e',
  /** S. Output: the sink's name. */
  sink: 's',
  /** N. Output: which of the element's outputs for the sink; absent for 0. */
  index: 'i',
  /** S. Output: the destination key. */
  destinationKey: 'd',
  /** BOOL. Output: present and true for a change. */
  isChange: 'c',
  /** N. Output: the item's revision in which it was committed; absent where that is the item's own. */
  revision: 'r',
  /** N. Arrival of the record, milliseconds since the epoch; of dead letters only in a chained pipeline. */
  arrivalMs: 'a',
  /** N. Output of a chained pipeline: arrival at the head of the chain, milliseconds since the epoch. */
  originArrivalMs: 'h',
  /** S. Output: the value as JSON text; absent where the operator named by `stateOf` holds it as its state. */
  json: 'j',
  /** S. Output: that operator. */
  stateOf: 'f',
  /** S. The lane where a redriven record once stood; absent for any other. */
  originLane: 'ol',
  /** S. Its encoded position there. */
  originPosition: 'op',
  /** N. Dead letter: its number in the item; absent for 0. */
  number: 'n',
  /** S. Dead letter: where the record was rejected. */
  stage: 'g',
  /** S. Dead letter: why. */
  reason: 'w',
  /** S. Dead letter: elements that it is not for, `0-3,5`; absent where there are none. */
  except: 'x',
} as const;

/** DynamoDB's item limit, attribute names included (DynamoDB quotas). */
export const ITEM_LIMIT_BYTES = 400 * 1024;

/** Kept free of state and outbox in every item: its key, its marks, attribute names. */
export const ITEM_RESERVE_BYTES = 32 * 1024;

/**
 * What the states of one key may take together inside its item; beyond it they are spilled. The limit is on the state
 * alone, so that what is unpublished does not decide a record's fate; what an item can hold beyond it belongs to the
 * outbox.
 */
export const INLINE_STATE_LIMIT_BYTES = 336 * 1024;

/**
 * What the states of one key may take together. Each record of the key copies and measures all of it, each write packs
 * and uploads it, and in the heap it is several times as large.
 */
export const STATE_LIMIT_BYTES = 8 * 1024 * 1024;

/**
 * Spilled states that one batch may bring into memory. The records of further keys come again in the next batch; those
 * of its first record are read in any case.
 */
export const LOADED_STATES_LIMIT_BYTES = 32 * 1024 * 1024;

/** The limits that a simulation makes smaller. */
export interface EngineLimits {
  readonly itemBytes: number;
  readonly inlineStateBytes: number;
  readonly stateBytes: number;
  readonly loadedStateBytes: number;
}

export const ENGINE_LIMITS: EngineLimits = Object.freeze({
  itemBytes: ITEM_LIMIT_BYTES,
  inlineStateBytes: INLINE_STATE_LIMIT_BYTES,
  stateBytes: STATE_LIMIT_BYTES,
  loadedStateBytes: LOADED_STATES_LIMIT_BYTES,
});

/**
 * What a record may fill of the room in an item's outbox while others before it are not done. Its outputs wait for them,
 * and the key of one of them may be full of another shard's outputs that wait likewise: who waits for nobody must find
 * room, or two shards would wait for each other for ever.
 */
export const ROOM_SHARE_AHEAD = 0.5;

/** Lanes whose marks one item may gather: at most 80 bytes each, they fit into the reserve with room to spare. */
export const MARKS_LIMIT = 256;

/**
 * What a shard's own item lists of the records that have a letter in it, before further ones wait until those before them
 * are done: with the elements of one record beyond it, it fits into the reserve.
 */
export const REJECTED_LIMIT_BYTES = 12 * 1024;

/** A partition key value of DynamoDB is 2,048 bytes at most; 48 are ours (generation, kind of row). */
export const KEY_LIMIT_BYTES = 2_000;

/**
 * What one output may take in a Kinesis record: 1 MiB less its partition key and the envelope around the value, in
 * which a destination key of control characters takes 12,000 bytes of JSON.
 */
export const KINESIS_OUTPUT_LIMIT_BYTES = 1024 * 1024 - 16 * 1024;

/** What one output may take as an item of a DynamoDB table. */
export const TABLE_OUTPUT_LIMIT_BYTES = ITEM_LIMIT_BYTES - 8 * 1024;

/** A user's own sink has no limit of its own, and no output is larger than an item. */
export const CALL_OUTPUT_LIMIT_BYTES = ITEM_LIMIT_BYTES;

/** Approximate arrival is neither exact nor monotonic: the horizon is the stream's retention and this. */
export const HORIZON_SLACK_SECONDS = 3_600;

/** Time before Lambda's deadline at which no work is started any more, milliseconds. */
export const DEADLINE_MARGIN_MS = 2_000;

/** Of an invocation's time, what may go into decoding: what is decoded is to be folded, written and published too. */
export const DECODING_SHARE = 0.5;

/** How often a key's fold and write is tried in one invocation before its records are left to the next. */
export const COMMIT_TRIES = 4;

/** Attempts of one batch that may begin and not end before its records are taken one at a time. */
export const DEATHS_BEFORE_SUSPICION = 3;

/** Turns of one record, taken alone, in which the process may die before the record is rejected. */
export const DEATHS_BEFORE_REJECTION = 2;

/** How often one turn is noted before the record waits until a process that began it can no longer be alive. */
export const TURNS_NOTED = 8;

/** For how long an unfinished turn is noted after the last process that began it must have ended. */
export const TURN_REMEMBERED_MS = 24 * 3_600_000;

/** How far the clocks of two processes may be apart, milliseconds: Lambda's are kept by Amazon Time Sync. */
export const CLOCK_SLACK_MS = 1_000;

/** Rejected killers that a progress row remembers, so that a late duplicate does not run them again. */
export const KILLERS_REMEMBERED = 50;

/** How many records of a key are folded between two looks at the clock. */
export const RECORDS_BETWEEN_CLOCK_READS = 64;

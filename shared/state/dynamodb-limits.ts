/** Limits of DynamoDB, from "Quotas in Amazon DynamoDB" and "Supported data types" of its developer guide. */

/** The largest item, names and values counted by the rules of `attribute-bytes`. */
export const MAX_ITEM_BYTES = 400 * 1024;

/** The longest value of a partition key, UTF-8 bytes. */
export const MAX_KEY_BYTES = 2048;

/** The longest attribute name, UTF-8 bytes; an empty name is refused, inside maps too. */
export const MAX_NAME_BYTES = 65_535;

/**
 * How deep lists and maps may nest inside a state. DynamoDB allows 32 levels; DynamoDB Local counts the item itself
 * as the first, and the map of states is the second.
 */
export const MAX_STATE_NESTING = 30;

/** Numbers of a smaller magnitude, zero excepted, are refused. */
export const MIN_NUMBER_MAGNITUDE = 1e-130;

/** Numbers must be below this magnitude: the largest is 9.99…e125, 38 nines. */
export const NUMBER_MAGNITUDE_BOUND = 1e126;

/** A number has at most 38 significant digits; a bigint is held to 38 digits in all. */
export const MAX_NUMBER_DIGITS = 38;

/** Bytes that one write capacity unit pays for. */
export const WRITE_UNIT_BYTES = 1024;

/** Bytes that one read capacity unit pays for, read consistently. */
export const READ_UNIT_BYTES = 4096;

/** Keys in one BatchGetItem request. */
export const MAX_KEYS_PER_READ = 100;

/** Statements in one BatchExecuteStatement request. */
export const MAX_STATEMENTS_PER_WRITE = 25;

/** Rows in one BatchWriteItem request. */
export const MAX_WRITES_PER_BATCH = 25;

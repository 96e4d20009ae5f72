import { ConfigurationError } from './configuration-error.ts';
import type { StatefulStage } from './definition.ts';
import { secondsOf, type Duration } from './duration.ts';
import { isSeenIds, withNewId } from './seen-ids.ts';
import { requireSynchronous } from './synchronous.ts';

/** Ids that are remembered per key unless the pipeline says otherwise: 14 KB, and as many write units at each record. */
export const DEDUPE_DEFAULT_LIMIT = 1_000;

/** The most that can be remembered per key: 137 KB, less than half of what states take in an item. */
export const DEDUPE_MAXIMUM_LIMIT = 10_000;

export interface DedupeOptions {
  /**
   * For how long an id is remembered, by the arrival of records: from the one that was kept to the newest that was kept
   * under the key. In whole seconds.
   */
  within: Duration;
  /**
   * Ids remembered per key, 1 to 10,000; 1,000 unless given. Beyond it the oldest is forgotten before its time, and a
   * duplicate of it passes. Each takes 14 bytes of the key's item, which are written with every record of the key.
   */
  limit?: number;
  /** The storage name, `dedupe` unless given; two in one pipeline need two names. */
  name?: string;
}

const NOTHING: readonly unknown[] = Object.freeze([]);
const NO_IDS = new Uint8Array(0);

/**
 * The operator that drops values whose id was seen under the same key within a time.
 * @throws TypeError where an option cannot be used.
 */
export function dedupeStage(
  name: string,
  idOf: (value: unknown) => string,
  { within, limit = DEDUPE_DEFAULT_LIMIT }: DedupeOptions,
): StatefulStage {
  const what = `dedupeBy '${name}'`;
  const withinSeconds = secondsOf(`'within' of ${what}`, within);
  if (!Number.isInteger(limit) || limit < 1 || limit > DEDUPE_MAXIMUM_LIMIT) {
    throw new TypeError(
      `'limit' of ${what} is ${limit}; it is a whole number from 1 to ${DEDUPE_MAXIMUM_LIMIT}.`,
    );
  }
  return {
    kind: 'stateful',
    name,
    version: 1,
    outputs: 'same',
    forgetsAfterSeconds: withinSeconds,
    fold: (_, value, cell, { arrivalMs }) => {
      const id = requireId(requireSynchronous(idOf(value), what), what);
      const seen = cell.get() ?? NO_IDS;
      if (!isSeenIds(seen)) {
        throw new ConfigurationError(
          `The state of ${what} is no list of ids: another operator was stored under this name. Give one of them ` +
            "another with the option 'name'.",
        );
      }
      const next = withNewId(seen, id, arrivalMs, withinSeconds, limit);
      if (next === undefined) return NOTHING;
      cell.set(next);
      return [value];
    },
  };
}

/** @throws TypeError for what tells no two records apart. */
function requireId(id: unknown, what: string): string {
  if (typeof id === 'string' && id !== '' && id.isWellFormed()) return id;
  const problem =
    typeof id !== 'string'
      ? `of type ${id === null ? 'null' : typeof id}`
      : id === ''
        ? 'empty'
        : 'not well-formed';
  throw new TypeError(
    `the id of ${what} is ${problem}; an id is a string that is not empty, without lone surrogates`,
  );
}

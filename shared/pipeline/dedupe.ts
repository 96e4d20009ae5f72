import { requireTime } from '../time/window-operator.ts';
import { ConfigurationError } from './configuration-error.ts';
import type { StatefulStage } from './definition.ts';
import { secondsOf, type Duration } from './duration.ts';
import { isSeenIds, withNewId } from './seen-ids.ts';
import { requireSynchronous } from './synchronous.ts';
import { firstUntilMs, idsBehind, isWatermarkIds, withWatermarkId } from './watermark-ids.ts';

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

/** Where the pipeline's watermark says for how long ids are remembered. Each takes 18 bytes of the key's item. */
export type WatermarkDedupeOptions = Omit<DedupeOptions, 'within'>;

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
  requireLimit(what, limit);
  return {
    kind: 'stateful',
    name,
    version: 1,
    outputs: 'same',
    forgetsAfterSeconds: withinSeconds,
    fold: (_, value, cell, { arrivalMs }) => {
      const id = requireId(requireSynchronous(idOf(value), what), what);
      const seen = cell.get() ?? NO_IDS;
      if (!isSeenIds(seen)) throw notIds(what);
      const next = withNewId(seen, id, arrivalMs, withinSeconds, limit);
      if (next === undefined) return NOTHING;
      cell.set(next);
      return [value];
    },
  };
}

/**
 * The operator that drops values whose id was seen under the same key within the watermark, as Spark's
 * `dropDuplicatesWithinWatermark`: an id counts until the event time of the value that was kept, and the lateness. What
 * decides is the value's own event time and never whether the id was removed already: what it could still find under
 * a removed id is late.
 * @throws TypeError where an option cannot be used, or the pipeline waits for nothing.
 */
export function watermarkDedupeStage(
  name: string,
  idOf: (value: unknown) => string,
  latenessMs: number,
  { limit = DEDUPE_DEFAULT_LIMIT }: WatermarkDedupeOptions,
): StatefulStage {
  const what = `dedupeBy '${name}'`;
  requireLimit(what, limit);
  if (latenessMs === 0) {
    throw new TypeError(
      `${what} has no 'within', and the pipeline has no watermark that bounds how long ids are remembered: give it ` +
        "watermark({ lateness }) before keyBy, or give 'within'.",
    );
  }
  const idsOf = (state: unknown): Uint8Array => {
    if (!isWatermarkIds(state)) throw notIds(what);
    return state;
  };
  return {
    kind: 'stateful',
    name,
    version: 1,
    outputs: 'same',
    timers: {
      dueMs: (state) => firstUntilMs(idsOf(state)),
      fire: (_, dueMs, cell) => {
        const left = idsBehind(idsOf(cell.get()), dueMs);
        if (left.length === 0) cell.remove();
        else cell.set(left);
        return NOTHING;
      },
    },
    fold: (_, value, cell, { time }) => {
      const { eventMs, overMs, onLate } = requireTime(name, time);
      const id = requireId(requireSynchronous(idOf(value), what), what);
      // As a window that holds this moment alone: results of windows are still in time when theirs is over.
      if (eventMs < overMs) {
        onLate?.();
        return NOTHING;
      }
      const next = withWatermarkId(idsOf(cell.get() ?? NO_IDS), id, eventMs, eventMs + latenessMs + 1, limit);
      if (next === undefined) return NOTHING;
      cell.set(next);
      return [value];
    },
  };
}

function requireLimit(what: string, limit: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= DEDUPE_MAXIMUM_LIMIT) return;
  throw new TypeError(
    `'limit' of ${what} is ${limit}; it is a whole number from 1 to ${DEDUPE_MAXIMUM_LIMIT}.`,
  );
}

function notIds(what: string): ConfigurationError {
  return new ConfigurationError(
    `The state of ${what} is no list of ids: another operator was stored under this name. Give one of them ` +
      "another with the option 'name'.",
  );
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

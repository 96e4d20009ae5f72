import { isTimerLane } from '../source/lane.ts';
import type { Position } from '../source/position.ts';
import type { Mark } from '../state/state-item.ts';

const PREFIX = 'redrive/';
const MARK_PREFIX = 'letter/';

/** Whether a lane is one of a redrive: no stream's lane begins so, for its tag has six characters. */
export function isRedriveLane(lane: string): boolean {
  return lane.startsWith(PREFIX);
}

/** Whether what stands in the lane is published without a record of the stream in hand: by a redrive, or by a sweep. */
export function isOffStream(lane: string): boolean {
  return isRedriveLane(lane) || isTimerLane(lane);
}

/**
 * The mark that a whole record's redrive leaves in the item of each of its keys until the letter is closed.
 * @param shardItem the row that holds the letter.
 */
export function letterMark(shardItem: string, number: number): string {
  return `${MARK_PREFIX}${shardItem.slice(shardItem.indexOf('/') + 1)}/${number}`;
}

/** Whether a mark is such: it goes with its letter, and not with time. */
export function isLetterMark(lane: string): boolean {
  return lane.startsWith(MARK_PREFIX);
}

/** The letter of such a mark: the shard whose item holds it, and its number there. */
export function letterOfMark(mark: string): { readonly shard: string; readonly number: number } | undefined {
  const [, shard, number] = /^letter\/d\/(.+)\/(\d+)$/.exec(mark) ?? [];
  return shard === undefined ? undefined : { shard, number: Number(number) };
}

/**
 * Tells when an item's newest record arrived where that came by a letter whose mark is out. It covers no record: no
 * stream's lane has this name.
 */
export const ARRIVAL_MARK = 'redriven';
const NOWHERE: Position = { sequence: '0', sub: 0 };

/**
 * The marks without that of a letter. When the newest record arrived must not be forgotten with it: a tombstone lasts
 * for a time from then on.
 */
export function withoutLetterMark(marks: ReadonlyMap<string, Mark>, mark: string): ReadonlyMap<string, Mark> {
  const rest = new Map(marks);
  const arrivalSeconds = marks.get(mark)?.arrivalSeconds;
  rest.delete(mark);
  if (arrivalSeconds === undefined) return rest;
  for (const other of rest.values()) if (other.arrivalSeconds >= arrivalSeconds) return rest;
  return rest.set(ARRIVAL_MARK, { position: NOWHERE, arrivalSeconds });
}

/**
 * In which order one worker of one redrive goes, for the marks of whoever reads its outputs. The lane of the stream
 * will not do: its marks are far beyond. A lane per letter, or per key, would let one destination gather a mark for
 * each of thousands; this way it gathers a few for each invocation.
 *
 * What is published in a lane comes in its order: a worker takes one letter after the other, and begins a new lane
 * where something of the last one is not known to be published, for it will be published later, by somebody else.
 */
export class RedriveLane {
  readonly #name: string;
  #renewals = 0;
  #place = 0;

  /** @param session tells one invocation from every other. */
  constructor(session: string, worker: number) {
    this.#name = `${PREFIX}${session}.${worker}`;
  }

  /** The next place in the lane. */
  next(): { readonly lane: string; readonly position: Position } {
    this.#place += 1;
    const lane = this.#renewals === 0 ? this.#name : `${this.#name}.${this.#renewals}`;
    return { lane, position: { sequence: String(this.#place), sub: 0 } };
  }

  renew(): void {
    this.#renewals += 1;
    this.#place = 0;
  }
}

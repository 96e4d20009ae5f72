import type { PipelineTime } from '../pipeline/definition.ts';
import type { SourceRecord } from '../source/record.ts';
import { beginInterval, reachedMs, withRecord, type LaneTime } from './lane-time.ts';

/** Event time of one lane, while the records of a batch pass, in their order. */
export class LaneClock {
  readonly #time: PipelineTime;
  readonly #liftedMs: number | undefined;
  readonly #begin: LaneTime | undefined;
  #now: LaneTime | undefined;
  /** By record: the time behind it, and up to where event time was over before it. */
  readonly #passed = new Map<
    SourceRecord,
    { readonly behind: LaneTime | undefined; readonly overMs: number }
  >();

  /** @param begin at the lane's position. */
  constructor(time: PipelineTime, begin: LaneTime | undefined, liftedMs: number | undefined) {
    this.#time = time;
    this.#begin = begin;
    this.#now = begin;
    this.#liftedMs = liftedMs;
  }

  /** A record passes. One that has passed before changes nothing. @param eventMs the highest that it has. */
  passed(record: SourceRecord, eventMs: number | undefined): void {
    if (this.#passed.has(record)) return;
    const before = beginInterval(this.#now, this.#time, record.arrivalMs);
    this.#now = withRecord(before, this.#time, record.arrivalMs, eventMs) ?? before;
    this.#passed.set(record, { behind: this.#now, overMs: this.#over(before) });
  }

  /** Up to where event time is over before a record that has passed, milliseconds since the epoch. */
  overBefore(record: SourceRecord): number {
    return this.#passed.get(record)?.overMs ?? -Infinity;
  }

  /** That behind all that have passed. */
  get overBehind(): number {
    return this.#over(this.#now);
  }

  /** The lane's time at a record that has passed. */
  at(record: SourceRecord | undefined): LaneTime | undefined {
    return record === undefined ? this.#begin : this.#passed.get(record)?.behind;
  }

  /** Up to where event time is over at a record that has passed, and before the first of them. */
  overAt(record: SourceRecord | undefined): number {
    return this.#over(this.at(record));
  }

  #over(time: LaneTime | undefined): number {
    return reachedMs(time, this.#liftedMs) - this.#time.latenessMs;
  }
}

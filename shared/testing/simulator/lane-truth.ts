import type { PipelineTime } from '../../pipeline/definition.ts';
import { comparePositions, compareSequences, type Position } from '../../source/position.ts';
import type { SourceRecord } from '../../source/record.ts';
import type { SourceLane } from '../../time/source-lanes.ts';

/** A record of a lane, with the highest event time that it has. */
interface LaneRecord {
  readonly record: SourceRecord;
  /** Among all records that were put, over all lanes. */
  readonly number: number;
  readonly eventMs: number | undefined;
}

/** How far a lane is behind some of its records. */
interface Reached {
  readonly highestMs: number;
  /** Of the intervals before that of the last of these records; the highest where there are no intervals. */
  readonly reachedMs: number;
  readonly interval: number;
}

/** Where a lane was when it was lifted, and to what. */
interface Lift {
  readonly at: Position | undefined;
  readonly toMs: number;
}

const NOTHING: Reached = { highestMs: -Infinity, reachedMs: -Infinity, interval: -1 };

/**
 * How far event time is in each lane, by the records that were put, by where progress stands and by what lanes were
 * lifted to: never by what a progress row says of time.
 */
export class LaneTruth {
  readonly #time: PipelineTime;
  readonly #lanes: () => readonly SourceLane[];
  readonly #records = new Map<string, LaneRecord[]>();
  readonly #positions = new Map<string, Position>();
  readonly #lifts = new Map<string, Lift[]>();
  /** By lane: behind which position nothing stood when so many records had been put. */
  readonly #proofs: Map<string, { readonly position: Position | undefined; readonly below: number }[]>;
  #put = 0;

  /**
   * @param lanes of all shards that the stream ever had.
   * @param before of another generation: what proves that a shard is idle is true for all.
   */
  constructor(time: PipelineTime, lanes: () => readonly SourceLane[], before?: LaneTruth) {
    this.#time = time;
    this.#lanes = lanes;
    this.#proofs = before === undefined ? new Map<string, never[]>() : before.#proofs;
  }

  /**
   * A rewind lets the lane begin there.
   * @param highestMs how far it is by lifts too, as the checkpoint tells: those beyond came later.
   * @param from of the generation of the checkpoint.
   */
  begun(shard: string, position: Position | undefined, highestMs: number, from: LaneTruth): void {
    if (position !== undefined) this.advanced(shard, position);
    const lifts = from.#lifts.get(shard) ?? [];
    const kept = lifts.filter((lift) => isUpTo(lift.at, position) && lift.toMs <= highestMs);
    this.#lifts.set(shard, [...(this.#lifts.get(shard) ?? []), ...kept]);
  }

  put(record: SourceRecord, shard: string, eventMs: number | undefined): void {
    const known = this.#records.get(shard) ?? [];
    this.#records.set(shard, known);
    known.push({ record, number: this.#put++, eventMs });
  }

  advanced(shard: string, position: Position): void {
    const known = this.#positions.get(shard);
    if (known === undefined || comparePositions(known, position) < 0) this.#positions.set(shard, position);
  }

  /** A read has come to the latest of the shard, and nothing stood behind the position. */
  provenIdle(shard: string, position: Position | undefined): void {
    const proofs = this.#proofs.get(shard) ?? [];
    this.#proofs.set(shard, proofs);
    proofs.push({ position, below: this.#put });
  }

  /** @param sources of generations of which it may be lifted as it was there. @returns what is wrong with it. */
  lifted(
    shard: string,
    position: Position | undefined,
    toMs: number,
    sources: readonly LaneTruth[],
  ): string | undefined {
    const lifts = this.#lifts.get(shard) ?? [];
    this.#lifts.set(shard, lifts);
    lifts.push({ at: position, toMs });
    const asBefore = sources.flatMap((source) => source.#lifts.get(shard) ?? []);
    if (asBefore.some((lift) => lift.toMs === toMs && isUpTo(lift.at, position))) return undefined;
    const proof = this.#proofs.get(shard)?.findLast((each) => isSame(each.position, position));
    if (proof === undefined) return `${shard} is lifted, and nothing proves that it is idle`;
    // What one of its children holds is behind all that it has itself, and it is behind its parents.
    const relatives = [...this.#ancestorsOf(shard), shard, ...this.#descendantsOf(shard)];
    const missed = relatives
      .flatMap((each) => this.#records.get(each) ?? [])
      .find(({ record, number }) => {
        const known = record.lane === shard ? position : this.#positions.get(record.lane);
        return number < proof.below && isAbove(record, known);
      });
    return (
      missed &&
      `${shard} is lifted over record ${missed.number} of ${missed.record.lane}, which stood there when it was proven idle`
    );
  }

  /** Whether it was ever lifted, or a shard that it comes from was. */
  hasLifts(shard: string): boolean {
    return [shard, ...this.#ancestorsOf(shard)].some((each) => this.#lifts.has(each));
  }

  /** Up to where event time is over before a record of its lane, by the records alone. */
  overBefore(record: SourceRecord): number {
    const { lane } = record;
    let reached = this.#beginOf(lane);
    for (const each of this.#records.get(lane) ?? []) {
      if (comparePositions(each.record.position, record.position) >= 0) break;
      reached = this.#behind(reached, each);
    }
    return this.#at(reached, record).reachedMs - this.#time.latenessMs;
  }

  /** Up to where it is over behind a record and all before it of its lane, at most: with what the lane was lifted to. */
  overBehind(lane: string, sequence: string | undefined): number {
    const own = Math.max(
      this.#upTo(lane, sequence, this.#beginOf(lane)).reachedMs,
      this.highestFloorOf(lane),
    );
    return own - this.#time.latenessMs;
  }

  /** The highest event time of a lane's records at or below a position, and of those that its parents had. */
  highestAt(lane: string, position: Position): number {
    let reached = this.#beginOf(lane);
    for (const each of this.#records.get(lane) ?? []) {
      if (comparePositions(each.record.position, position) <= 0) reached = this.#behind(reached, each);
    }
    return reached.highestMs;
  }

  /** The highest of all records. */
  get highestMs(): number {
    let highestMs = -Infinity;
    for (const list of this.#records.values())
      for (const { eventMs = -Infinity } of list) highestMs = Math.max(highestMs, eventMs);
    return highestMs;
  }

  /** All below which event time may have been over in the lane before its own records said so; -Infinity is one. */
  floorsOf(lane: string): readonly number[] {
    const highest = this.highestFloorOf(lane);
    const ancestors = this.#ancestorsOf(lane);
    const lifts = [lane, ...ancestors].flatMap((each) => this.#liftsOf(each));
    const ends = ancestors.map((each) => this.#upTo(each, undefined, this.#beginOf(each)).reachedMs);
    const floors = new Set([highest, ...lifts, ...ends, -Infinity]);
    return [...floors].filter((each) => each <= highest).sort((a, b) => b - a);
  }

  highestFloorOf(lane: string): number {
    const parents = this.#parentsOf(lane);
    const held = parents.map((parent) =>
      Math.max(this.#upTo(parent, undefined, this.#beginOf(parent)).reachedMs, this.highestFloorOf(parent)),
    );
    const fromParents = held.length === 0 || !this.#isLifted(parents) ? -Infinity : Math.min(...held);
    return Math.max(fromParents, ...this.#liftsOf(lane));
  }

  /**
   * Up to where event time is over in all lanes as the stream stands.
   * @param own a lane whose records tell beyond its progress, and up to where it is over there.
   */
  overInAll(own?: { readonly lane: string; readonly overMs: number }): number {
    const lanes = this.#lanes();
    const parents = new Set(lanes.flatMap((lane) => lane.parents));
    const ends = lanes.filter(({ shard }) => !parents.has(shard)).map(({ shard }) => shard);
    const reached = (lane: string): number => {
      if (lane === own?.lane) return own.overMs + this.#time.latenessMs;
      const position = this.#positions.get(lane);
      if (position !== undefined) {
        const byRecords = this.#upTo(lane, position.sequence, this.#beginOf(lane), position.sub).reachedMs;
        return Math.max(byRecords, this.highestFloorOf(lane));
      }
      const before = this.#parentsOf(lane);
      const held = before.length === 0 ? -Infinity : Math.min(...before.map(reached));
      return Math.max(held, ...this.#liftsOf(lane));
    };
    return Math.min(Infinity, ...ends.map(reached)) - this.#time.latenessMs;
  }

  #liftsOf(lane: string): readonly number[] {
    return (this.#lifts.get(lane) ?? []).map(({ toMs }) => toMs);
  }

  #isLifted(lanes: readonly string[]): boolean {
    return lanes.some((lane) => this.hasLifts(lane));
  }

  /** Where a lane begins by the records alone: at the least that its parents came to. */
  #beginOf(lane: string): Reached {
    const parents = this.#parentsOf(lane);
    if (parents.length === 0) return NOTHING;
    const ends = parents.map((parent) => this.#upTo(parent, undefined, this.#beginOf(parent)).reachedMs);
    const highestMs = Math.min(...ends);
    return { highestMs, reachedMs: highestMs, interval: -1 };
  }

  /** @param sequence that of the last record that counts; all where there is none. */
  #upTo(lane: string, sequence: string | undefined, begin: Reached, sub = Infinity): Reached {
    let reached = begin;
    for (const each of this.#records.get(lane) ?? []) {
      const { position } = each.record;
      const order = sequence === undefined ? -1 : compareSequences(position.sequence, sequence);
      if (order > 0 || (order === 0 && position.sub > sub)) break;
      reached = this.#behind(reached, each);
    }
    return reached;
  }

  /** When a record arrives, before the record itself. */
  #at(reached: Reached, { arrivalMs }: SourceRecord): Reached {
    const { batchIntervalMs } = this.#time;
    if (batchIntervalMs === undefined) return reached;
    // Intervals begin with the first record that has an event time.
    if (reached.highestMs === -Infinity) return reached;
    const interval = Math.floor(arrivalMs / batchIntervalMs);
    if (interval <= reached.interval) return reached;
    return { highestMs: reached.highestMs, reachedMs: reached.highestMs, interval };
  }

  #behind(reached: Reached, { record, eventMs = -Infinity }: LaneRecord): Reached {
    const before = this.#at(reached, record);
    const highestMs = Math.max(before.highestMs, eventMs);
    const { batchIntervalMs } = this.#time;
    if (batchIntervalMs === undefined) return { highestMs, reachedMs: highestMs, interval: -1 };
    const isFirst = before.highestMs === -Infinity && highestMs > -Infinity;
    const interval = isFirst ? Math.floor(record.arrivalMs / batchIntervalMs) : before.interval;
    return { highestMs, reachedMs: before.reachedMs, interval };
  }

  #parentsOf(lane: string): readonly string[] {
    return this.#lanes().find(({ shard }) => shard === lane)?.parents ?? [];
  }

  #ancestorsOf(lane: string): readonly string[] {
    return this.#parentsOf(lane).flatMap((parent) => [parent, ...this.#ancestorsOf(parent)]);
  }

  #descendantsOf(lane: string): readonly string[] {
    return this.#lanes()
      .filter(({ parents }) => parents.includes(lane))
      .flatMap(({ shard }) => [shard, ...this.#descendantsOf(shard)]);
  }
}

function isSame(a: Position | undefined, b: Position | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return comparePositions(a, b) === 0;
}

function isAbove({ position }: SourceRecord, known: Position | undefined): boolean {
  return known === undefined || comparePositions(position, known) > 0;
}

function isUpTo(position: Position | undefined, end: Position | undefined): boolean {
  return position === undefined || (end !== undefined && comparePositions(position, end) <= 0);
}

import {
  compareMarkPositions,
  comparePositions,
  type MarkPosition,
  type Position,
} from '../source/position.ts';
import { partitionLaneOf, partitionLanePrefix } from '../source/lane.ts';
import { rejectionOf, type Rejection } from '../source/record-error.ts';
import type { SourceRecord } from '../source/record.ts';
import { ConfigurationError } from '../pipeline/configuration-error.ts';
import type { FoldContext } from '../pipeline/definition.ts';
import { shardOfItem } from '../state/row-key.ts';
import type { DeadLetterEntry, OutboxEntry, StateItem } from '../state/state-item.ts';
import type { Element } from './elements.ts';
import type { FreshValues } from './fresh-values.ts';
import { isAtOrBelow, ItemDraft, NOTHING_SAVED, type ReachedTimes } from './item-draft.ts';
import {
  MARKS_LIMIT,
  RECORDS_BETWEEN_CLOCK_READS,
  REJECTED_LIMIT_BYTES,
  ROOM_SHARE_AHEAD,
} from './limits.ts';
import type { LookedUp } from './looked-up.ts';
import type { MarkPlace } from './mark-place.ts';
import { isAcknowledged, type Maker } from './outbox-draft.ts';
import { isOfOneElement, isSettled, isWhole, joined, type RejectedRecords } from './rejected-records.ts';
import type { Program } from './program.ts';
import { StepRun } from './step-run.ts';
import { BEFORE_ELEMENTS, BEHIND_ELEMENTS, fireTimers } from './fire-timers.ts';

/** What fold needs to know of the batch. */
export interface FoldScope {
  readonly program: Program;
  readonly shard: string;
  readonly records: readonly SourceRecord[];
  /** By what their marks are kept; a record of a plain stream is its own place. */
  readonly places: readonly MarkPlace[];
  /** The first of the records before which everything is committed and published. */
  readonly front: number;
  /** By lane: its first position in the batch that Lambda handed in. */
  readonly firsts: ReadonlyMap<string, Position>;
  /** Entries that this invocation has published: as good as acknowledged. */
  readonly published: ReadonlySet<OutboxEntry>;
  /** By shard, where it was read: everything of the shard's own lane at or below it is acknowledged. */
  readonly acknowledged: ReadonlyMap<string, Position>;
  /** Where a restored item tells too little: the records that had letters without a key before. */
  readonly named?: RejectedRecords | undefined;
  /** By record: those of its elements that a letter of a key is not for: most of them have letters of their own. */
  readonly elsewhere?: ReadonlyMap<number, ReadonlySet<number>>;
  /** In a pipeline that looks rows up. */
  readonly rows?: LookedUp | undefined;
  /** For values that user code may have changed. */
  readonly fresh: FreshValues;
  /** In a pipeline that has a time; a redrive knows of none. */
  readonly times?: BatchTimes | undefined;
}

/** Up to where event time is over, milliseconds since the epoch; -Infinity where that is not known. */
export interface BatchTimes {
  /** In the batch's own lane, before each of the records. */
  readonly before: readonly number[];
  /** In the batch's own lane, behind the last of the records. */
  readonly behind: number;
  /** In all other lanes, by their progress; Infinity where there are none. */
  readonly others: number;
}

/** One item's share of a batch: the elements of its key, in order. */
export interface KeyWork {
  readonly pk: string;
  /** `undefined` for a shard's own item, whose elements all have a rejection. */
  readonly key: string | undefined;
  readonly elements: readonly Element[];
}

/** Why a record cannot be folded although it is no dead letter: its shard waits in front of it. */
export interface Stop {
  readonly record: number;
  readonly kind: 'policy' | 'marks' | 'outbox';
  readonly reason: string;
}

export interface Fold {
  /** The item as it should be written; nothing where no record ran. */
  readonly item: StateItem | undefined;
  /** The first element that was not folded: there was no room or no time for it, or its record stops the shard. */
  readonly next: number;
  /** Records that were applied, by their place in the batch. */
  readonly applied: readonly number[];
  /** Records at or below the mark. */
  readonly skipped: readonly number[];
  readonly deadLetters: number;
  /** Values that came too late and were dropped. */
  readonly late: number;
  /** What the states take. */
  readonly stateBytes: number;
  /** Whether they are too large for the item. */
  readonly spills: boolean;
  readonly stop: Stop | undefined;
}

/**
 * Folds one key's new records, one after the other: pure, synchronous, and the same however the batch was cut (I10).
 * @param from the first element to fold.
 * @param isFirst whether the elements' values are as decoded: user code may change what it is given, so a second fold
 * decodes again.
 * @param keepGoing asked between records; where it stops makes no difference to what comes of them.
 * @param below the first of the records that is not to be folded now.
 */
export function foldItem(
  scope: FoldScope,
  work: KeyWork,
  loaded: StateItem | undefined,
  from: number,
  isFirst: boolean,
  keepGoing: () => boolean,
  below = Infinity,
): Fold {
  return (
    new ItemFold(scope, work, loaded, false, !isFirst).run(from, keepGoing, below) ??
    // Something must be put back: once more from the item as loaded, with guarded cells and values made anew.
    new ItemFold(scope, work, loaded, true, true).run(from, keepGoing, below) ??
    unreachable(work)
  );
}

function unreachable(work: KeyWork): never {
  throw new Error(`The guarded fold of item '${work.pk}' asked to be run again.`);
}

/** One run over one key's records. */
class ItemFold {
  readonly #scope: FoldScope;
  readonly #work: KeyWork;
  readonly #loaded: StateItem | undefined;
  readonly #isGuarded: boolean;
  readonly #isFresh: boolean;
  /** Whether the item has marks of the shard's partition keys. */
  readonly #hasPartitionMarks: boolean;
  readonly #applied: number[] = [];
  readonly #skipped: number[] = [];
  #deadLetters = 0;
  #draft: ItemDraft | undefined;
  /** Records that ran: applied or rejected. */
  #ran = 0;
  #firstRan: SourceRecord | undefined;
  #lastRan: SourceRecord | undefined;
  /** Its place: of the lane whose mark is not in the draft yet. */
  #lastPlace: MarkPlace | undefined;
  #steps: StepRun | undefined;
  /** Values that came too late, of the record at hand and of all before it. */
  #late = 0;
  #lateBefore = 0;
  readonly #onLate = (): void => void (this.#late += 1);
  /** Of a shard's own item: what its mark is to be raised to. */
  #settled: Pick<MarkPlace, 'lane' | 'position'> | undefined;
  /** Whether timers do not fire in this fold any more: a sweep fires them, or says why it cannot. */
  #areTimersLeft = false;

  constructor(
    scope: FoldScope,
    work: KeyWork,
    loaded: StateItem | undefined,
    isGuarded: boolean,
    isFresh: boolean,
  ) {
    this.#scope = scope;
    this.#work = work;
    this.#loaded = loaded;
    this.#isGuarded = isGuarded;
    this.#isFresh = isFresh;
    this.#hasPartitionMarks = loaded !== undefined && hasPartitionMarks(loaded.marks, scope.shard);
  }

  /** @returns `undefined` where an unguarded run cannot put back what a record did. */
  run(from: number, keepGoing: () => boolean, below: number): Fold | undefined {
    const { elements } = this.#work;
    let at = from;
    let stop: Stop | undefined;
    while (at < elements.length) {
      if (this.#ran % RECORDS_BETWEEN_CLOCK_READS === RECORDS_BETWEEN_CLOCK_READS - 1 && !keepGoing()) break;
      const index = (elements[at] as Element).record;
      if (index >= below) break;
      let end = at + 1;
      while (end < elements.length && elements[end]?.record === index) end++;
      const record = this.#scope.records[index] as SourceRecord;
      const place = this.#scope.places[index] as MarkPlace;
      if (this.#isDone(record, place, at, end)) {
        this.#skipped.push(index);
      } else {
        const draft = (this.#draft ??= this.#begin());
        let outcome = this.#foldRecord(draft, record, place, at, end);
        while (outcome === 'tooMany') {
          end = at + Math.floor((end - at) / 2);
          if (this.#isDone(record, place, at, end)) break;
          outcome = this.#foldRecord(draft, record, place, at, end);
        }
        // The first of them have their letters already.
        if (outcome === 'tooMany') {
          at = end;
          continue;
        }
        if (outcome === 'again') return undefined;
        if (outcome === 'full') break;
        if (outcome !== 'done') {
          stop = outcome;
          break;
        }
        this.#ran += 1;
      }
      at = end;
    }
    if (at === elements.length && stop === undefined && this.#fireBehind() === 'again') return undefined;
    const [draft, firstRan, lastPlace] = [this.#draft, this.#firstRan, this.#lastPlace];
    const hasRun = draft !== undefined && firstRan !== undefined && lastPlace !== undefined;
    return {
      item: hasRun ? this.#item(draft, firstRan, lastPlace) : undefined,
      next: at,
      applied: this.#applied,
      skipped: this.#skipped,
      deadLetters: this.#deadLetters,
      late: this.#lateBefore,
      stateBytes: hasRun ? draft.stateBytes : 0,
      spills: hasRun && draft.spills,
      stop,
    };
  }

  #isDone(record: SourceRecord, place: MarkPlace, at: number, end: number): boolean {
    if (this.#work.key !== undefined) return this.#isCovered(record, place);
    return this.#work.elements.slice(at, end).every((element) => this.#hasLetter(record, place, element));
  }

  /**
   * Of a shard's own item: what is settled has its fate, and above it the list says who has a letter. A record may have had
   * keys for other code, and none for this: it has no letter yet, though another behind it has.
   */
  #hasLetter({ position: own }: SourceRecord, { position }: MarkPlace, element: Element): boolean {
    const draft = (this.#draft ??= this.#begin());
    if (isSettled(this.#loaded, position)) return true;
    return draft.rejected.has(position, element) || this.#scope.named?.has(own, element) === true;
  }

  /** I1: a record at or below its lane's mark is in the item already. */
  #isCovered(record: SourceRecord, place: MarkPlace): boolean {
    // A pipeline that was not always chained has marks of the stream's own lanes, which still hold.
    return (place !== record && this.#isRepeat(place)) || this.#isBelowShardsMarks(record);
  }

  /** An output may come again at any time, behind others of its lane too, and in the same batch. */
  #isRepeat({ lane, position }: MarkPlace): boolean {
    const last = this.#lastPlace;
    if (last?.lane === lane) return compareMarkPositions(position, last.position) <= 0;
    return isAtOrBelow(position, (this.#draft?.marks ?? this.#loaded?.marks)?.get(lane));
  }

  #isBelowShardsMarks(record: SourceRecord): boolean {
    const { lane, position } = record;
    const { shard } = this.#scope;
    // Positions rise in a batch: behind a record of its lane that ran, none is covered; but for a shard's lane the
    // marks of its partition keys may stand higher.
    const isRising = lane !== shard || !this.#hasPartitionMarks;
    if (isRising && this.#lastRan?.lane === lane) return false;
    const marks = this.#draft?.marks ?? this.#loaded?.marks;
    if (marks === undefined || marks.size === 0) return false;
    if (isAtOrBelow(position, marks.get(shard))) return true;
    if (lane !== shard) return isAtOrBelow(position, marks.get(lane));
    // The mapping's ParallelizationFactor may have been changed to 1: the partition key's own mark still holds.
    if (isRising) return false;
    return isAtOrBelow(position, marks.get(partitionLaneOf(shard, record)));
  }

  /** Prepares the draft when the first record runs: a key where none runs costs nothing more. */
  #begin(): ItemDraft {
    const { program, shard, firsts, published, acknowledged } = this.#scope;
    const pending = (this.#loaded?.outbox ?? []).filter((entry) => {
      if (isAcknowledged(entry, shard, firsts)) return false;
      const own = acknowledged.get(entry.lane);
      if (own !== undefined && comparePositions(entry.position, own) <= 0) return false;
      return !published.has(entry);
    });
    const draft = new ItemDraft(program, this.#work.key, this.#loaded, pending, this.#isGuarded);
    if (this.#work.key === undefined) this.#settleRejected(draft);
    return draft;
  }

  /** What is rejected below the first record that is not done needs no list: the mark covers it. */
  #settleRejected(draft: ItemDraft): void {
    const { records, places, front, shard } = this.#scope;
    const lane = shardOfItem(this.#work.pk);
    let lowest: MarkPosition | undefined;
    for (let index = front; index < places.length; index++) {
      // In the shard's lane all records stand, also those that are known by another place.
      const own = (lane === shard ? records[index] : places[index]) as SourceRecord | MarkPlace;
      if (lane !== shard && own.lane !== lane) continue;
      if (lowest === undefined || compareMarkPositions(own.position, lowest) < 0) lowest = own.position;
    }
    const settled = lowest && draft.rejected.forgetBelow(lowest);
    if (settled === undefined) return;
    if (draft.settled === undefined || compareMarkPositions(settled, draft.settled) > 0)
      draft.settled = settled;
    if (!isAtOrBelow(settled, this.#loaded?.marks.get(lane))) this.#settled = { lane, position: settled };
  }

  #foldRecord(
    draft: ItemDraft,
    record: SourceRecord,
    place: MarkPlace,
    at: number,
    end: number,
  ): 'done' | 'again' | 'full' | 'tooMany' | Stop {
    const { elements } = this.#work;
    const { program } = this.#scope;
    const index = (elements[at] as Element).record;
    // The first that is not done goes in whatever there is: it is forgotten with the next round.
    const isListFull = draft.rejected.bytes >= REJECTED_LIMIT_BYTES && index > this.#scope.front;
    if (this.#work.key === undefined && isListFull) return 'full';
    if (this.#lastPlace?.lane !== place.lane) {
      const tooMany = this.#changeLane(draft, record, place, index);
      if (tooMany !== undefined) return tooMany;
    }
    if (program.hasInitialState) draft.forgetTombstone(record);
    const { isParked } = draft;
    const run = (this.#steps ??= new StepRun(program, this.#work.key ?? '', draft, this.#scope.rows));
    // What runs no user code has nothing to put back.
    const canPutBack = this.#isGuarded || draft.cells.length === 0 || isParked;
    const saved = this.#isGuarded ? draft.save() : NOTHING_SAVED;
    run.clear();
    if (!isParked && this.#fireBefore(draft, run, record, place, index) === 'again') return 'again';
    const fired = run.entriesBytes;
    const rejection = isParked ? PARKED : this.#runRecord(draft, run, record, place, at, end);
    if (rejection !== undefined) {
      if (!canPutBack) return 'again';
      // Timers that have fired before it fire again, with what comes next.
      draft.putBack(saved);
      if (program.definition.onRecordError === 'stop' && !isParked) {
        const reason = `${rejection.stage}: ${rejection.summary ?? rejection.reason}`;
        return { record: index, kind: 'policy', reason };
      }
      run.clear();
      this.#addLetters(draft, run, record, place, at, end, rejection);
    }
    for (const cell of draft.cells) if (cell.lostReference) return 'again';
    if (draft.outboxBytes + run.entriesBytes > this.#room(draft, index)) {
      if (!canPutBack) return 'again';
      draft.putBack(saved);
      this.#late = this.#lateBefore;
      if (this.#ran > 0) return 'full';
      // Letters of one record that have no room together, beside those of records behind it that wait for it: what has no
      // key stands for itself, and goes in parts.
      if (this.#work.key === undefined && end - at > 1) return 'tooMany';
      if (fired === 0) return { record: index, kind: 'outbox', reason: OUTBOX_IS_FULL };
      // What timers give and what the record gives have no room together: a sweep fires them one by one.
      this.#areTimersLeft = true;
      return this.#foldRecord(draft, record, place, at, end);
    }
    draft.accept(record.arrivalMs, run.entries);
    if (this.#work.key === undefined) this.#list(draft, place, run.entries);
    if (rejection === undefined) this.#lateBefore = this.#late;
    else this.#late = this.#lateBefore;
    if (rejection === undefined) this.#applied.push(index);
    else this.#deadLetters += run.entries.length;
    this.#firstRan ??= record;
    this.#lastRan = record;
    this.#lastPlace = place;
    return 'done';
  }

  #room(draft: ItemDraft, index: number): number {
    return index <= this.#scope.front ? draft.room : draft.room * ROOM_SHARE_AHEAD;
  }

  /** Timers that are due before a record fire before it: for a key of one lane that is their place, whoever fires. */
  #fireBefore(
    draft: ItemDraft,
    run: StepRun,
    record: SourceRecord,
    place: MarkPlace,
    index: number,
  ): 'done' | 'again' {
    const { times } = this.#scope;
    if (times === undefined) return 'done';
    const event = Math.min(times.others, times.before[index] ?? -Infinity);
    // By any clock it is later than when the record arrived.
    return this.#fire(draft, run, record, place, BEFORE_ELEMENTS, { event, processing: record.arrivalMs });
  }

  /** Behind the key's last record of the batch, whatever comes next of the lane comes behind the batch. */
  #fireBehind(): 'done' | 'again' {
    const { times } = this.#scope;
    const [draft, run, record, place] = [this.#draft, this.#steps, this.#lastRan, this.#lastPlace];
    if (times === undefined || draft === undefined || run === undefined) return 'done';
    if (record === undefined || place === undefined || draft.isParked) return 'done';
    const reached = { event: Math.min(times.others, times.behind), processing: -Infinity };
    const saved = this.#isGuarded ? draft.save() : NOTHING_SAVED;
    run.clear();
    if (this.#fire(draft, run, record, place, BEHIND_ELEMENTS, reached) === 'again') return 'again';
    for (const cell of draft.cells) if (cell.lostReference) return 'again';
    if (draft.outboxBytes + run.entriesBytes > draft.room * ROOM_SHARE_AHEAD) {
      if (!this.#isGuarded) return 'again';
      draft.putBack(saved);
      return 'done';
    }
    draft.accept(record.arrivalMs, run.entries);
    return 'done';
  }

  /** Fires what is due, with a record that carries it. A timer that fails stays, and what is behind it, for a sweep. */
  #fire(
    draft: ItemDraft,
    run: StepRun,
    record: SourceRecord,
    place: MarkPlace,
    element: number,
    reached: ReachedTimes,
  ): 'done' | 'again' {
    if (this.#areTimersLeft || draft.nextDue(reached) === undefined) return 'done';
    if (!this.#isGuarded) return 'again';
    const maker = makerOf(record, place, element);
    this.#areTimersLeft = fireTimers(draft, run, this.#work.key as string, reached, maker) !== undefined;
    return 'done';
  }

  /**
   * Runs all elements that the record has for this key, or none: one that throws rejects them all.
   * @returns why they are rejected, where they are.
   */
  #runRecord(
    draft: ItemDraft,
    run: StepRun,
    record: SourceRecord,
    markPlace: MarkPlace,
    at: number,
    end: number,
  ): Rejection | undefined {
    const fired = run.entriesBytes;
    for (let place = at; place < end; place++) {
      const element = this.#work.elements[place] as Element;
      const rejection = element.rejection ?? this.#runElement(draft, run, record, markPlace, element);
      if (rejection !== undefined) return rejection;
    }
    return this.#requireSizes(draft, run.entriesBytes - fired);
  }

  /** @returns why the element cannot be folded, where it cannot. */
  #runElement(
    draft: ItemDraft,
    run: StepRun,
    record: SourceRecord,
    markPlace: MarkPlace,
    element: Element,
  ): Rejection | undefined {
    try {
      const value = this.#isFresh || element.isShared ? this.#scope.fresh.take(element, this) : element.value;
      run.run(0, value, makerOf(record, markPlace, element.number), this.#contextOf(draft, record, element));
      return undefined;
    } catch (error) {
      if (error instanceof ConfigurationError) throw error;
      return rejectionOf(error, 'fold');
    }
  }

  #contextOf(draft: ItemDraft, record: SourceRecord, { eventMs, record: index }: Element): FoldContext {
    if (eventMs === undefined) return record;
    const { firedMs, processingFiredMs } = draft;
    const overMs = Math.max(this.#scope.times?.before[index] ?? -Infinity, firedMs);
    return {
      arrivalMs: record.arrivalMs,
      time: { eventMs, overMs, firedMs, processingFiredMs, onLate: this.#onLate },
    };
  }

  #list(draft: ItemDraft, { position }: MarkPlace, entries: StepRun['entries']): void {
    for (const entry of entries) {
      if (entry.kind !== 'deadLetter') continue;
      draft.rejected.add(position, isOfOneElement(entry.stage) ? [entry.element] : undefined);
    }
  }

  /** One letter for all elements that the record has for the key: they are applied together, or not at all (I1). */
  #addLetters(
    draft: ItemDraft,
    run: StepRun,
    record: SourceRecord,
    place: MarkPlace,
    at: number,
    end: number,
    rejection: Rejection,
  ): void {
    const { key, elements } = this.#work;
    const behind = key === undefined ? end : at + 1;
    let { next } = draft.letters;
    for (const element of elements.slice(at, behind)) {
      if (key === undefined && this.#hasLetter(record, place, element)) continue;
      const own = (key === undefined ? element.rejection : undefined) ?? rejection;
      const except = this.#exceptOf(draft, record, place, element);
      const letter = this.#deadLetter(record, element, next++, own);
      run.add(except.length === 0 ? letter : { ...letter, except });
    }
  }

  /** A letter for a whole record, or for all that a key has of it, is not for elements that have letters of their own. */
  #exceptOf(
    { rejected }: ItemDraft,
    record: SourceRecord,
    { position }: MarkPlace,
    element: Element,
  ): readonly number[] {
    const { key } = this.#work;
    if (key === undefined && !isWhole(element)) return [];
    const others = this.#scope.elsewhere?.get(element.record) ?? [];
    const elsewhere = [...others].sort((a, b) => a - b);
    if (key !== undefined) return elsewhere;
    const listed = joined(rejected.elementsOf(position), elsewhere);
    return joined(listed, this.#scope.named?.elementsOf(record.position) ?? []);
  }

  #deadLetter(
    { lane, position, arrivalMs }: SourceRecord,
    { number: element }: Element,
    number: number,
    { stage, reason }: Rejection,
  ): DeadLetterEntry {
    const { chained } = this.#scope.program.definition.source;
    return {
      kind: 'deadLetter',
      lane,
      position,
      number,
      element,
      stage,
      reason,
      ...(chained !== undefined && { arrivalMs }),
    };
  }

  /** The limits that the records alone decide: on the states, and on the outputs of one record. */
  #requireSizes(draft: ItemDraft, entriesBytes: number): Rejection | undefined {
    const { stateBytes, room } = draft;
    const limit = this.#scope.program.limits.stateBytes;
    if (stateBytes > limit) {
      return {
        stage: 'state',
        reason:
          `the key's state would have ${stateBytes} bytes, the limit is ${limit}; keep less under one key, or refine ` +
          'the key',
      };
    }
    const outputBytes = entriesBytes + draft.stagedCopyBytes;
    if (outputBytes <= room) return undefined;
    return {
      stage: 'output',
      reason:
        `the record's outputs have ${outputBytes} bytes; beside a state of ${stateBytes} bytes the item can ` +
        `hold ${room}, and outputs are committed with their key's item`,
    };
  }

  /** Sets the mark of the lane that ran so far, and makes sure that there is room for that of the next. */
  #changeLane(draft: ItemDraft, record: SourceRecord, place: MarkPlace, index: number): Stop | undefined {
    const { marks } = draft;
    if (this.#lastPlace !== undefined && this.#work.key !== undefined) draft.setMark(this.#lastPlace);
    if (marks.has(place.lane) || marks.size < MARKS_LIMIT) return undefined;
    draft.dropMarks(record);
    if (marks.size < MARKS_LIMIT) return undefined;
    return {
      record: index,
      kind: 'marks',
      reason: `its item has marks of ${marks.size} lanes, the limit: ${tooManyLanes(place !== record)}`,
    };
  }

  #item(draft: ItemDraft, firstRan: SourceRecord, lastPlace: MarkPlace): StateItem {
    if (this.#work.key !== undefined) draft.setMark(lastPlace);
    else if (this.#settled !== undefined) draft.setMark(this.#settled);
    draft.dropMarks(firstRan);
    return draft.toItem(this.#work.pk, firstRan.arrivalMs);
  }
}

/** Where the record came from the head of a chain, its outputs say when it arrived there. */
function makerOf(record: SourceRecord, place: MarkPlace, element: number): Maker {
  const { lane, position, arrivalMs } = record;
  const originArrivalMs = place === record ? undefined : place.arrivalMs;
  return { lane, position, element, arrivalMs, originArrivalMs };
}

/** Other shards publish their entries first; with ParallelizationFactor 1 their progress shows when they have. */
const OUTBOX_IS_FULL =
  'its outputs wait for room in the item, which is full of outputs of other lanes that are not published yet';

/** Its letter says why in words: an entry's are paid for at every write, and a parked key gathers many. */
const PARKED: Rejection = { stage: 'parked', reason: '' };

function hasPartitionMarks(marks: StateItem['marks'], shard: string): boolean {
  if (marks.size === Number(marks.has(shard))) return false;
  const prefix = partitionLanePrefix(shard);
  for (const lane of marks.keys()) if (lane.startsWith(prefix)) return true;
  return false;
}

function tooManyLanes(isChained: boolean): string {
  return isChained
    ? 'each key that the pipeline before this one publishes under leaves a mark here. Let its sink publish under the ' +
        "key by which this pipeline keys ('key' of the sink), or put a stage between them that does."
    : 'the key is fed by too many shards or partition keys. Let the producer use this key, or a part of it, as the ' +
        'partition key.';
}

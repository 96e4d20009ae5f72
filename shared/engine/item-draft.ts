import { standingOf } from '../output/output-id.ts';
import { isTimerLane, shardOfLane } from '../source/lane.ts';
import { compareMarkPositions, type MarkPosition } from '../source/position.ts';
import type { SourceRecord } from '../source/record.ts';
import type { StatefulStage, TimeDomain } from '../pipeline/definition.ts';
import { documentsBytes } from '../state/canonical-document.ts';
import type { Document } from '../state/document.ts';
import { NO_LETTERS, type Letters } from '../state/letters.ts';
import { firstRevision } from '../state/revision.ts';
import { generationOf } from '../state/row-key.ts';
import type { Mark, OutboxEntry, StateItem } from '../state/state-item.ts';
import { without } from '../state/without.ts';
import { DirectOutput, type DirectChange } from './direct-output.ts';
import { HORIZON_SLACK_SECONDS, ITEM_RESERVE_BYTES } from './limits.ts';
import { OutboxDraft, type EntryDraft, type PendingEntry, type StateReference } from './outbox-draft.ts';
import type { MarkPlace } from './mark-place.ts';
import type { Program } from './program.ts';
import { isLetterMark } from './redrive-lane.ts';
import { RejectedRecords } from './rejected-records.ts';
import { Cell, type SavedCell } from './state-cell.ts';

type PendingValue = Extract<PendingEntry, { kind: 'output' }>['value'];

const DOMAINS: readonly TimeDomain[] = ['event', 'processing'];
const NO_VERSIONS: ReadonlyMap<string, number> = new Map();
const NO_STATES: ReadonlyMap<string, Document> = new Map();

/** An operator that waits, and until when. */
export interface NextTimer {
  /** Among the steps. */
  readonly place: number;
  /** Among the operators: a part of the id of what it makes. */
  readonly cell: number;
  /** Milliseconds since the epoch. */
  readonly dueMs: number;
  /** By which time it is due. */
  readonly domain: TimeDomain;
}

/** Up to where each time has come, milliseconds since the epoch; -Infinity where nothing may fire by it. */
export type ReachedTimes = Readonly<Record<TimeDomain, number>>;

/** What a draft held before a record ran. */
export interface SavedDraft {
  readonly cells: readonly SavedCell[];
  readonly staged: readonly (DirectChange | undefined)[];
  readonly firedMs?: number;
  readonly processingFiredMs?: number;
}

/** Of a draft in which nothing can be put back, or nothing needs to be. */
export const NOTHING_SAVED: SavedDraft = { cells: [], staged: [] };

/** An item while its key is folded: made of the loaded one, changed record by record, and written once. */
export class ItemDraft {
  readonly marks: Map<string, Mark>;
  readonly cells: readonly Cell[];
  /** By `direct` of their step. */
  readonly direct: readonly DirectOutput[];
  /** Of a shard's own item. */
  readonly rejected: RejectedRecords;
  settled: MarkPosition | undefined;
  readonly #program: Program;
  readonly #loaded: StateItem | undefined;
  readonly #key: string | undefined;
  readonly #outbox: OutboxDraft;
  /** States of operators that this code does not have: carried along. */
  readonly #unknown: ReadonlyMap<string, Document>;
  readonly #unknownBytes: number;
  #letters: Letters;
  /** The newest arrival that went into the item, seconds since the epoch. */
  #newestSeconds = 0;
  /** Event time up to which timers have fired, milliseconds since the epoch; -Infinity where none has. */
  firedMs: number;
  /** The like of processing time. */
  processingFiredMs: number;

  /**
   * @param key `undefined` for a shard's own item, which has no states.
   * @param pending entries of the loaded item that stay in it.
   */
  constructor(
    program: Program,
    key: string | undefined,
    loaded: StateItem | undefined,
    pending: readonly OutboxEntry[],
    isGuarded: boolean,
  ) {
    const { operators, directSinks } = program;
    this.#program = program;
    this.#loaded = loaded;
    this.firedMs = loaded?.firedMs ?? -Infinity;
    this.processingFiredMs = loaded?.processingFiredMs ?? -Infinity;
    this.marks = new Map(loaded?.marks);
    this.#letters = loaded?.letters ?? NO_LETTERS;
    this.#key = key;
    this.rejected = new RejectedRecords(loaded?.rejected);
    this.settled = loaded?.settled;
    for (const { arrivalSeconds } of this.marks.values()) {
      this.#newestSeconds = Math.max(this.#newestSeconds, arrivalSeconds);
    }
    const cells: Cell[] = [];
    const direct: DirectOutput[] = [];
    if (key !== undefined) {
      for (const operator of operators) {
        const isSeen = loaded?.versions.has(operator.name) === true;
        cells.push(new Cell(operator, key, loaded?.states.get(operator.name), isSeen, isGuarded));
      }
      for (const step of directSinks) {
        direct.push(new DirectOutput(step, key, cells[step.stateOf.cell] as Cell));
      }
    }
    this.cells = cells;
    this.direct = direct;
    this.#outbox = new OutboxDraft(pending.map((entry) => withOwnCopy(entry, program, loaded)));
    this.#unknown = unknownStates(operators, loaded);
    this.#unknownBytes = documentsBytes(this.#unknown.values());
  }

  get letters(): Letters {
    return this.#letters;
  }

  /**
   * Whether the key's records wait behind an open letter. The item alone says so, whatever the policy is by now: what
   * once was parked keeps its order.
   */
  get isParked(): boolean {
    return this.#letters.parkedFrom !== undefined;
  }

  /** What the states take. */
  get stateBytes(): number {
    let bytes = this.#unknownBytes;
    for (const cell of this.cells) bytes += cell.bytes;
    return bytes;
  }

  /** Whether the states are too large for the item: a matter of the states alone, and so of the records (I10). */
  get spills(): boolean {
    return this.stateBytes > this.#program.limits.inlineStateBytes;
  }

  /**
   * What the states leave for the outbox. Each sink's newest change of a state itself is in the reserve, and so is what
   * tells where spilled states are. What a shard's own item lists of one record may be more than the reserve has for it.
   */
  get room(): number {
    const { stateBytes } = this;
    const { itemBytes, inlineStateBytes } = this.#program.limits;
    const listed = Math.max(0, this.rejected.bytes - ITEM_RESERVE_BYTES / 2);
    return itemBytes - ITEM_RESERVE_BYTES - listed - (stateBytes > inlineStateBytes ? 0 : stateBytes);
  }

  /** What the changes take that the record at hand made and whose state it has removed: a copy each. */
  get stagedCopyBytes(): number {
    if (!this.#hasRemoval) return 0;
    return this.direct.reduce((bytes, output) => bytes + this.#copyBytes(output.staged), 0);
  }

  /** What the outbox takes, with the changes that the record at hand made. */
  get outboxBytes(): number {
    let bytes = this.#outbox.bytes;
    // A state that an output refers to and that has been removed takes room of its own.
    if (!this.#hasRemoval) return bytes;
    for (const output of this.direct) bytes += this.#copyBytes(output.draft()?.value);
    for (const entry of this.#outbox.entries()) {
      if (entry.kind === 'output') bytes += this.#copyBytes(entry.value);
    }
    return bytes;
  }

  save(): SavedDraft {
    return {
      cells: this.cells.map((cell) => cell.save()),
      staged: this.direct.map((output) => output.save()),
      firedMs: this.firedMs,
      processingFiredMs: this.processingFiredMs,
    };
  }

  /** Takes back what the record at hand did. */
  putBack({
    cells,
    staged,
    firedMs = this.firedMs,
    processingFiredMs = this.processingFiredMs,
  }: SavedDraft): void {
    this.processingFiredMs = processingFiredMs;
    this.firedMs = firedMs;
    for (const [place, cell] of cells.entries()) this.cells[place]?.putBack(cell);
    for (const [place, output] of this.direct.entries()) output.putBack(staged[place]);
  }

  /** The record at hand has run. */
  accept(arrivalMs: number, entries: readonly EntryDraft[]): void {
    for (const output of this.direct) output.accept();
    if (entries.length > 0) {
      if (this.#timed.length > 0) this.#carryTimers(entries);
      this.#outbox.add(entries);
      this.#count(entries);
    }
    this.#newestSeconds = Math.max(this.#newestSeconds, secondsOf(arrivalMs));
  }

  #carryTimers(entries: readonly EntryDraft[]): void {
    const first = entries.find((entry) => entry.kind === 'output' && isTimerLane(standingOf(entry).lane));
    if (first !== undefined) this.#outbox.carry(first);
  }

  /** The letters among the entries take their numbers; under `parkKey` the first one parks the key. */
  #count(entries: readonly EntryDraft[]): void {
    let count = 0;
    for (const { kind } of entries) if (kind === 'deadLetter') count += 1;
    if (count === 0) return;
    const { next, closed, parkedFrom } = this.#letters;
    const parks = this.#key !== undefined && this.#program.definition.onRecordError === 'parkKey';
    const head = parkedFrom ?? (parks ? next : undefined);
    this.#letters = { next: next + count, closed, ...(head !== undefined && { parkedFrom: head }) };
  }

  /** A tombstone is forgotten by the record's time, never by the clock: a replay must see what the first run saw. */
  forgetTombstone({ arrivalMs }: SourceRecord): void {
    if (secondsOf(arrivalMs) < this.#newestSeconds + this.#program.tombstoneSeconds) return;
    if (this.#unknown.size > 0 || this.cells.some(({ counts }) => counts)) return;
    for (const cell of this.cells) cell.forget();
  }

  /** With the newest arrival so far: arrivals are not monotonic, and how a batch was cut must not show (I10). */
  setMark({ lane, position }: Pick<MarkPlace, 'lane' | 'position'>): void {
    this.marks.set(lane, { position, arrivalSeconds: this.#newestSeconds });
  }

  /**
   * Marks go when their lane can bring nothing any more (I9), or when the mark of the whole shard covers them. What is
   * pending of such a lane goes with it: an output is published with its record in hand, and that does not come again.
   */
  dropMarks({ arrivalMs }: SourceRecord): void {
    const { marks } = this;
    this.#dropDeadEntries(arrivalMs);
    if (marks.size < 2) return;
    const oldest = secondsOf(arrivalMs) - this.#program.horizonSeconds - HORIZON_SLACK_SECONDS;
    for (const [lane, mark] of marks) {
      if (isLetterMark(lane)) continue;
      const shard = shardOfLane(lane);
      if (mark.arrivalSeconds < oldest) this.#outbox.dropLane(lane);
      else if (shard === lane || !isAtOrBelow(mark.position, marks.get(shard))) continue;
      marks.delete(lane);
    }
  }

  /**
   * In a chained pipeline no mark tells of a shard that is gone; there the entries' own arrivals tell when their records
   * cannot be handed in any more, which is earlier than what they bring can come again.
   */
  #dropDeadEntries(arrivalMs: number): void {
    const { chained, retentionHours } = this.#program.definition.source;
    if (chained === undefined) return;
    const keptMs = (retentionHours * 3_600 + 2 * HORIZON_SLACK_SECONDS) * 1_000;
    this.#outbox.dropBefore(arrivalMs - keptMs);
  }

  /** The item as a sweep should write it. */
  swept(pk: string): StateItem {
    const item = without(without(this.toItem(pk, 0), 'dueMs'), 'processingDueMs');
    const dueMs = item.outbox.some(({ lane }) => isTimerLane(lane)) ? 0 : this.nextTimer('event')?.dueMs;
    const processingDueMs = this.nextTimer('processing')?.dueMs;
    return {
      ...item,
      ...(dueMs !== undefined && { dueMs }),
      ...(processingDueMs !== undefined && { processingDueMs }),
    };
  }

  /** The item as it should be written. @param arrivalMs of the first record that ran. */
  toItem(pk: string, arrivalMs: number): StateItem {
    const loaded = this.#loaded;
    // An item that is deleted and made again must neither match an old holder's condition nor begin below what it told
    // its sinks: it starts at a time, and nothing is written a thousand times a second.
    const revision = loaded === undefined ? firstRevision(generationOf(pk), arrivalMs) : loaded.revision + 1;
    const states = new Map(this.#unknown);
    for (const { operator, held } of this.cells) {
      if (held !== undefined) states.set(operator.name, held.document);
    }
    const outbox: OutboxEntry[] = [];
    for (const output of this.direct) {
      output.putBack(undefined);
      const change = output.draft();
      if (change === undefined) continue;
      this.#outbox.supersede(change.sink, change.destinationKey);
      outbox.push(this.#settled(change, revision));
    }
    for (const entry of this.#outbox.entries()) outbox.push(this.#settled(entry, revision));
    const item: StateItem = { pk, revision, marks: this.marks, states, versions: this.#versions(), outbox };
    const { firedMs, processingFiredMs } = this;
    const dueMs = this.#indexedMs(outbox);
    const processingDueMs = this.#indexedByClockMs();
    const rejected = this.rejected.list();
    return {
      ...item,
      ...(rejected.length > 0 && { rejected }),
      ...(this.settled !== undefined && { settled: this.settled }),
      ...(this.#letters !== NO_LETTERS && { letters: this.#letters }),
      ...(firedMs !== -Infinity && { firedMs }),
      ...(dueMs !== undefined && { dueMs }),
      ...(processingFiredMs !== -Infinity && { processingFiredMs }),
      ...(processingDueMs !== undefined && { processingDueMs }),
    };
  }

  get #clocked(): Program['clocked'] {
    return this.#key === undefined ? [] : this.#program.clocked;
  }

  /** Operators that wait for event time; a shard's own item has none. */
  get #timed(): Program['timed'] {
    return this.#key === undefined ? [] : this.#program.timed;
  }

  /** What comes next of all that operators wait for by a time; of one moment in the order of the operators. */
  nextTimer(domain: TimeDomain): NextTimer | undefined {
    let next: NextTimer | undefined;
    const isEvent = domain === 'event';
    const firedMs = isEvent ? this.firedMs : this.processingFiredMs;
    for (const { place, cell } of isEvent ? this.#timed : this.#clocked) {
      const { held, operator } = this.cells[cell] as Cell;
      const timers = isEvent ? operator.timers : operator.timers?.processing;
      const dueMs = held && timers?.dueMs(held.document, firedMs);
      if (dueMs !== undefined && (next === undefined || dueMs < next.dueMs))
        next = { place, cell, dueMs, domain };
    }
    return next;
  }

  /** What fires next of all that is due; by event time first, so that it makes no difference who looks. */
  nextDue(reached: ReachedTimes): NextTimer | undefined {
    for (const domain of DOMAINS) {
      const next = this.nextTimer(domain);
      if (next !== undefined && next.dueMs <= reached[domain]) return next;
    }
    return undefined;
  }

  /** A timer has fired: what waits for its time or an earlier one is late. */
  hasFired({ domain, dueMs }: NextTimer): void {
    if (domain === 'event') this.firedMs = Math.max(this.firedMs, dueMs);
    else this.processingFiredMs = Math.max(this.processingFiredMs, dueMs);
  }

  /**
   * When a sweep is to look at the item. A time that is stored stays while nothing is due earlier: it costs write units
   * to change it, and a sweep that comes too early sets it right.
   */
  #indexedMs(outbox: readonly OutboxEntry[]): number | undefined {
    if (this.#program.timed.length === 0) return this.#loaded?.dueMs;
    if (outbox.some(({ lane }) => isTimerLane(lane))) return 0;
    const dueMs = this.nextTimer('event')?.dueMs;
    const stored = this.#loaded?.dueMs;
    if (dueMs === undefined || stored === undefined) return dueMs;
    const isKept = stored > 0 && stored <= dueMs && this.firedMs === this.#loaded?.firedMs;
    return isKept ? stored : dueMs;
  }

  /** The like by the clock; what timers have made and is not published is found by the other index alone. */
  #indexedByClockMs(): number | undefined {
    const stored = this.#loaded?.processingDueMs;
    if (this.#program.clocked.length === 0) return stored;
    const dueMs = this.nextTimer('processing')?.dueMs;
    if (dueMs === undefined || stored === undefined) return dueMs;
    const isKept =
      stored <= dueMs && this.processingFiredMs === (this.#loaded?.processingFiredMs ?? -Infinity);
    return isKept ? stored : dueMs;
  }

  #versions(): ReadonlyMap<string, number> {
    let versions = this.#loaded?.versions ?? NO_VERSIONS;
    for (const { operator, isSeen } of this.cells) {
      const seen = isSeen ? operator.version : undefined;
      if (versions.get(operator.name) === seen) continue;
      const changed = new Map(versions);
      if (seen === undefined) changed.delete(operator.name);
      else changed.set(operator.name, seen);
      versions = changed;
    }
    return versions;
  }

  /** Gives an entry the form that is stored; one that refers to a state refers to what is written beside it. */
  #settled(entry: PendingEntry, revision: number): OutboxEntry {
    if (entry.kind === 'deadLetter') return entry;
    const lost = this.#lostState(entry.value);
    if ('revision' in entry) return lost === undefined ? entry : { ...entry, value: { json: lost } };
    const {
      kind,
      sink,
      destinationKey,
      isChange,
      lane,
      position,
      element,
      index,
      arrivalMs,
      originArrivalMs,
      origin,
    } = entry;
    const value =
      'json' in entry.value
        ? entry.value
        : lost === undefined
          ? { stateOf: entry.value.cell.operator.name }
          : { json: lost };
    // Named one by one: spreading a draft is the slowest step of a key's fold.
    return {
      kind,
      sink,
      destinationKey,
      revision,
      isChange,
      lane,
      position,
      element,
      index,
      arrivalMs,
      originArrivalMs,
      ...(origin !== undefined && { origin }),
      value,
    };
  }

  get #hasRemoval(): boolean {
    return this.cells.some((cell) => cell.wasRemoved);
  }

  /** What the copy of a value takes that is not the operator's state any more. */
  #copyBytes(value: PendingValue | undefined): number {
    const json = value === undefined ? undefined : this.#lostState(value);
    return json === undefined ? 0 : Buffer.byteLength(json);
  }

  /** The JSON text of a state that an output refers to and that is not the operator's state any more. */
  #lostState(value: PendingValue | StateReference): string | undefined {
    if ('json' in value) return undefined;
    if ('cell' in value) {
      return value.cell.held === value.document ? undefined : JSON.stringify(value.document.document);
    }
    const cell = this.cells.find(({ operator }) => operator.name === value.stateOf);
    const isKept = cell === undefined || cell.isUntouched;
    return isKept ? undefined : JSON.stringify(this.#loaded?.states.get(value.stateOf));
  }
}

/** Whether the mark covers the position. */
export function isAtOrBelow(position: MarkPosition, mark: Mark | undefined): boolean {
  return mark !== undefined && compareMarkPositions(position, mark.position) <= 0;
}

/**
 * A pending change that refers to the state of an operator behind which its sink stood in older code, and stands no
 * more, gets a copy of it: no newer change takes its place, and the state goes on.
 */
function withOwnCopy(
  entry: OutboxEntry,
  { operators, directSinks }: Program,
  loaded: StateItem | undefined,
): OutboxEntry {
  if (entry.kind === 'deadLetter' || 'json' in entry.value) return entry;
  const { stateOf } = entry.value;
  if (!operators.some(({ name }) => name === stateOf)) return entry;
  if (directSinks.some((step) => step.sink.name === entry.sink && step.stateOf.operator.name === stateOf)) {
    return entry;
  }
  return { ...entry, value: { json: JSON.stringify(loaded?.states.get(stateOf)) } };
}

function unknownStates(
  operators: readonly StatefulStage[],
  loaded: StateItem | undefined,
): ReadonlyMap<string, Document> {
  if (loaded === undefined) return NO_STATES;
  const known = operators.reduce((count, { name }) => count + Number(loaded.states.has(name)), 0);
  if (known === loaded.states.size) return NO_STATES;
  const names = new Set(operators.map(({ name }) => name));
  return new Map([...loaded.states].filter(([name]) => !names.has(name)));
}

function secondsOf(arrivalMs: number): number {
  return Math.floor(arrivalMs / 1_000);
}

import { comparePositions, type Position } from '../source/position.ts';
import { partitionLane, shardOfLane } from '../source/lane.ts';
import { rejectionOf, type Rejection } from '../source/record-error.ts';
import type { SourceRecord } from '../source/record.ts';
import { ConfigurationError } from '../pipeline/configuration-error.ts';
import type { StatefulStage } from '../pipeline/definition.ts';
import { canonicalDocument } from '../state/canonical-document.ts';
import type { Document } from '../state/document.ts';
import type { DeadLetterEntry, Mark, OutboxEntry, StateItem } from '../state/state-item.ts';
import type { Element } from './elements.ts';
import type { FreshValues } from './fresh-values.ts';
import {
  HORIZON_SLACK_SECONDS,
  ITEM_LIMIT_BYTES,
  ITEM_RESERVE_BYTES,
  MARKS_LIMIT,
  RECORDS_BETWEEN_CLOCK_READS,
  STATE_LIMIT_BYTES,
} from './limits.ts';
import {
  entryBytes,
  isAcknowledged,
  OutboxDraft,
  type EntryDraft,
  type PendingEntry,
  type StateReference,
} from './outbox-draft.ts';
import { destinationKeyOf, outputJson, requirePublishable } from './output-value.ts';
import type { Program, SinkStep } from './program.ts';
import { DirectOutput } from './direct-output.ts';
import { Cell, type SavedCell } from './state-cell.ts';

/** What fold needs to know of the batch. */
export interface FoldScope {
  readonly program: Program;
  readonly shard: string;
  readonly records: readonly SourceRecord[];
  /** By lane: its first position in the batch that Lambda handed in. */
  readonly firsts: ReadonlyMap<string, Position>;
  /** Entries that this invocation has published: as good as acknowledged. */
  readonly published: ReadonlySet<OutboxEntry>;
  /** By shard, where it was read: everything of the shard at or below it is acknowledged (ParallelizationFactor 1). */
  readonly acknowledged: ReadonlyMap<string, Position>;
  /** For values that user code may have changed. */
  readonly fresh: FreshValues;
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
  /** What the states take in the item. */
  readonly stateBytes: number;
  readonly stop?: Stop;
}

/**
 * Folds one key's new records, one after the other: pure, synchronous, and the same however the batch was cut (I10).
 * @param from the first element to fold.
 * @param isFirst whether the elements' values are as decoded: user code may change what it is given, so a second fold
 * decodes again.
 * @param keepGoing asked between records; where it stops makes no difference to what comes of them.
 */
export function foldItem(
  scope: FoldScope,
  work: KeyWork,
  loaded: StateItem | undefined,
  from: number,
  isFirst: boolean,
  keepGoing: () => boolean,
): Fold {
  return (
    new ItemFold(scope, work, loaded, false, !isFirst).run(from, keepGoing) ??
    // Something must be put back: once more from the item as loaded, with guarded cells and values made anew.
    new ItemFold(scope, work, loaded, true, true).run(from, keepGoing) ??
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
  readonly #applied: number[] = [];
  readonly #skipped: number[] = [];
  #deadLetters = 0;
  #draft: ItemDraft | undefined;
  /** Records that ran: applied or rejected. */
  #ran = 0;
  #firstRan: SourceRecord | undefined;
  /** Of the lane whose mark is not in the draft yet. */
  #lastRan: SourceRecord | undefined;
  #canPutBack = false;
  // Of the record that runs:
  #entries: EntryDraft[] = [];
  #entriesBytes = 0;

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
  }

  /** @returns `undefined` where an unguarded run cannot put back what a record did. */
  run(from: number, keepGoing: () => boolean): Fold | undefined {
    const { elements } = this.#work;
    let at = from;
    let stop: Stop | undefined;
    while (at < elements.length) {
      if (this.#ran % RECORDS_BETWEEN_CLOCK_READS === RECORDS_BETWEEN_CLOCK_READS - 1 && !keepGoing()) break;
      const index = (elements[at] as Element).record;
      let end = at + 1;
      while (end < elements.length && elements[end]?.record === index) end++;
      const record = this.#scope.records[index] as SourceRecord;
      if (this.#isCovered(record)) {
        this.#skipped.push(index);
      } else {
        const draft = (this.#draft ??= this.#begin());
        const outcome = this.#foldRecord(draft, record, at, end);
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
    const ranAny = this.#ran > 0 && this.#draft !== undefined;
    return {
      item: ranAny ? this.#item(this.#draft as ItemDraft) : undefined,
      next: at,
      applied: this.#applied,
      skipped: this.#skipped,
      deadLetters: this.#deadLetters,
      stateBytes: ranAny ? stateBytesOf(this.#draft as ItemDraft) : 0,
      ...(stop && { stop }),
    };
  }

  /** I1: a record at or below its lane's mark is in the item already. */
  #isCovered({ lane, position, partitionKey }: SourceRecord): boolean {
    const { shard } = this.#scope;
    const marks = this.#draft?.marks ?? this.#loaded?.marks;
    if (marks === undefined || marks.size === 0) return false;
    // Positions rise in a batch: behind a record of its lane that ran, none is covered; but for a shard's lane the
    // marks of its partition keys may stand higher.
    const isOnly = lane !== shard || marks.size === Number(marks.has(shard));
    if (isOnly && this.#lastRan?.lane === lane) return false;
    if (isAtOrBelow(position, marks.get(shard))) return true;
    if (lane !== shard) return isAtOrBelow(position, marks.get(lane));
    // The mapping's ParallelizationFactor may have been changed to 1: the partition key's own mark still holds.
    if (isOnly) return false;
    return isAtOrBelow(position, marks.get(partitionLane(shard, partitionKey)));
  }

  /** Prepares the draft when the first record runs: a key where none runs costs nothing more. */
  #begin(): ItemDraft {
    const { program, shard, firsts, published, acknowledged } = this.#scope;
    const { operators, directSinks } = program;
    const loaded = this.#loaded;
    const { key } = this.#work;
    const cells =
      key === undefined
        ? []
        : operators.map((operator) => {
            const isSeen = loaded?.versions.has(operator.name) === true;
            return new Cell(operator, key, loaded?.states.get(operator.name), isSeen, this.#isGuarded);
          });
    this.#canPutBack = this.#isGuarded || cells.length === 0;
    const pending = (loaded?.outbox ?? []).filter((entry) => {
      if (isAcknowledged(entry, shard, firsts)) return false;
      const own = acknowledged.get(entry.lane);
      if (own !== undefined && comparePositions(entry.position, own) <= 0) return false;
      return !published.has(entry);
    });
    let newestSeconds = 0;
    for (const { arrivalSeconds } of loaded?.marks.values() ?? []) {
      newestSeconds = Math.max(newestSeconds, arrivalSeconds);
    }
    return {
      marks: new Map(loaded?.marks),
      newestSeconds,
      cells,
      direct:
        key === undefined
          ? []
          : directSinks.map((step) => new DirectOutput(step, key, cells[step.stateOf.cell] as Cell)),
      outbox: new OutboxDraft(pending.map((entry) => withOwnCopy(entry, program, loaded))),
      ...unknownStates(operators, loaded),
    };
  }

  #foldRecord(
    draft: ItemDraft,
    record: SourceRecord,
    at: number,
    end: number,
  ): 'done' | 'again' | 'full' | Stop {
    const { cells, direct, outbox } = draft;
    const index = (this.#work.elements[at] as Element).record;
    if (this.#lastRan?.lane !== record.lane) {
      const tooMany = this.#changeLane(draft, record, index);
      if (tooMany !== undefined) return tooMany;
    }
    if (this.#scope.program.hasInitialState) this.#forgetTombstone(draft, record);
    const saved = this.#isGuarded ? cells.map((cell) => cell.save()) : NOTHING_SAVED;
    const rejection = this.#runRecord(draft, record, at, end);
    if (rejection !== undefined) {
      if (!this.#canPutBack) return 'again';
      putBack(draft, saved);
      if (this.#scope.program.definition.onRecordError === 'stop') {
        const reason = `${rejection.stage}: ${rejection.summary ?? rejection.reason}`;
        return { record: index, kind: 'policy', reason };
      }
      this.#entries = [];
      this.#entriesBytes = 0;
      for (let place = at; place < end; place++) {
        const element = this.#work.elements[place] as Element;
        this.#add(deadLetter(record, element, element.rejection ?? rejection));
      }
    }
    for (const cell of cells) if (cell.lostReference) return 'again';
    if (this.#takenBytes(draft) > roomBeside(stateBytesOf(draft))) {
      if (!this.#canPutBack) return 'again';
      putBack(draft, saved);
      return this.#ran > 0 ? 'full' : { record: index, kind: 'outbox', reason: OUTBOX_IS_FULL };
    }
    for (const output of direct) output.accept();
    if (this.#entries.length > 0) outbox.add(this.#entries);
    if (rejection === undefined) this.#applied.push(index);
    else this.#deadLetters += this.#entries.length;
    draft.newestSeconds = Math.max(draft.newestSeconds, secondsOf(record));
    this.#firstRan ??= record;
    this.#lastRan = record;
    return 'done';
  }

  /**
   * Runs all elements that the record has for this key, or none: one that throws rejects them all.
   * @returns why they are rejected, where they are.
   */
  #runRecord(draft: ItemDraft, record: SourceRecord, at: number, end: number): Rejection | undefined {
    if (this.#entries.length > 0) this.#entries = [];
    this.#entriesBytes = 0;
    for (let place = at; place < end; place++) {
      const element = this.#work.elements[place] as Element;
      const rejection = element.rejection ?? this.#runElement(draft, record, element);
      if (rejection !== undefined) return rejection;
    }
    return this.#requireSizes(draft);
  }

  /** A tombstone is forgotten by the record's time, never by the clock: a replay must see what the first run saw. */
  #forgetTombstone({ newestSeconds, cells, unknown }: ItemDraft, record: SourceRecord): void {
    if (secondsOf(record) < newestSeconds + this.#scope.program.horizonSeconds) return;
    if (unknown.size > 0 || cells.some(({ held }) => held !== undefined)) return;
    for (const cell of cells) cell.forget();
  }

  /** @returns why the element cannot be folded, where it cannot. */
  #runElement(draft: ItemDraft, record: SourceRecord, element: Element): Rejection | undefined {
    try {
      const value = this.#isFresh || element.isShared ? this.#scope.fresh.take(element, this) : element.value;
      this.#runSteps(draft, 0, value, record, element.number);
      return undefined;
    } catch (error) {
      if (error instanceof ConfigurationError) throw error;
      return rejectionOf(error, 'fold');
    }
  }

  #runSteps(draft: ItemDraft, from: number, value: unknown, record: SourceRecord, element: number): void {
    const { steps } = this.#scope.program;
    let current = value;
    for (let at = from; at < steps.length; at++) {
      const step = steps[at] as (typeof steps)[number];
      switch (step.kind) {
        case 'map':
          current = step.apply(current);
          break;
        case 'filter':
          if (!step.apply(current)) return;
          break;
        case 'flatMap':
          for (const each of step.apply(current)) this.#runSteps(draft, at + 1, each, record, element);
          return;
        case 'sink':
          this.#emit(draft, step, current, record, element);
          break;
        case 'operator': {
          const cell = draft.cells[step.cell] as Cell;
          const outputs = step.operator.fold(this.#work.key as string, current, cell);
          const last = outputs.length - 1;
          if (last < 0) return;
          for (let place = 0; place < last; place++)
            this.#runSteps(draft, at + 1, outputs[place], record, element);
          current = outputs[last];
          break;
        }
      }
    }
  }

  #emit(
    { cells, direct }: ItemDraft,
    step: SinkStep,
    value: unknown,
    record: SourceRecord,
    element: number,
  ): void {
    if (step.stateOf !== undefined) {
      const held = (cells[step.stateOf.cell] as Cell).refer();
      if (held === undefined) return;
      requirePublishable(step.sink, held, this.#work.key as string);
      direct[step.direct]?.stage(record, element, held);
      return;
    }
    this.#add({
      kind: 'output',
      sink: step.sink.name,
      destinationKey: destinationKeyOf(step.sink, value, this.#work.key as string),
      isChange: step.isChange,
      value: { json: outputJson(step.sink, value) },
      lane: record.lane,
      position: record.position,
      element,
      index: this.#nextIndex(step, element),
      arrivalMs: record.arrivalMs,
    });
  }

  #add(entry: EntryDraft): void {
    this.#entries.push(entry);
    this.#entriesBytes += entryBytes(entry);
  }

  #nextIndex({ sink }: SinkStep, element: number): number {
    const last = this.#entries.findLast((entry) => entry.kind === 'output' && entry.sink === sink.name);
    return last?.kind === 'output' && last.element === element ? last.index + 1 : 0;
  }

  /** The limits that the records alone decide: on the states, and on the outputs of one record. */
  #requireSizes(draft: ItemDraft): Rejection | undefined {
    const stateBytes = stateBytesOf(draft);
    if (stateBytes > STATE_LIMIT_BYTES) {
      return {
        stage: 'state',
        reason:
          `the key's state would have ${stateBytes} bytes, the limit is ${STATE_LIMIT_BYTES} (a DynamoDB item holds ` +
          `${ITEM_LIMIT_BYTES}, outputs and marks included); keep less under one key, or refine the key`,
      };
    }
    const room = roomBeside(stateBytes);
    let outputBytes = this.#entriesBytes;
    // A record may tell a state and remove it: its output needs a copy then.
    if (hasRemoval(draft)) {
      for (const output of draft.direct) outputBytes += this.#copyBytes(draft.cells, output.staged);
    }
    if (outputBytes <= room) return undefined;
    return {
      stage: 'output',
      reason:
        `the record's outputs have ${outputBytes} bytes; beside a state of ${stateBytes} bytes the item can ` +
        `hold ${room}, and outputs are committed with the state`,
    };
  }

  /** What the outbox would take with the entries of the record that runs. */
  #takenBytes(draft: ItemDraft): number {
    const { outbox, cells, direct } = draft;
    let bytes = outbox.bytes + this.#entriesBytes;
    // A state that an output refers to and that has been removed takes room of its own.
    if (!hasRemoval(draft)) return bytes;
    for (const output of direct) bytes += this.#copyBytes(cells, output.draft()?.value);
    for (const entry of outbox.entries()) {
      if (entry.kind === 'output') bytes += this.#copyBytes(cells, entry.value);
    }
    return bytes;
  }

  /** What the copy of a value takes that is not the operator's state any more. */
  #copyBytes(cells: readonly Cell[], value: PendingValue | undefined): number {
    if (value === undefined || 'json' in value) return 0;
    const json = this.#lostState(cells, value);
    return json === undefined ? 0 : Buffer.byteLength(json);
  }

  /** Sets the mark of the lane that ran so far, and makes sure that there is room for that of the next. */
  #changeLane(draft: ItemDraft, record: SourceRecord, index: number): Stop | undefined {
    const { marks } = draft;
    this.#setMark(draft);
    if (marks.has(record.lane) || marks.size < MARKS_LIMIT) return undefined;
    this.#dropMarks(draft, secondsOf(record));
    if (marks.size < MARKS_LIMIT) return undefined;
    return {
      record: index,
      kind: 'marks',
      reason:
        `its item has marks of ${marks.size} lanes, the limit: the key is fed by too many shards or partition keys. ` +
        'Let the producer use this key, or a part of it, as the partition key.',
    };
  }

  /** With the newest arrival so far: arrivals are not monotonic, and how a batch was cut must not show (I10). */
  #setMark({ marks, newestSeconds }: ItemDraft): void {
    const ran = this.#lastRan;
    if (ran !== undefined) marks.set(ran.lane, { position: ran.position, arrivalSeconds: newestSeconds });
  }

  /**
   * Marks go when their lane can bring nothing any more (I9), or when the mark of the whole shard covers them. What is
   * pending of such a lane goes with it: an output is published with its record in hand, and that does not come again.
   */
  #dropMarks({ marks, outbox }: ItemDraft, nowSeconds: number): void {
    if (marks.size < 2) return;
    const oldest = nowSeconds - this.#scope.program.horizonSeconds - HORIZON_SLACK_SECONDS;
    for (const [lane, mark] of marks) {
      const shard = shardOfLane(lane);
      if (mark.arrivalSeconds < oldest) outbox.dropLane(lane);
      else if (shard === lane || !isAtOrBelow(mark.position, marks.get(shard))) continue;
      marks.delete(lane);
    }
  }

  #item(draft: ItemDraft): StateItem {
    const { marks, cells, direct, outbox, unknown } = draft;
    const loaded = this.#loaded;
    const firstRan = this.#firstRan as SourceRecord;
    this.#setMark(draft);
    this.#dropMarks(draft, secondsOf(firstRan));
    const states = new Map(unknown);
    let versions = loaded?.versions ?? NO_VERSIONS;
    for (const cell of cells) {
      const { name, version } = cell.operator;
      if (cell.held !== undefined) states.set(name, cell.held.document);
      const seen = cell.isSeen ? version : undefined;
      if (versions.get(name) === seen) continue;
      const changed = new Map(versions);
      if (seen === undefined) changed.delete(name);
      else changed.set(name, seen);
      versions = changed;
    }
    // An item that is deleted and made again must neither match an old holder's condition nor begin below what it told
    // its sinks: it starts at a time, and nothing is written a thousand times a second.
    const revision = loaded === undefined ? Math.max(1, Math.floor(firstRan.arrivalMs)) : loaded.revision + 1;
    const entries: OutboxEntry[] = [];
    for (const output of direct) {
      output.discard();
      const change = output.draft();
      if (change === undefined) continue;
      outbox.supersede(change.sink, change.destinationKey);
      entries.push(this.#settled(cells, change, revision));
    }
    for (const entry of outbox.entries()) entries.push(this.#settled(cells, entry, revision));
    return {
      pk: this.#work.pk,
      revision,
      marks,
      states,
      versions,
      outbox: entries,
    };
  }

  /** Gives an entry the form that is stored; one that refers to a state refers to what is written beside it. */
  #settled(cells: readonly Cell[], entry: PendingEntry, revision: number): OutboxEntry {
    if (entry.kind === 'deadLetter') return entry;
    const lost = 'json' in entry.value ? undefined : this.#lostState(cells, entry.value);
    if ('revision' in entry) return lost === undefined ? entry : { ...entry, value: { json: lost } };
    const { value } = entry;
    if ('json' in value) return { ...entry, value, revision };
    return {
      ...entry,
      value: lost === undefined ? { stateOf: value.cell.operator.name } : { json: lost },
      revision,
    };
  }

  /** The JSON text of a state that an output refers to and that is not the operator's state any more. */
  #lostState(cells: readonly Cell[], value: StateReference): string | undefined {
    if ('cell' in value) {
      return value.cell.held === value.document ? undefined : JSON.stringify(value.document.document);
    }
    const cell = cells.find(({ operator }) => operator.name === value.stateOf);
    const isKept = cell === undefined || cell.isUntouched;
    return isKept ? undefined : JSON.stringify(this.#loaded?.states.get(value.stateOf));
  }
}

/** An item while its key is folded. */
interface ItemDraft {
  readonly marks: Map<string, Mark>;
  /** The newest arrival that went into the item, seconds since the epoch. */
  newestSeconds: number;
  readonly cells: readonly Cell[];
  /** By `direct` of their step. */
  readonly direct: readonly DirectOutput[];
  readonly outbox: OutboxDraft;
  /** States of operators that this code does not have: carried along. */
  readonly unknown: ReadonlyMap<string, Document>;
  readonly unknownBytes: number;
}

type PendingValue = Extract<PendingEntry, { kind: 'output' }>['value'];

function hasRemoval({ cells }: ItemDraft): boolean {
  return cells.some((cell) => cell.wasRemoved);
}

const NOTHING_SAVED: readonly SavedCell[] = [];

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

function putBack({ cells, direct }: ItemDraft, saved: readonly SavedCell[]): void {
  for (const [place, cell] of saved.entries()) cells[place]?.putBack(cell);
  for (const output of direct) output.discard();
}

const NO_VERSIONS: ReadonlyMap<string, number> = new Map();
const NO_STATES: ReadonlyMap<string, Document> = new Map();

function unknownStates(
  operators: readonly StatefulStage[],
  loaded: StateItem | undefined,
): Pick<ItemDraft, 'unknown' | 'unknownBytes'> {
  const known = operators.reduce((count, { name }) => count + Number(loaded?.states.has(name) === true), 0);
  if (loaded === undefined || known === loaded.states.size) return { unknown: NO_STATES, unknownBytes: 0 };
  const names = new Set(operators.map(({ name }) => name));
  const unknown = new Map([...loaded.states].filter(([name]) => !names.has(name)));
  let unknownBytes = 0;
  for (const state of unknown.values()) unknownBytes += canonicalDocument(state).bytes;
  return { unknown, unknownBytes };
}

function stateBytesOf({ cells, unknownBytes }: ItemDraft): number {
  let bytes = unknownBytes;
  for (const cell of cells) bytes += cell.bytes;
  return bytes;
}

/** What an item has left for its outbox. Each sink's newest change of a state itself is in the reserve. */
function roomBeside(stateBytes: number): number {
  return ITEM_LIMIT_BYTES - ITEM_RESERVE_BYTES - stateBytes;
}

function secondsOf({ arrivalMs }: SourceRecord): number {
  return Math.floor(arrivalMs / 1_000);
}

/** Other shards publish their entries first; with ParallelizationFactor 1 their progress shows when they have. */
const OUTBOX_IS_FULL =
  'its outputs wait for room in the item, which is full of outputs of other lanes that are not published yet';

function deadLetter(record: SourceRecord, element: Element, { stage, reason }: Rejection): DeadLetterEntry {
  const { lane, position } = record;
  return { kind: 'deadLetter', lane, position, element: element.number, stage, reason };
}

function isAtOrBelow(position: Position, mark: Mark | undefined): boolean {
  return mark !== undefined && comparePositions(position, mark.position) <= 0;
}

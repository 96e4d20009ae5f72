import { comparePositions, compareSequences, type Position } from '../source/position.ts';
import { standingOf } from '../output/output-id.ts';
import { isTimerLane, shardOfLane } from '../source/lane.ts';
import { without } from '../state/without.ts';
import type { CanonicalDocument } from '../state/canonical-document.ts';
import type { DeadLetterEntry, OutboxEntry, OutputEntry } from '../state/state-item.ts';
import { isOffStream, isRedriveLane } from './redrive-lane.ts';
import { elementsBytes } from './rejected-records.ts';
import type { Cell } from './state-cell.ts';

/** An output's value that is a state: what a cell held when it was made, or what the loaded item holds. */
export type StateReference =
  { readonly cell: Cell; readonly document: CanonicalDocument } | { readonly stateOf: string };

/** An output as fold makes it. */
export interface OutputDraft extends Omit<OutputEntry, 'value' | 'revision'> {
  readonly value: { readonly json: string } | Extract<StateReference, { cell: Cell }>;
}
/** What makes an output: an element of a record, or a timer. */
export type Maker = Pick<
  OutputEntry,
  'lane' | 'position' | 'element' | 'arrivalMs' | 'originArrivalMs' | 'origin'
>;
export type EntryDraft = OutputDraft | DeadLetterEntry;
/** An entry of the loaded item, or one that a record of this batch made. */
export type PendingEntry = OutboxEntry | EntryDraft;

/** Attribute names, numbers and flags of one entry, an upper bound in bytes. */
const ENTRY_OVERHEAD_BYTES = 64;
const ENCODED_POSITION_BYTES = 40;
/** Lane and position where a redriven record once stood, or of a timer. */
const ORIGIN_BYTES = 100;

/** What an entry takes in the item, an upper bound in bytes. A value that is the state itself takes none. */
export function entryBytes(entry: PendingEntry): number {
  const origin = entry.origin !== undefined || isRedriveLane(entry.lane) ? ORIGIN_BYTES : 0;
  const fixed = ENTRY_OVERHEAD_BYTES + ENCODED_POSITION_BYTES + entry.lane.length + origin;
  if (entry.kind === 'deadLetter') {
    return fixed + Buffer.byteLength(entry.reason) + elementsBytes(entry.except ?? []);
  }
  const value = 'json' in entry.value ? Buffer.byteLength(entry.value.json) : 0;
  return fixed + entry.sink.length + Buffer.byteLength(entry.destinationKey) + value;
}

/**
 * Whether handing in a batch proves that this entry was acknowledged, and so published: it lies below the first
 * position of its lane in the batch that Lambda handed in. With ParallelizationFactor 1 the shard is one lane, which
 * holds also for entries of a time when it was above 1. Nothing else proves it.
 */
export function isAcknowledged(
  entry: OutboxEntry,
  shard: string,
  firsts: ReadonlyMap<string, Position>,
): boolean {
  const first = firsts.get(entry.lane) ?? (shardOfLane(entry.lane) === shard ? firsts.get(shard) : undefined);
  return first !== undefined && comparePositions(entry.position, first) < 0;
}

/** The outbox of one item while its key is folded: what is pending, and what the records add. */
export class OutboxDraft {
  #others: PendingEntry[] = [];
  #changes: Map<string, PendingEntry[]> | undefined;
  #bytes = 0;

  /** @param pending entries of the loaded item that are neither acknowledged nor published in this invocation. */
  constructor(pending: readonly OutboxEntry[]) {
    for (const entry of pending) this.#put(entry);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Adds one record's entries. A change supersedes those of earlier elements for the same sink and destination key,
   * of whatever lane: only a key's newest value counts, and this one is committed with the state that it tells.
   */
  add(entries: readonly PendingEntry[]): void {
    for (const entry of entries) this.#put(entry);
  }

  /**
   * What timers made and others were to publish goes to whoever publishes what a later timer makes: a consumer that has
   * seen that one takes the earlier ones for seen.
   */
  carry({ lane, position, element }: Pick<PendingEntry, 'lane' | 'position' | 'element'>): void {
    const entries = this.entries();
    const isLeft = (entry: PendingEntry): entry is Extract<PendingEntry, { kind: 'output' }> =>
      entry.kind === 'output' && entry.lane !== lane && isTimerLane(standingOf(entry).lane);
    if (!entries.some(isLeft)) return;
    this.#replace(
      entries.map((entry): PendingEntry => {
        if (!isLeft(entry)) return entry;
        const { lane: own, position: due } = standingOf(entry);
        const rest = without(entry, 'origin');
        if (isTimerLane(lane)) return { ...rest, lane: own, position: due, element: 0 } as PendingEntry;
        return { ...rest, lane, position, element, origin: { lane: own, position: due } } as PendingEntry;
      }),
    );
  }

  /** Drops everything of one lane. */
  dropLane(lane: string): void {
    this.#keep((entry) => entry.lane !== lane);
  }

  /**
   * Drops what records made that arrived before this moment, milliseconds since the epoch. What a redrive made stays: it
   * is published without its record, whenever the redrive goes on.
   */
  dropBefore(oldestMs: number): void {
    this.#keep(({ lane, arrivalMs = oldestMs }) => arrivalMs >= oldestMs || isOffStream(lane));
  }

  #keep(isKept: (entry: PendingEntry) => boolean): void {
    const entries = this.entries();
    const kept = entries.filter(isKept);
    if (kept.length < entries.length) this.#replace(kept);
  }

  #replace(entries: readonly PendingEntry[]): void {
    this.#others = [];
    this.#changes = undefined;
    this.#bytes = 0;
    this.add(entries);
  }

  /** Drops the pending changes for this sink and destination key: a newer one takes their place. */
  supersede(sink: string, destinationKey: string): void {
    if (this.#changes === undefined) return;
    const target = targetOf(sink, destinationKey);
    for (const superseded of this.#changes.get(target) ?? []) this.#bytes -= entryBytes(superseded);
    this.#changes.delete(target);
  }

  entries(): PendingEntry[] {
    const entries = [...this.#others];
    for (const changes of this.#changes?.values() ?? []) entries.push(...changes);
    return entries;
  }

  #put(entry: PendingEntry): void {
    this.#bytes += entryBytes(entry);
    if (entry.kind === 'deadLetter' || !entry.isChange) {
      this.#others.push(entry);
      return;
    }
    const target = targetOf(entry.sink, entry.destinationKey);
    const changes = (this.#changes ??= new Map<string, PendingEntry[]>());
    const earlier = changes.get(target);
    if (earlier === undefined) {
      changes.set(target, [entry]);
    } else if (isSameElement(earlier[0] as PendingEntry, entry)) {
      earlier.push(entry);
    } else {
      for (const superseded of earlier) this.#bytes -= entryBytes(superseded);
      changes.set(target, [entry]);
    }
  }
}

function targetOf(sink: string, destinationKey: string): string {
  return `${sink} ${destinationKey}`;
}

function isSameOrigin({ origin: a }: PendingEntry, { origin: b }: PendingEntry): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.lane === b.lane && comparePositions(a.position, b.position) === 0;
}

function isSameElement(a: PendingEntry, b: PendingEntry): boolean {
  return (
    a.lane === b.lane &&
    a.element === b.element &&
    isSameOrigin(a, b) &&
    a.position.sub === b.position.sub &&
    compareSequences(a.position.sequence, b.position.sequence) === 0
  );
}

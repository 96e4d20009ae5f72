import { compareMarkPositions, encodeMarkPosition, type MarkPosition } from '../source/position.ts';
import type { Rejection } from '../source/record-error.ts';
import { rangesOf } from '../state/number-ranges.ts';
import type { DeadLetterStage, RejectedRecord, StateItem } from '../state/state-item.ts';

/**
 * Whether a letter without a key is for one element of its record: the others have keys, or letters of their own. Else
 * it is for the whole record.
 */
export function isOfOneElement(stage: DeadLetterStage): boolean {
  return stage === 'key' || stage === 'output';
}

/** What is asked for: an element of a record, and why it is rejected where it is. */
export interface AskedElement {
  readonly number: number;
  readonly rejection: Rejection | undefined;
}

/** Whether an element without a key stands for its whole record. */
export function isWhole({ rejection }: Pick<AskedElement, 'rejection'>): boolean {
  return rejection !== undefined && !isOfOneElement(rejection.stage);
}

/** Whether a shard's own item says that all of its lane up to there has its fate. */
export function isSettled(item: StateItem | undefined, position: MarkPosition): boolean {
  return item?.settled !== undefined && compareMarkPositions(position, item.settled) <= 0;
}

/** An element's number and what separates it. */
const ELEMENT_BYTES = 7;

/** What elements take as ranges, an upper bound. */
export function elementsBytes(elements: readonly number[]): number {
  let numbers = 0;
  for (const { from, below } of rangesOf(elements)) numbers += below === from + 1 ? 1 : 2;
  return ELEMENT_BYTES * numbers;
}

/** Records that have letters without a key: what a shard's own item tells of those of its lane, or names of letters. */
export class RejectedRecords {
  readonly #records = new Map<string, RejectedRecord>();
  #bytes = 0;

  constructor(records: readonly RejectedRecord[] = []) {
    for (const record of records) this.#set(encodeMarkPosition(record.position), record);
  }

  /** What they take in the item, an upper bound. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the element has its letter. One that stands for its whole record has none by letters of some elements. */
  has(position: MarkPosition, element: AskedElement): boolean {
    const record = this.#get(position);
    if (record === undefined) return false;
    return record.elements === undefined || (!isWhole(element) && record.elements.includes(element.number));
  }

  /** The elements that have letters of their own. */
  elementsOf(position: MarkPosition): readonly number[] {
    return this.#get(position)?.elements ?? [];
  }

  /** @param elements all of them where not given. */
  add(position: MarkPosition, elements: readonly number[] | undefined): void {
    const name = encodeMarkPosition(position);
    const before = this.#records.get(name);
    const known = before === undefined ? [] : before.elements;
    const all = known && elements && joined(known, elements);
    this.#set(name, { position, ...(all !== undefined && { elements: all }) });
  }

  /** Forgets those below a position. @returns the highest of them. */
  forgetBelow(position: MarkPosition): MarkPosition | undefined {
    let highest: MarkPosition | undefined;
    for (const [name, { position: own }] of this.#records) {
      if (compareMarkPositions(own, position) >= 0) continue;
      this.#delete(name);
      if (highest === undefined || compareMarkPositions(own, highest) > 0) highest = own;
    }
    return highest;
  }

  list(): RejectedRecord[] {
    return [...this.#records.values()];
  }

  #get(position: MarkPosition): RejectedRecord | undefined {
    // To encode a position is slow, and most items list nothing.
    return this.#records.size === 0 ? undefined : this.#records.get(encodeMarkPosition(position));
  }

  #set(name: string, record: RejectedRecord): void {
    this.#delete(name);
    this.#records.set(name, record);
    this.#bytes += bytesOf(name, record);
  }

  #delete(name: string): void {
    const record = this.#records.get(name);
    if (record === undefined) return;
    this.#records.delete(name);
    this.#bytes -= bytesOf(name, record);
  }
}

/** Both, ascending, each once. */
export function joined(known: readonly number[], more: readonly number[]): readonly number[] {
  // A record may have thousands, which come in their order.
  if ((known.at(-1) ?? -1) < (more[0] ?? 0)) return [...known, ...more];
  return [...new Set([...known, ...more])].sort((a, b) => a - b);
}

function bytesOf(name: string, { elements = [] }: RejectedRecord): number {
  return name.length + ELEMENT_BYTES + elementsBytes(elements);
}

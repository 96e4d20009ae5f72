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

/** A record's elements that have letters of their own; with `undefined` all of them. */
interface Listed {
  readonly position: MarkPosition;
  readonly elements: ElementSet | undefined;
}

/** Records that have letters without a key: what a shard's own item tells of those of its lane, or names of letters. */
export class RejectedRecords {
  readonly #records = new Map<string, Listed>();
  /** Without those of elements. */
  #nameBytes = 0;

  constructor(records: readonly RejectedRecord[] = []) {
    for (const { position, elements } of records) this.add(position, elements);
  }

  /** What they take in the item, an upper bound. */
  get bytes(): number {
    let bytes = this.#nameBytes;
    for (const { elements } of this.#records.values()) bytes += ELEMENT_BYTES + (elements?.bytes ?? 0);
    return bytes;
  }

  /** Whether the element has its letter. One that stands for its whole record has none by letters of some elements. */
  has(position: MarkPosition, element: AskedElement): boolean {
    const record = this.#get(position);
    if (record === undefined) return false;
    return record.elements === undefined || (!isWhole(element) && record.elements.has(element.number));
  }

  /** The elements that have letters of their own, ascending. */
  elementsOf(position: MarkPosition): readonly number[] {
    return this.#get(position)?.elements?.list() ?? [];
  }

  /** @param elements all of them where not given. */
  add(position: MarkPosition, elements: readonly number[] | undefined): void {
    const name = encodeMarkPosition(position);
    const known = this.#records.get(name);
    if (known === undefined) this.#nameBytes += name.length;
    if (elements === undefined) this.#records.set(name, { position, elements });
    else if (known === undefined) this.#records.set(name, { position, elements: new ElementSet(elements) });
    else for (const element of elements) known.elements?.add(element);
  }

  /** Forgets those below a position. @returns the highest of them. */
  forgetBelow(position: MarkPosition): MarkPosition | undefined {
    let highest: MarkPosition | undefined;
    for (const [name, { position: own }] of this.#records) {
      if (compareMarkPositions(own, position) >= 0) continue;
      this.#records.delete(name);
      this.#nameBytes -= name.length;
      if (highest === undefined || compareMarkPositions(own, highest) > 0) highest = own;
    }
    return highest;
  }

  list(): RejectedRecord[] {
    return [...this.#records.values()].map(({ position, elements }) => ({
      position,
      ...(elements !== undefined && { elements: elements.list() }),
    }));
  }

  #get(position: MarkPosition): Listed | undefined {
    // To encode a position is slow, and most items list nothing.
    return this.#records.size === 0 ? undefined : this.#records.get(encodeMarkPosition(position));
  }
}

/** Numbers of elements that tells what it takes as ranges: a record may have thousands, added one by one. */
class ElementSet {
  readonly #numbers = new Set<number>();
  #ranges = 0;
  /** Of the ranges: those of one number. */
  #singles = 0;

  constructor(numbers: readonly number[]) {
    for (const number of numbers) this.add(number);
  }

  /** See `elementsBytes`. */
  get bytes(): number {
    return ELEMENT_BYTES * (2 * this.#ranges - this.#singles);
  }

  has(number: number): boolean {
    return this.#numbers.has(number);
  }

  add(number: number): void {
    if (this.#numbers.has(number)) return;
    const [isBehind, isBefore] = [this.has(number - 1), this.has(number + 1)];
    this.#numbers.add(number);
    this.#ranges += 1 - Number(isBehind) - Number(isBefore);
    if (!isBehind && !isBefore) this.#singles += 1;
    if (isBehind && !this.has(number - 2)) this.#singles -= 1;
    if (isBefore && !this.has(number + 2)) this.#singles -= 1;
  }

  list(): readonly number[] {
    return [...this.#numbers].sort((a, b) => a - b);
  }
}

/** Both, ascending, each once. */
export function joined(known: readonly number[], more: readonly number[]): readonly number[] {
  // A record may have thousands, which come in their order.
  if ((known.at(-1) ?? -1) < (more[0] ?? 0)) return [...known, ...more];
  return [...new Set([...known, ...more])].sort((a, b) => a - b);
}

import { compareMarkPositions, encodeMarkPosition, type MarkPosition } from '../source/position.ts';
import type { DeadLetterStage, RejectedRecord } from '../state/state-item.ts';

/**
 * Whether a letter without a key is for one element of its record: the others have keys, or letters of their own. Else
 * it is for the whole record.
 */
export function isOfOneElement(stage: DeadLetterStage): boolean {
  return stage === 'key' || stage === 'output';
}

/** A number and what separates it. */
const ELEMENT_BYTES = 6;

/** What a shard's own item tells of the records of its lane. */
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

  has(position: MarkPosition, element: number): boolean {
    // To encode a position is slow, and most items list nothing.
    if (this.#records.size === 0) return false;
    const record = this.#records.get(encodeMarkPosition(position));
    return record !== undefined && (record.elements === undefined || record.elements.includes(element));
  }

  /** @param elements all of them where not given. */
  add(position: MarkPosition, elements: readonly number[] | undefined): void {
    const name = encodeMarkPosition(position);
    const before = this.#records.get(name);
    const known = before === undefined ? [] : before.elements;
    const all = known && elements && [...new Set([...known, ...elements])].sort((a, b) => a - b);
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

function bytesOf(name: string, { elements = [] }: RejectedRecord): number {
  return name.length + ELEMENT_BYTES * (elements.length + 1);
}

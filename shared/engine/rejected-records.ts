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

  constructor(records: readonly RejectedRecord[] = []) {
    for (const record of records) this.#records.set(encodeMarkPosition(record.position), record);
  }

  /** What they take in the item, an upper bound. */
  get bytes(): number {
    let bytes = 0;
    for (const [name, { elements = [] }] of this.#records) {
      bytes += name.length + ELEMENT_BYTES * (elements.length + 1);
    }
    return bytes;
  }

  has(position: MarkPosition, element: number): boolean {
    const record = this.#records.get(encodeMarkPosition(position));
    return record !== undefined && (record.elements === undefined || record.elements.includes(element));
  }

  /** @param elements all of them where not given. */
  add(position: MarkPosition, elements: readonly number[] | undefined): void {
    const name = encodeMarkPosition(position);
    const before = this.#records.get(name);
    const known = before === undefined ? [] : before.elements;
    const all = known && elements && [...new Set([...known, ...elements])].sort((a, b) => a - b);
    this.#records.set(name, { position, ...(all !== undefined && { elements: all }) });
  }

  /** Forgets those below a position. @returns the highest of them. */
  forgetBelow(position: MarkPosition): MarkPosition | undefined {
    let highest: MarkPosition | undefined;
    for (const [name, { position: own }] of this.#records) {
      if (compareMarkPositions(own, position) >= 0) continue;
      this.#records.delete(name);
      if (highest === undefined || compareMarkPositions(own, highest) > 0) highest = own;
    }
    return highest;
  }

  list(): RejectedRecord[] {
    return [...this.#records.values()];
  }
}

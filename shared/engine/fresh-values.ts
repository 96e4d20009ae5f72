import type { SourceRecord } from '../source/record.ts';
import { decodedValues, keyOf, type Element } from './elements.ts';
import type { Program } from './program.ts';
import { haveSharedObjects } from './shared-objects.ts';

interface Decoded {
  readonly values: readonly unknown[];
  /** Places of `values` that were handed out. */
  readonly taken: Set<number>;
  /** Who took values that have objects in common: nobody else may have the others. */
  readonly owner: object | undefined;
}

/**
 * Values made anew from their records' bytes, so that nothing is in them that user code did in an earlier fold: the
 * same as the first time, with what `keyBy` does to them. A record of many elements is not decoded for each of them.
 */
export class FreshValues {
  readonly #program: Program;
  readonly #records: readonly SourceRecord[];
  readonly #decoded = new Map<number, Decoded>();

  constructor(program: Program, records: readonly SourceRecord[]) {
    this.#program = program;
    this.#records = records;
  }

  /**
   * @param owner one run over one key: elements of a record may have objects in common, which only it may then change.
   * @throws what user code throws.
   */
  take({ record, number }: Element, owner: object): unknown {
    let decoded = this.#decoded.get(record);
    const isOthers = decoded?.owner !== undefined && decoded.owner !== owner;
    if (decoded === undefined || isOthers || decoded.taken.has(number)) decoded = this.#decode(record, owner);
    decoded.taken.add(number);
    return decoded.values[number];
  }

  #decode(record: number, owner: object): Decoded {
    const values = decodedValues(this.#program, this.#records[record] as SourceRecord);
    for (const value of values) keyOf(this.#program, value);
    const isShared = values.length > 1 && haveSharedObjects(values);
    const decoded = { values, taken: new Set<number>(), owner: isShared ? owner : undefined };
    if (values.length > 1) this.#decoded.set(record, decoded);
    return decoded;
  }
}

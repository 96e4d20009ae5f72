/** One difference between a pipeline and its fork. A side that lacks it has no value. */
export interface Finding {
  readonly kind: 'differing' | 'onlyOld' | 'onlyNew';
  readonly key: string;
  /** Of an output: its id from the shard on, which both have in common. */
  readonly id?: string;
  readonly old?: string;
  readonly new?: string;
}

/** Counts what is equal and what is not, and keeps the first differences in the order of keys. */
export class Tally {
  readonly #limit: number;
  #first: Finding[] = [];
  equal = 0;
  differing = 0;
  onlyOld = 0;
  onlyNew = 0;
  /** In one alone, since the other had published a newer value of the key at once. */
  superseded = 0;
  /** What nobody can tell yet. */
  open = 0;

  /** @param limit differences that are kept. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get differences(): number {
    return this.differing + this.onlyOld + this.onlyNew;
  }

  get first(): readonly Finding[] {
    return this.#first.toSorted(inOrder).slice(0, this.#limit);
  }

  find(finding: Finding): void {
    this[finding.kind] += 1;
    this.#first.push(finding);
    if (this.#first.length > 2 * this.#limit) this.#first = [...this.first];
  }

  /** Two values of one thing, of which at least one is there. */
  compare(key: string, old: string | undefined, now: string | undefined, id?: string): void {
    if (old === now) {
      this.equal += 1;
      return;
    }
    this.find({
      kind: old === undefined ? 'onlyNew' : now === undefined ? 'onlyOld' : 'differing',
      key,
      ...(id !== undefined && { id }),
      ...(old !== undefined && { old }),
      ...(now !== undefined && { new: now }),
    });
  }
}

function inOrder(a: Finding, b: Finding): number {
  return compareTexts(a.key, b.key) || compareTexts(a.id ?? '', b.id ?? '');
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

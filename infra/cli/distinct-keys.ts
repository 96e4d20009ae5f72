/** Keys beyond which nobody counts: they would fill the memory for a number on a screen. */
const MOST_COUNTED = 100_000;

/** Counts different partition keys for the progress display. */
export class DistinctKeys {
  readonly #keys = new Set<string>();

  add(key: string): void {
    if (this.#keys.size < MOST_COUNTED) this.#keys.add(key);
  }

  toString(): string {
    const count = this.#keys.size.toLocaleString('en-US');
    return this.#keys.size < MOST_COUNTED ? count : `${count}+`;
  }
}

import type { DeadLetter, DeadLetterStore, ListedLetter } from './dead-letter-store.ts';

/** A DeadLetterStore without a bucket: deterministic, and each call a single step. */
export class MemoryDeadLetterStore implements DeadLetterStore {
  readonly letters: Map<string, DeadLetter>;
  readonly #storedMs = new Map<string, number>();
  readonly #nowMs: () => number;
  readonly #pageSize: number;

  /** @param letters where they are kept, for tests that look there. */
  constructor(nowMs: () => number, letters = new Map<string, DeadLetter>(), pageSize = 1_000) {
    this.#nowMs = nowMs;
    this.letters = letters;
    this.#pageSize = pageSize;
  }

  async put(name: string, letter: DeadLetter): Promise<void> {
    this.letters.set(name, structuredClone(letter));
    this.#storedMs.set(name, this.#nowMs());
  }

  async get(name: string): Promise<DeadLetter | undefined> {
    return structuredClone(this.letters.get(name));
  }

  async remove(name: string): Promise<void> {
    this.letters.delete(name);
    this.#storedMs.delete(name);
  }

  async *list(prefix: string): AsyncGenerator<readonly ListedLetter[]> {
    for (let after = ''; ;) {
      const names = [...this.letters.keys()]
        .filter((name) => name.startsWith(prefix) && name > after)
        .sort()
        .slice(0, this.#pageSize);
      const last = names.at(-1);
      if (last === undefined) return;
      yield names.map((name) => ({ name, storedMs: this.#storedMs.get(name) ?? 0 }));
      after = last;
    }
  }
}

import path from 'node:path';
import { keepJson, keptJson } from '../local/kept-json.ts';
import type { Input } from './input.ts';

interface Sent {
  readonly lines: number;
  /** Size of the file at that time; absent for built-in data. */
  readonly sizeBytes?: number;
}

/** Remembers, in the folder of a kept run, how many lines of each input were sent. */
export class SentLines {
  readonly #file: string;
  readonly #byInput: Map<string, Sent>;

  constructor(persistDirectory: string) {
    this.#file = path.join(persistDirectory, 'sent-lines.json');
    this.#byInput = new Map(Object.entries((keptJson(this.#file) ?? {}) as Record<string, Sent>));
  }

  /** Lines at the beginning of the input that are not to be sent again; a file that has shrunk is another file. */
  toSkip({ id, sizeBytes }: Input): number {
    const sent = id === undefined ? undefined : this.#byInput.get(id);
    if (sent === undefined) return 0;
    return sizeBytes !== undefined && sizeBytes < (sent.sizeBytes ?? 0) ? 0 : sent.lines;
  }

  keep({ id, sizeBytes }: Input, lines: number): void {
    if (id === undefined) return;
    this.#byInput.set(id, { lines, ...(sizeBytes !== undefined && { sizeBytes }) });
    keepJson(this.#file, Object.fromEntries(this.#byInput));
  }
}

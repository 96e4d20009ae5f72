import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { placeOf } from './output-place.ts';
import type { PublishedOutput } from './match-outputs.ts';

/** All outputs of a destination key are in one bucket; one is in memory at a time. */
const BUCKETS = 256;
/** Characters that a bucket holds before they are written. */
const BUFFERED_CHARACTERS = 65_536;

/** Outputs of both pipelines for one sink, sorted into files by their destination keys: memory does not grow with them. */
export class OutputBuckets {
  readonly #folder = mkdtempSync(path.join(os.tmpdir(), 'tidemark-compare-'));
  readonly #buffers = Array.from({ length: BUCKETS }, () => '');
  /** Read from the sinks, those that were published again each time. */
  readonly counts = { old: 0, new: 0 };

  /** @param id the whole of it. */
  add(side: 'old' | 'new', id: string, { key, value, arrivalMs }: Omit<PublishedOutput, 'place'>): void {
    const bucket = createHash('sha256').update(key).digest()[0] as number;
    const text = `${this.#buffers[bucket]}${JSON.stringify([side, id, key, value, arrivalMs])}\n`;
    this.counts[side] += 1;
    if (text.length < BUFFERED_CHARACTERS) this.#buffers[bucket] = text;
    else {
      appendFileSync(this.#file(bucket), text);
      this.#buffers[bucket] = '';
    }
  }

  /** Bucket by bucket, of each pipeline in the order in which they were added. */
  *all(pipelines: {
    readonly old: string;
    readonly new: string;
  }): Generator<{ readonly old: PublishedOutput[]; readonly new: PublishedOutput[] }> {
    for (const [bucket, buffered] of this.#buffers.entries()) {
      const file = this.#file(bucket);
      const text = (existsSync(file) ? readFileSync(file, 'utf8') : '') + buffered;
      if (text === '') continue;
      const outputs = { old: [] as PublishedOutput[], new: [] as PublishedOutput[] };
      for (const line of text.trimEnd().split('\n')) {
        const [side, id, key, value, arrivalMs] = JSON.parse(line) as [
          'old' | 'new',
          string,
          string,
          string,
          number,
        ];
        const place = placeOf(pipelines[side], id);
        if (place !== undefined) outputs[side].push({ place, key, value, arrivalMs });
      }
      yield outputs;
    }
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #file(bucket: number): string {
    return path.join(this.#folder, String(bucket));
  }
}

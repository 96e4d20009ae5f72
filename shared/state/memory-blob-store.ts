import type { BlobPage, BlobStore } from './blob-store.ts';

/** A BlobStore without a service: deterministic, and each call a single step. */
export class MemoryBlobStore implements BlobStore {
  readonly #blobs = new Map<string, { readonly bytes: Uint8Array; readonly modifiedMs: number }>();
  readonly #nowMs: () => number;
  readonly #pageSize: number;

  /** @param nowMs what tells when an object was written. */
  constructor(nowMs: () => number = () => 0, pageSize = 1_000) {
    this.#nowMs = nowMs;
    this.#pageSize = pageSize;
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    this.#blobs.set(name, { bytes: new Uint8Array(bytes), modifiedMs: this.#nowMs() });
  }

  async get(name: string, firstBytes?: number): Promise<Uint8Array | undefined> {
    return this.#blobs.get(name)?.bytes.slice(0, firstBytes);
  }

  async remove(name: string): Promise<void> {
    this.#blobs.delete(name);
  }

  async list(after: string): Promise<BlobPage> {
    const rest = this.names().filter((name) => compareBytes(name, after) > 0);
    const blobs = rest
      .slice(0, this.#pageSize)
      .map((name) => ({ name, modifiedMs: this.#blobs.get(name)?.modifiedMs ?? 0 }));
    return { blobs, isLast: rest.length <= this.#pageSize };
  }

  /** Every name, in order: for tests and checkers. */
  names(): string[] {
    return [...this.#blobs.keys()].sort(compareBytes);
  }

  /** An object's bytes at once: for tests and checkers. */
  bytes(name: string): Uint8Array | undefined {
    return this.#blobs.get(name)?.bytes;
  }
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

import {
  HOLD_NAME,
  MANIFEST_NAME,
  REMOVED_NAME,
  WORK_NAME,
  type CheckpointStore,
  type KeptWork,
} from './checkpoint-store.ts';
import type { Manifest } from './manifest.ts';
import { manifestText, readManifest } from './manifest-text.ts';

/** A CheckpointStore without a service: deterministic, and each call a single step. */
export class MemoryCheckpointStore implements CheckpointStore {
  /** By id and name: what a test may look at, or spoil. */
  readonly objects = new Map<string, Uint8Array>();
  readonly #versions = new Map<string, number>();

  async putPart(id: string, name: string, packed: Uint8Array): Promise<void> {
    this.objects.set(`${id}/${name}`, new Uint8Array(packed));
  }

  async getPart(id: string, name: string): Promise<Uint8Array | undefined> {
    return this.objects.get(`${id}/${name}`)?.slice();
  }

  async putManifest(manifest: Manifest): Promise<'stored' | 'exists'> {
    const name = `${manifest.id}/${MANIFEST_NAME}`;
    if (this.objects.has(name)) return 'exists';
    this.objects.set(name, Buffer.from(manifestText(manifest)));
    return 'stored';
  }

  async getManifest(id: string): Promise<Manifest | undefined> {
    const text = this.#text(`${id}/${MANIFEST_NAME}`);
    return text === undefined ? undefined : readManifest(id, text);
  }

  async putWork(id: string, text: string, before: string | undefined): Promise<string | undefined> {
    const name = `${id}/${WORK_NAME}`;
    const current = this.objects.has(name) ? String(this.#versions.get(name)) : undefined;
    if (current !== before) return undefined;
    const version = (this.#versions.get(name) ?? 0) + 1;
    this.#versions.set(name, version);
    this.objects.set(name, Buffer.from(text));
    return String(version);
  }

  async getWork(id: string): Promise<KeptWork | undefined> {
    const name = `${id}/${WORK_NAME}`;
    const text = this.#text(name);
    return text === undefined ? undefined : { text, version: String(this.#versions.get(name)) };
  }

  async removeWork(id: string): Promise<void> {
    this.objects.delete(`${id}/${WORK_NAME}`);
  }

  async putHold(id: string, untilMs: number): Promise<void> {
    this.objects.set(`${id}/${HOLD_NAME}`, Buffer.from(String(untilMs)));
  }

  async getHold(id: string): Promise<number | undefined> {
    const text = this.#text(`${id}/${HOLD_NAME}`);
    return text === undefined ? undefined : Number(text);
  }

  async folders(): Promise<string[]> {
    return [...new Set([...this.objects.keys()].map((name) => name.slice(0, name.indexOf('/'))))].sort();
  }

  async hasManifest(id: string): Promise<boolean> {
    return this.objects.has(`${id}/${MANIFEST_NAME}`);
  }

  async hide(id: string): Promise<void> {
    if (!(await this.hasManifest(id))) return;
    this.objects.set(`${id}/${REMOVED_NAME}`, Buffer.from('{}'));
    this.objects.delete(`${id}/${MANIFEST_NAME}`);
  }

  async isHidden(id: string): Promise<boolean> {
    return this.objects.has(`${id}/${REMOVED_NAME}`);
  }

  async remove(id: string): Promise<void> {
    for (const name of [...this.objects.keys()]) if (name.startsWith(`${id}/`)) this.objects.delete(name);
  }

  #text(name: string): string | undefined {
    const bytes = this.objects.get(name);
    return bytes && Buffer.from(bytes).toString();
  }
}

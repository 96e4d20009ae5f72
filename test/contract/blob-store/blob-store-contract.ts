import { expect, it } from 'vitest';
import type { BlobStore, ListedBlob } from '../../../shared/state/blob-store.ts';

/** The behaviour that every version of the store has. @param make gives an empty one. */
export function blobStoreContract(make: () => Promise<BlobStore>): void {
  it('gives what was put, whole or its first bytes', async () => {
    const blobs = await make();
    const bytes = new Uint8Array([0, 255, 10, 13, 1]);
    await blobs.put('1/a/1-x', bytes);
    expect(new Uint8Array((await blobs.get('1/a/1-x')) ?? [])).toEqual(bytes);
    expect(new Uint8Array((await blobs.get('1/a/1-x', 2)) ?? [])).toEqual(bytes.slice(0, 2));
    expect(await blobs.get('1/a/1-x', 4_096)).toHaveLength(5);
  });

  it('gives nothing for what is not there', async () => {
    const blobs = await make();
    expect(await blobs.get('1/a/1-x')).toBeUndefined();
    expect(await blobs.get('1/a/1-x', 10)).toBeUndefined();
  });

  it('keeps the newest of two puts, and keeps it from what is done to the bytes afterwards', async () => {
    const blobs = await make();
    const bytes = new Uint8Array([1]);
    await blobs.put('a', new Uint8Array([7, 7]));
    await blobs.put('a', bytes);
    bytes[0] = 9;
    expect([...((await blobs.get('a')) ?? [])]).toEqual([1]);
  });

  it('removes what is there, and takes what is not for removed', async () => {
    const blobs = await make();
    await blobs.put('a', new Uint8Array([1]));
    await blobs.remove('a');
    await blobs.remove('a');
    expect(await blobs.get('a')).toBeUndefined();
    expect(await blobs.list('')).toEqual({ blobs: [], isLast: true });
  });

  it('lists in the order of bytes, page by page, from behind any name', async () => {
    const blobs = await make();
    const names = ['1/Z', '1/a', '1/b/1', '1/b/2', '10/a', '2/ä', 'cursor'];
    for (const name of names.toReversed()) await blobs.put(name, new Uint8Array([1]));
    const listed: ListedBlob[] = [];
    for (let after = '', isLast = false; !isLast; after = listed.at(-1)?.name ?? '') {
      const page = await blobs.list(after);
      listed.push(...page.blobs);
      isLast = page.isLast;
    }
    expect(listed.map(({ name }) => name)).toEqual(names);
    expect(listed.every(({ modifiedMs }) => modifiedMs > 1_700_000_000_000)).toBe(true);
    expect((await blobs.list('1/b')).blobs[0]?.name).toBe('1/b/1');
    expect((await blobs.list('cursor')).blobs).toEqual([]);
  });
}

import { expect, it } from 'vitest';
import { CheckpointError } from '../../../shared/checkpoint/checkpoint-error.ts';
import type { CheckpointStore } from '../../../shared/checkpoint/checkpoint-store.ts';
import { CHECKPOINT_FORMAT, type Manifest } from '../../../shared/checkpoint/manifest.ts';

const [A, B, C] = ['2026-11-27T10-00-00-000Z-a', '2026-11-27T11-00-00-000Z-b', '2026-11-27T12-00-00-000Z-c'];

function manifest(id: string): Manifest {
  return {
    format: CHECKPOINT_FORMAT,
    id,
    pipeline: 'p',
    generation: 1,
    startedMs: 1,
    endedMs: 2,
    isByPartition: false,
    horizonSeconds: 90_000,
    operators: [{ name: 'é', version: 1 }],
    shards: [],
    parts: [],
    items: 0,
    digest: '0'.repeat(64),
  };
}

/** What every version of the CheckpointStore does. @param make gives an empty one of the pipeline `p`. */
export function checkpointStoreContract(make: () => Promise<CheckpointStore>): void {
  it('gives a part as it was put last, and nothing for one that was not', async () => {
    const store = await make();
    const bytes = new Uint8Array([0, 255, 10, 13, 1]);
    await store.putPart(A, '0-0.gz', new Uint8Array([7]));
    await store.putPart(A, '0-0.gz', bytes);
    bytes[0] = 9;
    expect([...((await store.getPart(A, '0-0.gz')) ?? [])]).toEqual([0, 255, 10, 13, 1]);
    expect(await store.getPart(A, '0-0.g')).toBeUndefined();
    expect(await store.getPart(B, '0-0.gz')).toBeUndefined();
  });

  it('takes the first manifest of a checkpoint and no other', async () => {
    const store = await make();
    expect(await store.getManifest(A)).toBeUndefined();
    expect(await store.putManifest(manifest(A))).toBe('stored');
    expect(await store.putManifest({ ...manifest(A), items: 5 })).toBe('exists');
    expect(await store.getManifest(A)).toEqual(manifest(A));
  });

  it('lets one of two put a manifest at once', async () => {
    const store = await make();
    const both = await Promise.all([store.putManifest(manifest(A)), store.putManifest(manifest(A))]);
    expect(both.sort()).toEqual(['exists', 'stored']);
  });

  it('says what is wrong with a manifest that it cannot read', async () => {
    const store = await make();
    await store.putManifest({ ...manifest(A), format: 3 as typeof CHECKPOINT_FORMAT });
    await expect(store.getManifest(A)).rejects.toThrow(CheckpointError);
    await expect(store.getManifest(A)).rejects.toThrow('has the form 3, and this version reads 1 and 2');
  });

  it('keeps work for who goes on from its newest version, and for nobody else', async () => {
    const store = await make();
    expect(await store.getWork(A)).toBeUndefined();
    const first = await store.putWork(A, 'one', undefined);
    expect(first).toBeDefined();
    expect(await store.putWork(A, 'other', undefined)).toBeUndefined();
    expect(await store.getWork(A)).toEqual({ text: 'one', version: first });
    const second = await store.putWork(A, 'two', first);
    expect(second).toBeDefined();
    expect(await store.putWork(A, 'zombie', first)).toBeUndefined();
    expect(await store.getWork(A)).toEqual({ text: 'two', version: second });
    await store.removeWork(A);
    await store.removeWork(A);
    expect(await store.getWork(A)).toBeUndefined();
    expect(await store.putWork(A, 'zombie', second)).toBeUndefined();
    expect(await store.getWork(A)).toBeUndefined();
  });

  it('is held until the last time that was said, for as long as it is there', async () => {
    const store = await make();
    await store.putManifest(manifest(A));
    expect(await store.getHold(A)).toBeUndefined();
    await store.putHold(A, 5);
    await store.putHold(A, 1_800_000_000_000);
    expect(await store.getHold(A)).toBe(1_800_000_000_000);
    await store.remove(A);
    expect(await store.getHold(A)).toBeUndefined();
    expect(await store.folders()).toEqual([]);
  });

  it('lists folders in the order of time, and tells which of them are checkpoints', async () => {
    const store = await make();
    expect(await store.folders()).toEqual([]);
    await store.putManifest(manifest(C));
    await store.putWork(B, 'work', undefined);
    await store.putPart(A, '0-0.gz', new Uint8Array([1]));
    await store.putManifest(manifest(A));
    expect(await store.folders()).toEqual([A, B, C]);
    expect(await Promise.all([A, B, C, `${A}a`].map((id) => store.hasManifest(id)))).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  it('hides a checkpoint, which is then none any more, and keeps its parts', async () => {
    const store = await make();
    await store.hide(A);
    expect(await store.folders()).toEqual([]);
    await store.putManifest(manifest(A));
    await store.putPart(A, '0-0.gz', new Uint8Array([1]));
    expect(await store.isHidden(A)).toBe(false);
    await store.hide(A);
    await store.hide(A);
    expect(await store.isHidden(A)).toBe(true);
    expect(await store.isHidden(`${A}a`)).toBe(false);
    expect(await store.hasManifest(A)).toBe(false);
    expect(await store.getManifest(A)).toBeUndefined();
    expect(await store.getPart(A, '0-0.gz')).toBeDefined();
    await store.remove(A);
    expect(await store.folders()).toEqual([]);
  });

  it('removes a checkpoint with all that is in its folder, and nothing beside it', async () => {
    const store = await make();
    for (const id of [A, `${A}a`]) {
      await store.putManifest(manifest(id));
      await store.putWork(id, 'work', undefined);
      for (let part = 0; part < 3; part++) await store.putPart(id, `0-${part}.gz`, new Uint8Array([1]));
    }
    await store.remove(A);
    await store.remove(A);
    expect(await store.folders()).toEqual([`${A}a`]);
    expect(await store.getPart(A, '0-1.gz')).toBeUndefined();
    expect(await store.getPart(`${A}a`, '0-1.gz')).toBeDefined();
  });
}

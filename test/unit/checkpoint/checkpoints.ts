import { checkpointLine } from '../../../shared/checkpoint/checkpoint-line.ts';
import type { CheckpointStore } from '../../../shared/checkpoint/checkpoint-store.ts';
import { LineDigest } from '../../../shared/checkpoint/line-digest.ts';
import { CHECKPOINT_FORMAT, type Manifest, type ManifestPart } from '../../../shared/checkpoint/manifest.ts';
import { PartPacker } from '../../../shared/checkpoint/part-form.ts';
import type { Document } from '../../../shared/state/document.ts';
import { itemKey } from '../../../shared/state/row-key.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';

export function stateItem(key: string, state?: Document, revision = 7): StateItem {
  const has = state !== undefined;
  return {
    pk: itemKey(1, key),
    revision,
    marks: new Map(),
    states: new Map(has ? [['s', state]] : []),
    versions: new Map(has ? [['s', 1]] : []),
    outbox: [],
  };
}

/** Stores a checkpoint of these items, so many to a part. */
export async function storeCheckpoint(
  store: CheckpointStore,
  id: string,
  items: readonly StateItem[],
  { savepoint, perPart = 3 }: { readonly savepoint?: string; readonly perPart?: number } = {},
): Promise<Manifest> {
  const parts: ManifestPart[] = [];
  const digest = new LineDigest();
  for (let from = 0; from < items.length; from += perPart) {
    const packer = new PartPacker();
    for (const item of items.slice(from, from + perPart)) packer.add(checkpointLine(item));
    const packed = packer.finish();
    digest.merge(packed.digest);
    const name = `0-${parts.length}.ndjson.gz`;
    await store.putPart(id, name, packed.packed);
    parts.push({ name, lines: packed.lines, bytes: packed.packed.length, sha256: packed.sha256 });
  }
  const manifest: Manifest = {
    format: CHECKPOINT_FORMAT,
    id,
    pipeline: 'p',
    ...(savepoint !== undefined && { savepoint }),
    generation: 1,
    startedMs: 1,
    endedMs: 2,
    isByPartition: false,
    horizonSeconds: 90_000,
    operators: [{ name: 's', version: 1 }],
    shards: [],
    parts,
    items: items.length,
    digest: String(digest),
  };
  await store.putManifest(manifest);
  return manifest;
}

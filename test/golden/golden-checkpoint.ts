import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkpointLine } from '../../shared/checkpoint/checkpoint-line.ts';
import { LineDigest } from '../../shared/checkpoint/line-digest.ts';
import { hashesName, keptName, partName } from '../../shared/checkpoint/checkpoint-store.ts';
import { KeptLines } from '../../shared/checkpoint/kept-lines.ts';
import {
  CHECKPOINT_FORMAT,
  DELTA_FORMAT,
  type Manifest,
  type ManifestPart,
} from '../../shared/checkpoint/manifest.ts';
import { MemoryCheckpointStore } from '../../shared/checkpoint/memory-checkpoint-store.ts';
import { PartPacker, sha256 as sha256Of } from '../../shared/checkpoint/part-form.ts';
import { encodePosition } from '../../shared/source/position.ts';
import type { Document } from '../../shared/state/document.ts';
import { decodeItem, encodeItem } from '../../shared/state/item-codec.ts';
import type { OutboxEntry, StateItem } from '../../shared/state/state-item.ts';
import { without } from '../../shared/state/without.ts';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
export const GOLDEN_ID = '2026-11-28T00-00-00-000Z-golden';
const GOLDEN_BASE_ID = '2026-11-27T00-00-00-000Z-golden';
const SEQUENCE = '49590338271490256608559692538361571095921575989136588898';
const LANE = 'x3Fa_q/6';

const HOSTILE: Document = JSON.parse(
  '{"__proto__":{"constructor":1},"none":null,"$bigint":"text","$$":[[],{}],"é\\u0000\\u2028":[true,false,-0.1,1e125,5e-130]}',
) as Document;

const OUTBOX: readonly OutboxEntry[] = [
  {
    kind: 'output',
    lane: LANE,
    position: { sequence: SEQUENCE, sub: 7 },
    element: 2,
    sink: 'alerts',
    index: 1,
    destinationKey: '\u{1f980}',
    revision: 1_800_000_000_001,
    isChange: false,
    arrivalMs: 1_800_000_000_000,
    originArrivalMs: 1_799_999_999_000,
    value: { json: '{"a":1}' },
  },
  {
    kind: 'output',
    lane: `${LANE}#0123456789a`,
    position: { sequence: '1', sub: 0 },
    element: 0,
    sink: 'totals',
    index: 0,
    destinationKey: '',
    revision: 1_800_000_000_005,
    isChange: true,
    arrivalMs: 1_800_000_000_000,
    value: { stateOf: 'total' },
    origin: { lane: LANE, position: { sequence: SEQUENCE, sub: 0 } },
  },
  {
    kind: 'deadLetter',
    lane: LANE,
    position: { sequence: SEQUENCE, sub: 8 },
    element: 1,
    number: 3,
    stage: 'fold',
    reason: 'TypeError: no',
    arrivalMs: 1_800_000_000_000,
  },
];

const ITEMS: readonly StateItem[] = [
  {
    pk: '1/s/__proto__ \u{1f980}',
    revision: 1_800_000_000_005,
    marks: new Map([
      [LANE, { position: { sequence: SEQUENCE, sub: 7 }, arrivalSeconds: 1_800_000_000 }],
      [`${LANE}#0123456789a`, { position: { sequence: '1', sub: 0 }, arrivalSeconds: 1_800_000_001 }],
      [
        'airport-grades>x3Fa_q/6>alerts>abcdefghijk',
        { position: { sequence: SEQUENCE, sub: 0, element: 3, index: 2 }, arrivalSeconds: 1_800_000_002 },
      ],
    ]),
    states: new Map<string, Document>([
      ['hostile', HOSTILE],
      ['seen', new Uint8Array([0, 1, 254, 255])],
      ['total', { count: 12_345_678_901_234_567_890n, mean: 0.1, nested: [{ a: [1, 'two', null] }] }],
    ]),
    versions: new Map([
      ['hostile', 1],
      ['removed', 2],
      ['seen', 1],
      ['total', 3],
    ]),
    outbox: OUTBOX,
    letters: {
      next: 5,
      closed: [
        { from: 0, below: 3 },
        { from: 4, below: 5 },
      ],
      parkedFrom: 3,
    },
  },
  {
    pk: '1/s/',
    revision: 1,
    marks: new Map([[LANE, { position: { sequence: SEQUENCE, sub: 0 }, arrivalSeconds: 1_800_000_000 }]]),
    states: new Map(),
    versions: new Map([['total', 1]]),
    outbox: [],
  },
  {
    pk: `1/d/${LANE}`,
    revision: 1_800_000_000_002,
    marks: new Map(),
    states: new Map(),
    versions: new Map(),
    outbox: [],
    letters: { next: 2, closed: [] },
  },
];

/** One item of each form that a table may hold, in generation 1, as it is read from there. */
export const GOLDEN_ITEMS = ITEMS.map((item) => decodeItem(encodeItem(item)));

/** A checkpoint as this version writes it. */
export function newCheckpoint(): {
  readonly manifest: Manifest;
  readonly parts: ReadonlyMap<string, Uint8Array>;
} {
  const digest = new LineDigest();
  const written = new Map<string, Uint8Array>();
  const parts = GOLDEN_ITEMS.map((item, number): ManifestPart => {
    const packer = new PartPacker();
    packer.add(checkpointLine(item));
    const { packed, lines, sha256, digest: own } = packer.finish();
    digest.merge(own);
    const name = `0-${number}-golden.ndjson.gz`;
    written.set(name, packed);
    return { name, lines, bytes: packed.length, sha256 };
  });
  const manifest: Manifest = {
    format: CHECKPOINT_FORMAT,
    id: GOLDEN_ID,
    pipeline: 'golden',
    savepoint: 'for-ever',
    generation: 1,
    startedMs: 1_800_000_000_000,
    endedMs: 1_800_000_001_000,
    isByPartition: false,
    horizonSeconds: 90_000,
    operators: [
      { name: 'hostile', version: 1 },
      { name: 'seen', version: 1 },
      { name: 'total', version: 3 },
    ],
    shards: [
      {
        stream: 'input',
        shardId: 'shardId-000000000006',
        shard: LANE,
        parents: ['shardId-000000000001'],
        position: encodePosition({ sequence: SEQUENCE, sub: 7 }),
        sequenceNumber: SEQUENCE,
        arrivalMs: 1_800_000_000_000,
        records: 42,
        isKnown: true,
      },
    ],
    parts,
    items: GOLDEN_ITEMS.length,
    digest: String(digest),
  };
  return { manifest, parts: written };
}

/**
 * A delta as this version writes it: of a part of its base half of the items, and not the line that one of them had before;
 * the other half in a part of its own.
 */
async function putDelta(store: MemoryCheckpointStore): Promise<void> {
  const half = Math.floor(GOLDEN_ITEMS.length / 2);
  const [first, ...others] = GOLDEN_ITEMS.slice(0, half) as [StateItem, ...StateItem[]];
  const put = async (id: string, items: readonly StateItem[]): Promise<ManifestPart> => {
    const packer = new PartPacker();
    for (const item of items) packer.add(checkpointLine(item));
    const { packed, lines, sha256, hashes } = packer.finish();
    const name = partName(0, 0, 'golden');
    await store.putPart(id, name, packed);
    await store.putPart(id, hashesName(name), hashes);
    return { name, lines, bytes: packed.length, sha256, hashes: sha256Of(hashes) };
  };
  const under = await put(GOLDEN_BASE_ID, [{ ...first, revision: first.revision - 1 }, first, ...others]);
  const own = await put(GOLDEN_ID, GOLDEN_ITEMS.slice(half));
  const kept = new KeptLines(under.lines);
  for (let line = 1; line < under.lines; line++) kept.add(line);
  const { packed, sha256 } = kept.pack();
  const name = keptName(0, 0, 'golden');
  await store.putPart(GOLDEN_ID, name, packed);
  await store.putManifest({
    ...without(newCheckpoint().manifest, 'savepoint'),
    format: DELTA_FORMAT,
    parts: [{ ...under, from: GOLDEN_BASE_ID, kept: { first: 0, lines: kept.count } }, own],
    delta: {
      base: GOLDEN_BASE_ID,
      depth: 1,
      lines: under.lines,
      kept: [{ name, bytes: packed.length, sha256 }],
    },
  });
}

/** The folders of checkpoints that earlier versions have written, one per form; they are never written again. */
export function goldenFolders(): readonly string[] {
  return readdirSync(FOLDER).filter((name) => name.startsWith('format-'));
}

/** A store that holds one of them. */
export async function goldenStore(folder: string): Promise<MemoryCheckpointStore> {
  const store = new MemoryCheckpointStore();
  for (const name of readdirSync(path.join(FOLDER, folder), { recursive: true, encoding: 'utf8' })) {
    const file = path.join(FOLDER, folder, name);
    if (!statSync(file).isFile()) continue;
    // What a delta counts on lies in a folder of its own.
    store.objects.set(name.includes(path.sep) ? name : `${GOLDEN_ID}/${name}`, readFileSync(file));
  }
  return store;
}

/** `tsx test/golden/golden-checkpoint.ts`: writes the folders of forms that have none yet. */
async function write(): Promise<void> {
  const full = new MemoryCheckpointStore();
  const { manifest, parts } = newCheckpoint();
  for (const [name, packed] of parts) await full.putPart(GOLDEN_ID, name, packed);
  await full.putManifest(manifest);
  const delta = new MemoryCheckpointStore();
  await putDelta(delta);
  for (const [format, { objects }] of [
    [CHECKPOINT_FORMAT, full],
    [DELTA_FORMAT, delta],
  ] as const) {
    const folder = path.join(FOLDER, `format-${format}`);
    if (existsSync(folder)) continue;
    for (const [name, bytes] of objects) {
      const file = path.join(folder, name.replace(`${GOLDEN_ID}/`, ''));
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, bytes);
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await write();

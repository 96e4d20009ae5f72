import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../../../shared/checkpoint/checkpoint-error.ts';
import { checkpointId } from '../../../shared/checkpoint/checkpoint-id.ts';
import { checkpointLine, keyAndStatesOf } from '../../../shared/checkpoint/checkpoint-line.ts';
import { MemoryCheckpointStore } from '../../../shared/checkpoint/memory-checkpoint-store.ts';
import type { Manifest } from '../../../shared/checkpoint/manifest.ts';
import { PART_BYTES, PartPacker, partLines } from '../../../shared/checkpoint/part-form.ts';
import {
  checkpointIds,
  checkpointLines,
  diffCheckpoints,
  findLine,
  openCheckpoint,
  verifyCheckpoint,
  type KeyDifference,
} from '../../../shared/checkpoint/read-checkpoint.ts';
import { shardItemKey } from '../../../shared/state/row-key.ts';
import { stateItem, storeCheckpoint } from './checkpoints.ts';

const [A, B, C] = [1, 2, 3].map((second) => checkpointId(second * 1_000, 'x')) as [string, string, string];
const HOSTILE_KEYS = ['', '__proto__', '"key":"x",', '\u2028\n\r\u0000', 'ä🦀', 'x'.repeat(2_000)];

async function linesOf(store: MemoryCheckpointStore, manifest: Manifest): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of checkpointLines(store, manifest)) lines.push(line);
  return lines;
}

describe('a checkpoint', () => {
  it('is opened by id, by the name of a savepoint, and as the latest', async () => {
    const store = new MemoryCheckpointStore();
    await expect(openCheckpoint(store, 'latest')).rejects.toThrow('no checkpoint yet');
    for (const [id, savepoint] of [
      [A, 'before'],
      [B, 'before'],
      [C, undefined],
    ] as const) {
      await storeCheckpoint(store, id, [], savepoint === undefined ? {} : { savepoint });
    }
    await store.putPart(checkpointId(9_000, 'x'), '0-0', new Uint8Array([1]));
    expect(await checkpointIds(store)).toEqual([A, B, C]);
    expect((await openCheckpoint(store, A)).id).toBe(A);
    expect((await openCheckpoint(store, 'before')).id).toBe(B);
    expect((await openCheckpoint(store, 'latest')).id).toBe(C);
    for (const which of ['after', checkpointId(9_000, 'x'), checkpointId(5_000, 'x')]) {
      await expect(openCheckpoint(store, which)).rejects.toThrow(CheckpointError);
    }
  });

  it('gives its lines, and the line of any key', async () => {
    const store = new MemoryCheckpointStore();
    const items = HOSTILE_KEYS.map((key, place) => stateItem(key, place));
    const shardItem = { ...stateItem('', undefined), pk: shardItemKey(1, 'tag/0') };
    const manifest = await storeCheckpoint(store, A, [...items, shardItem], { perPart: 2 });
    expect(await linesOf(store, manifest)).toEqual([...items, shardItem].map(checkpointLine));
    for (const [place, key] of HOSTILE_KEYS.entries()) {
      const line = (await findLine(store, manifest, key)) ?? '';
      expect(keyAndStatesOf(line)).toEqual({ key, states: new Map([['s', place]]) });
    }
    expect(await findLine(store, manifest, 'tag/0')).toBeUndefined();
  });

  it('is verified: bytes, hashes, counts and digest', async () => {
    const store = new MemoryCheckpointStore();
    const items = Array.from({ length: 7 }, (_, place) => stateItem(`k${place}`, place));
    const manifest = await storeCheckpoint(store, A, items);
    const seen: string[] = [];
    const good = await verifyCheckpoint(store, manifest, ({ name }) => seen.push(name));
    expect(good).toMatchObject({ parts: 3, items: 7, problems: [] });
    expect(seen).toHaveLength(3);

    const problemsOf = async (changed: Partial<Manifest>): Promise<string> =>
      (await verifyCheckpoint(store, { ...manifest, ...changed })).problems.join(' ');
    const [first, ...rest] = manifest.parts as [Manifest['parts'][number]];
    expect(await problemsOf({ items: 8 })).toContain('hold 7 items, and the manifest says 8');
    expect(await problemsOf({ digest: '1'.repeat(64) })).toContain('digest of all lines');
    expect(await problemsOf({ parts: rest })).toContain('hold 4 items');
    expect(await problemsOf({ parts: [{ ...first, lines: 2 }, ...rest] })).toContain('has 3 lines');
    expect(await problemsOf({ parts: [first, first, ...rest.slice(1)] })).toContain('digest of all lines');
  });

  it('tells which part is missing, cut short, changed or unreadable, before a line of it is given', async () => {
    const store = new MemoryCheckpointStore();
    const manifest = await storeCheckpoint(
      store,
      A,
      Array.from({ length: 7 }, (_, place) => stateItem(`k${place}`, place)),
    );
    const name = manifest.parts[1]?.name ?? '';
    const whole = store.objects.get(`${A}/${name}`) as Uint8Array;
    const spoilt = async (bytes: Uint8Array | undefined): Promise<string> => {
      if (bytes === undefined) store.objects.delete(`${A}/${name}`);
      else store.objects.set(`${A}/${name}`, bytes);
      const { problems } = await verifyCheckpoint(store, manifest);
      expect(problems).toHaveLength(1);
      await expect(linesOf(store, manifest)).rejects.toThrow(problems[0]);
      expect(problems[0]).toContain(`Part ${name} of checkpoint ${A}`);
      return problems[0] ?? '';
    };
    expect(await spoilt(undefined)).toContain('is missing');
    expect(await spoilt(whole.slice(1))).toContain('bytes');
    expect(await spoilt(whole.map((byte, at) => (at === 20 ? byte ^ 1 : byte)))).toContain('SHA-256');
    const noGzip = {
      ...manifest.parts[0],
      ...partOf(new Uint8Array([1, 2, 3])),
    } as Manifest['parts'][number];
    expect(() => partLines(A, noGzip, new Uint8Array([1, 2, 3]))).toThrow('cannot be unpacked');
    const noEnd = gzipSync('a\nb');
    const endless = { ...manifest.parts[0], ...partOf(noEnd), lines: 2 } as Manifest['parts'][number];
    expect(() => partLines(A, endless, noEnd)).toThrow('lines');
  });
});

function partOf(packed: Uint8Array): { bytes: number; sha256: string } {
  return { bytes: packed.length, sha256: createHash('sha256').update(packed).digest('hex') };
}

describe('a part', () => {
  it('is one gzip file, whatever it holds', () => {
    const packer = new PartPacker();
    const lines = Array.from({ length: 5_000 }, (_, place) => `${place} ${'ä'.repeat(300)}`);
    for (const line of lines) packer.add(line);
    const { packed, lines: count, digest } = packer.finish();
    expect(count).toBe(5_000);
    expect(gunzipSync(packed).toString()).toBe(lines.map((line) => `${line}\n`).join(''));
    expect(String(digest)).toMatch(/^[0-9a-f]{64}$/);
    expect(gunzipSync(new PartPacker().finish().packed)).toHaveLength(0);
  });

  it('is full at its limit', () => {
    const packer = new PartPacker();
    const line = 'x'.repeat(1024 * 1024 - 1);
    for (let bytes = 0; bytes < PART_BYTES; bytes += line.length + 1) {
      expect(packer.isFull).toBe(false);
      packer.add(line);
    }
    expect(packer.isFull).toBe(true);
  });
});

describe('the difference of two checkpoints', () => {
  it.each([1, 3, 1_000])('is in their states alone, with %i keys to a pass', async (keysPerPass) => {
    const store = new MemoryCheckpointStore();
    const many = Array.from({ length: 20 }, (_, place) => stateItem(`same ${place}`, { n: place }));
    const before = await storeCheckpoint(store, A, [
      ...many,
      stateItem('gone', 1),
      stateItem('tombstone', 1),
      stateItem('changed', { a: 1 }),
      stateItem('__proto__', 1),
      { ...stateItem('x', undefined), pk: shardItemKey(1, 'tag/0') },
    ]);
    const after = await storeCheckpoint(store, B, [
      stateItem('new', 1),
      ...many.map((item) => ({ ...item, revision: 99 })).toReversed(),
      stateItem('tombstone'),
      stateItem('changed', { a: 2 }),
      stateItem('__proto__', 2),
      stateItem('never', undefined),
    ]);
    const found: KeyDifference[] = [];
    for await (const each of diffCheckpoints(store, before, after, keysPerPass)) found.push(each);
    expect(found.map(({ kind, key }) => `${kind} ${key}`).sort()).toEqual([
      'added new',
      'changed __proto__',
      'changed changed',
      'removed gone',
      'removed tombstone',
    ]);
  });
});

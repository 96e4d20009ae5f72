import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CheckpointStore } from '../../../shared/checkpoint/checkpoint-store.ts';
import { hashesName, type KeptWork } from '../../../shared/checkpoint/checkpoint-store.ts';
import type { CheckpointWork } from '../../../shared/checkpoint/checkpoint-work.ts';
import { KeptLines } from '../../../shared/checkpoint/kept-lines.ts';
import { sha256 } from '../../../shared/checkpoint/part-form.ts';
import { lineBefore } from '../../../shared/checkpoint/checkpoint-line.ts';
import { copyCheckpoint } from '../../../shared/checkpoint/fork.ts';
import { LineDigest } from '../../../shared/checkpoint/line-digest.ts';
import { restorePart } from '../../../shared/checkpoint/restore.ts';
import { kinesis, pipeline } from '../../../shared/index.ts';
import { without } from '../../../shared/state/without.ts';
import { testWorld, wholeItems } from '../../support/memory-ports.ts';
import { linesThatCount, type Manifest } from '../../../shared/checkpoint/manifest.ts';
import { MemoryCheckpointStore } from '../../../shared/checkpoint/memory-checkpoint-store.ts';
import {
  checkpointLines,
  diffCheckpoints,
  findLine,
  openCheckpoint,
  verifyCheckpoint,
} from '../../../shared/checkpoint/read-checkpoint.ts';
import { deleteCheckpoint } from '../../../shared/checkpoint/remove-unneeded.ts';
import type {
  CheckpointReport,
  CheckpointRequest,
  CheckpointTaker,
} from '../../../shared/checkpoint/take-checkpoint.ts';
import { MemoryDeadLetterStore } from '../../../shared/output/memory-dead-letters.ts';
import { Died, MINUTE_MS, Process, TakingWorld } from './taking.ts';

const HOUR_MS = 60 * MINUTE_MS;
const DELTAS = { fullEvery: 8, poolLines: 10_000 } as const;
const KEYS = 60;

async function worldOf(keys = KEYS, spillsFrom?: number): Promise<TakingWorld> {
  const world = new TakingWorld(spillsFrom);
  await world.open();
  for (let number = 0; number < 2 * keys; number++) await world.write(number % 2, `key ${number % keys}`);
  return world;
}

/** Time passes first: ids sort by it. */
async function take(
  world: TakingWorld,
  request: CheckpointRequest = {},
  changes: Partial<CheckpointTaker> = {},
): Promise<CheckpointReport> {
  world.nowMs += HOUR_MS;
  return world.take(request, { deltas: DELTAS, deadlineMs: world.nowMs + MINUTE_MS, ...changes });
}

/** A full checkpoint, three changed keys, one gone and one new, and a delta. */
async function worldWithDelta(keys = KEYS): Promise<{
  readonly world: TakingWorld;
  readonly full: Manifest;
  readonly delta: Manifest;
}> {
  const world = await worldOf(keys);
  const whole = { partBytes: 1_000_000 };
  const first = await take(world, {}, keys === KEYS ? {} : whole);
  await change(world);
  const second = await take(world);
  const [full, delta] = [
    await openCheckpoint(world.checkpoints, first.id ?? ''),
    await openCheckpoint(world.checkpoints, second.id ?? ''),
  ];
  return { world, full, delta };
}

async function change(world: TakingWorld): Promise<void> {
  for (const key of ['key 3', 'key 4', 'key 5', 'new']) await world.write(0, key);
  await world.forget('key 9');
}

/** Whatever is listed is good: digests, counts, and each line that there was. */
async function expectGood(
  world: TakingWorld,
  expected: ReadonlyMap<string, readonly string[]>,
): Promise<void> {
  for (const manifest of await world.checkpointsThere()) {
    expect((await verifyCheckpoint(world.checkpoints, manifest)).problems).toEqual([]);
    const lines = expected.get(manifest.id);
    if (lines !== undefined) expect(await world.linesOf(manifest)).toEqual(lines);
  }
}

describe('a delta', () => {
  it('stores the lines that no part has yet, and says of which parts it keeps the others', async () => {
    const world = await worldOf();
    const first = await take(world);
    expect(first).not.toHaveProperty('kept');
    await change(world);
    const lines = await world.lines();
    const second = await take(world);
    expect(second).toMatchObject({ status: 'taken', items: KEYS, kept: KEYS - 4 });
    expect(second.bytes).toBeLessThan((first.bytes ?? 0) / 2);
    const manifest = await openCheckpoint(world.checkpoints, 'latest');
    expect(manifest).toMatchObject({ format: 2, items: KEYS, delta: { base: first.id, depth: 1 } });
    const own = manifest.parts.filter(({ from }) => from === undefined);
    expect(own.reduce((sum, part) => sum + linesThatCount(part), 0)).toBe(4);
    expect(manifest.parts.reduce((sum, part) => sum + linesThatCount(part), 0)).toBe(KEYS);
    expect(await world.linesOf(manifest)).toEqual(lines);
    expect((await verifyCheckpoint(world.checkpoints, manifest)).problems).toEqual([]);
  });

  it('of what has not changed stores nothing', async () => {
    const world = await worldOf();
    await take(world);
    expect(await take(world)).toMatchObject({ items: KEYS, kept: KEYS, bytes: 0, parts: 0 });
    await expectGood(
      world,
      new Map([[(await world.checkpoints.folders()).at(-1) ?? '', await world.lines()]]),
    );
  });

  it('reads spilled states anew, and keeps their lines', async () => {
    const world = await worldOf(KEYS, 2);
    await take(world);
    await change(world);
    const lines = await world.lines();
    const report = await take(world);
    expect(report).toMatchObject({ items: KEYS, kept: KEYS - 4 });
    await expectGood(world, new Map([[report.id ?? '', lines]]));
  });

  it('is read as any other: a key, a difference, what it lacks', async () => {
    const { world, full, delta } = await worldWithDelta();
    const { checkpoints } = world;
    expect(await findLine(checkpoints, delta, 'key 9')).toBeUndefined();
    expect(await findLine(checkpoints, full, 'key 9')).toContain('"key 9"');
    expect(await findLine(checkpoints, delta, 'key 3')).not.toBe(await findLine(checkpoints, full, 'key 3'));
    expect(await findLine(checkpoints, delta, 'key 8')).toBe(await findLine(checkpoints, full, 'key 8'));
    const differences = [];
    for await (const each of diffCheckpoints(checkpoints, full, delta)) differences.push(each);
    expect(differences.sort((a, b) => (a.key < b.key ? -1 : 1))).toEqual([
      { key: 'key 3', kind: 'changed' },
      { key: 'key 4', kind: 'changed' },
      { key: 'key 5', kind: 'changed' },
      { key: 'key 9', kind: 'removed' },
      { key: 'new', kind: 'added' },
    ]);
  });

  it('is copied for a fork with all that it counts on', async () => {
    const { world, delta } = await worldWithDelta();
    const lines = await world.linesOf(delta);
    const letters = new MemoryDeadLetterStore(() => 0);
    const target = new MemoryCheckpointStore();
    const own = await copyCheckpoint(
      { checkpoints: world.checkpoints, deadLetters: letters, closedLetters: letters },
      { pipeline: 'q', checkpoints: target, closedLetters: letters },
      delta,
      world.nowMs,
    );
    for (const id of await world.checkpoints.folders()) await world.checkpoints.remove(id);
    expect((await verifyCheckpoint(target, own)).problems).toEqual([]);
    const copied: string[] = [];
    for await (const line of checkpointLines(target, own)) copied.push(line);
    expect(copied.sort()).toEqual(lines);
    expect(await target.folders()).toEqual([delta.id]);
  });

  it.each([
    [
      'what it counts on is gone',
      (store: MemoryCheckpointStore, { parts }: Manifest) =>
        store.objects.delete(`${parts[0]?.from}/${parts[0]?.name}`),
      'is missing',
    ],
    [
      'nobody knows what counts',
      (store: MemoryCheckpointStore, { id, delta }: Manifest) =>
        store.objects.delete(`${id}/${delta?.kept[0]?.name}`),
      'is missing: nobody knows which lines',
    ],
    [
      'what counts was changed',
      (store: MemoryCheckpointStore, { id, delta }: Manifest) =>
        store.objects.set(`${id}/${delta?.kept[0]?.name}`, Buffer.from('else')),
      'has another SHA-256',
    ],
  ])('is not good where %s', async (_, spoil, problem) => {
    const { world, delta } = await worldWithDelta();
    spoil(world.checkpoints, delta);
    const { problems } = await verifyCheckpoint(world.checkpoints, delta);
    expect(problems.join()).toContain(problem);
  });

  it('is not good where a line counts that should not, or one does not that should', async () => {
    const { world, full, delta } = await worldWithDelta();
    const gone = delta.parts.findIndex(({ lines, kept }) => kept !== undefined && kept.lines < lines);
    expect(gone).toBeGreaterThanOrEqual(0);
    for (const parts of [
      delta.parts.map((part, place) => (place === gone ? { ...part, kept: undefined } : part)),
      delta.parts.slice(1),
      [...full.parts.slice(0, 1).map((part) => ({ ...part, from: full.id })), ...delta.parts],
    ]) {
      const { problems } = await verifyCheckpoint(world.checkpoints, {
        ...delta,
        parts: parts as Manifest['parts'],
      });
      expect(problems).not.toEqual([]);
    }
  });
});

describe('restoring a delta', () => {
  it('writes what counts and nothing else, a group at a time and each part alone (I8)', async () => {
    const { world, delta } = await worldWithDelta(250);
    const lines = await world.linesOf(delta);
    const into = testWorld(
      pipeline('p')
        .from(kinesis<number>('input'))
        .keyBy(String)
        .updateStateByKey<number>('count', () => 1),
    );
    let rounds = 0;
    for (const part of delta.parts.toReversed()) {
      for (let skipped = 0, isDone = false; !isDone; rounds++) {
        const restored = await restorePart(
          { ...into, checkpoints: world.checkpoints },
          delta,
          part,
          2,
          skipped,
          () => false,
        );
        expect(restored.lines).toBeGreaterThan(skipped);
        ({ lines: skipped, isDone } = restored);
      }
    }
    // Of one part more than a group counts.
    expect(rounds).toBeGreaterThan(delta.parts.length);
    const digest = new LineDigest();
    for (const item of wholeItems(into).values()) digest.add(lineBefore(without(item, 'spilled'), 1));
    expect(String(digest)).toBe(delta.digest);
    expect([...wholeItems(into).values()].map((item) => lineBefore(item, 1)).sort()).toEqual(lines);
  });
});

describe('a full checkpoint is taken', () => {
  const isFull = async (world: TakingWorld): Promise<boolean> => {
    const { delta, format, parts } = await openCheckpoint(world.checkpoints, 'latest');
    expect(format).toBe(delta === undefined ? 1 : 2);
    expect(parts.some(({ from }) => from !== undefined)).toBe(delta !== undefined);
    return delta === undefined;
  };

  it('every so many times', async () => {
    const world = await worldOf();
    const kinds: boolean[] = [];
    for (let number = 0; number < 7; number++) {
      await take(world, {}, { deltas: { ...DELTAS, fullEvery: 3 } });
      kinds.push(await isFull(world));
    }
    expect(kinds).toEqual([true, false, false, true, false, false, true]);
  });

  it('where it is a savepoint, where one was asked for, and where deltas are not wanted', async () => {
    const world = await worldOf();
    await take(world);
    await take(world, { savepoint: 's' });
    expect(await isFull(world)).toBe(true);
    await take(world);
    expect(await isFull(world)).toBe(false);
    await take(world, { isFull: true });
    expect(await isFull(world)).toBe(true);
    world.nowMs += HOUR_MS;
    await world.take();
    expect(await isFull(world)).toBe(true);
    // The last one has no hashes, by which a delta could go.
    await take(world);
    expect(await isFull(world)).toBe(true);
  });

  it('where there are more lines to compare with than memory is for', async () => {
    const world = await worldOf();
    await take(world);
    await take(world, {}, { deltas: { ...DELTAS, poolLines: KEYS - 1 } });
    expect(await isFull(world)).toBe(true);
    await take(world, {}, { deltas: { ...DELTAS, poolLines: KEYS } });
    expect(await isFull(world)).toBe(false);
  });

  it('where the newest is of another generation, is a copy, or cannot be read', async () => {
    const spoilt: ((manifest: Manifest) => string)[] = [
      (manifest) => JSON.stringify({ ...manifest, generation: 2 }),
      (manifest) => JSON.stringify({ ...manifest, forkedFrom: 'q' }),
      () => 'no JSON',
      (manifest) => JSON.stringify({ ...manifest, format: 3 }),
    ];
    for (const text of spoilt) {
      const world = await worldOf();
      const { id = '' } = await take(world);
      const manifest = await openCheckpoint(world.checkpoints, id);
      world.checkpoints.objects.set(`${id}/manifest.json`, Buffer.from(text(manifest)));
      const report = await take(world);
      expect(report).not.toHaveProperty('kept');
      expect((await world.checkpoints.getManifest(report.id ?? ''))?.delta).toBeUndefined();
    }
  });

  it('in effect, where every item has changed', async () => {
    const world = await worldOf();
    await take(world);
    for (let number = 0; number < KEYS; number++) await world.write(0, `key ${number}`);
    expect(await take(world)).not.toHaveProperty('kept');
    expect(await isFull(world)).toBe(true);
  });
});

describe('what a delta goes by', () => {
  it('leaves out a part of which more than half no longer counts, so that it need not be kept', async () => {
    const world = await worldOf();
    const { id } = await take(world);
    for (let number = 0; number < 40; number++) await world.write(0, `key ${number}`);
    await take(world);
    expect((await openCheckpoint(world.checkpoints, 'latest')).parts.some(({ from }) => from === id)).toBe(
      true,
    );
    for (let number = 0; number < 3; number++) {
      const lines = await world.lines();
      const report = await take(world);
      await expectGood(world, new Map([[report.id ?? '', lines]]));
    }
    const { parts } = await openCheckpoint(world.checkpoints, 'latest');
    for (const part of parts) expect(2 * linesThatCount(part)).toBeGreaterThanOrEqual(part.lines);
  });

  it('finds nothing of a part whose hashes are missing or damaged, and stores it anew', async () => {
    for (const spoil of [
      (store: MemoryCheckpointStore, name: string) => store.objects.delete(name),
      (store: MemoryCheckpointStore, name: string) => store.objects.get(name)?.fill(7, 0, 3),
      (store: MemoryCheckpointStore, name: string) => store.objects.set(name, new Uint8Array(5)),
    ]) {
      const world = await worldOf();
      const { id = '' } = await take(world);
      const [part] = (await openCheckpoint(world.checkpoints, id)).parts;
      spoil(world.checkpoints, `${id}/${hashesName(part?.name ?? '')}`);
      const report = await take(world);
      expect(report.kept).toBe(KEYS - (part?.lines ?? 0));
      await expectGood(world, new Map([[report.id ?? '', await world.lines()]]));
    }
  });
});

describe('removing', () => {
  it('leaves what others count on, and removes it with the last of them', async () => {
    const { world, full, delta } = await worldWithDelta();
    const lines = await world.linesOf(delta);
    expect(await deleteCheckpoint(world.checkpoints, full.id)).toBe(false);
    expect((await world.checkpointsThere()).map(({ id }) => id)).toEqual([delta.id]);
    await expectGood(world, new Map([[delta.id, lines]]));
    const later = await take(world);
    expect(await deleteCheckpoint(world.checkpoints, delta.id)).toBe(false);
    await expectGood(world, new Map([[later.id ?? '', lines]]));
    expect(await world.checkpoints.folders()).toEqual([full.id, delta.id, later.id]);
    expect(await deleteCheckpoint(world.checkpoints, later.id ?? '')).toBe(true);
    expect(await world.checkpoints.folders()).toEqual([]);
  });

  it('removes nothing that is older than one that cannot be read', async () => {
    const { world, full, delta } = await worldWithDelta();
    const text = world.checkpoints.objects.get(`${delta.id}/manifest.json`) ?? new Uint8Array();
    world.checkpoints.objects.set(`${delta.id}/manifest.json`, Buffer.from('no JSON'));
    await deleteCheckpoint(world.checkpoints, full.id);
    expect(await world.checkpoints.folders()).toEqual([full.id, delta.id]);
    world.checkpoints.objects.set(`${delta.id}/manifest.json`, text);
    await expectGood(world, new Map([[delta.id, await world.lines()]]));
  });

  it('by retention keeps what the kept ones count on, and nothing else', async () => {
    const world = await worldOf();
    const expected = new Map<string, string[]>();
    for (let number = 0; number < 20; number++) {
      await world.write(0, `key ${number}`);
      const lines = await world.lines();
      const { id = '' } = await take(world, {}, { retention: { keepLast: 2, keepDaily: 0 } });
      expected.set(id, lines);
      const there = await world.checkpointsThere();
      expect(there.length).toBeLessThanOrEqual(2);
      await expectGood(world, expected);
      const needed = new Set(
        there.flatMap(({ id: own, parts }) => [own, ...parts.map(({ from = own }) => from)]),
      );
      for (const folder of await world.checkpoints.folders()) expect(needed).toContain(folder);
    }
  });
});

describe('taking a delta', () => {
  /** Behind every page: one key changes that was there, one is new. */
  const writing = (world: TakingWorld): Pick<CheckpointTaker, 'generations'> => {
    const { generations } = world;
    let writes = 0;
    return {
      generations: {
        scan: async (request) => {
          const page = await generations.scan(request);
          await world.write(writes % 2, `key ${(writes * 7) % KEYS}`);
          await world.write(writes % 2, `new ${writes++}`);
          return page;
        },
        replaceControl: (before, after) => generations.replaceControl(before, after),
        shards: (generation) => generations.shards(generation),
        costs: () => generations.costs(),
      },
    };
  };

  it('while records are processed loses and doubles nothing (I8)', async () => {
    const world = await worldOf();
    await take(world);
    const report = await take(world, {}, writing(world));
    expect(report.kept).toBeGreaterThan(KEYS / 2);
    for (const manifest of await world.checkpointsThere())
      expect(await world.problemsOf(manifest)).toEqual([]);
  });

  it('goes on over many invocations, each of which notes what it has found again', async () => {
    const world = await worldOf(200);
    await take(world);
    await world.write(0, 'key 5');
    const lines = await world.lines();
    const { generations } = world;
    const slow: Pick<CheckpointTaker, 'generations'> = {
      generations: {
        scan: (request) => {
          world.nowMs += 20_000;
          return generations.scan(request);
        },
        replaceControl: (before, after) => generations.replaceControl(before, after),
        shards: (generation) => generations.shards(generation),
        costs: () => generations.costs(),
      },
    };
    const reports: CheckpointReport[] = [];
    do reports.push(await take(world, {}, slow));
    while (reports.at(-1)?.status === 'unfinished' && reports.length < 50);
    expect(reports.length).toBeGreaterThan(3);
    expect(reports.at(-1)).toMatchObject({ status: 'taken', kept: 199, items: 200 });
    await expectGood(world, new Map([[reports.at(-1)?.id ?? '', lines]]));
  });

  it.each([
    ['before', Infinity],
    ['behind', Infinity],
    ['before', 2],
    ['behind', 2],
  ] as const)('dies %s any request and is gone on with or begun anew', async (when, spillsFrom) => {
    let died = true;
    for (let at = 1; died; at++) {
      const world = await worldOf(25, spillsFrom);
      await take(world, {}, { partBytes: 100 });
      await world.write(1, 'key 7');
      await world.write(0, 'new');
      // Parts are noted often: what has been found again is, too.
      const small = { partBytes: 100 };
      const failure = await take(world, {}, { ...new Process(at, when).ports(world), ...small }).catch(
        (error: unknown) => error,
      );
      died = failure instanceof Died || world.logged.length > 0;
      for (const manifest of await world.checkpointsThere()) {
        expect(await world.problemsOf(manifest), `${at}`).toEqual([]);
      }
      await world.write(1, 'key 3');
      expect((await take(world, {}, small)).status, `${at}`).toBe('taken');
      for (const manifest of await world.checkpointsThere()) {
        expect(await world.problemsOf(manifest), `${at}`).toEqual([]);
      }
      expect((await world.store.readControl()).checkpoint, `${at}`).toBeUndefined();
    }
  });

  it('is there where what it keeps cannot be asked for behind its manifest, and the next call ends it at once', async () => {
    const world = await worldOf();
    await take(world);
    await world.write(0, 'key 3');
    let isThere = false;
    const failing = new Proxy(world.checkpoints, {
      get: (target, name) => {
        const member = Reflect.get(target, name, target) as (...given: unknown[]) => Promise<unknown>;
        return async (...given: unknown[]) => {
          if (name === 'getPart' && isThere) throw new Error('Slow down');
          if (name === 'putManifest') isThere = true;
          return Reflect.apply(member, target, given);
        };
      },
    });
    await expect(take(world, {}, { checkpoints: failing })).rejects.toThrow('Slow down');
    const report = await world.take({}, { deltas: DELTAS });
    expect(report).toMatchObject({ status: 'taken', isNew: false, kept: KEYS - 1 });
    await expectGood(world, new Map([[report.id ?? '', await world.lines()]]));
    expect(world.logged).toEqual([]);
  });

  describe('of which an object of kept lines is damaged before it is gone on with', () => {
    type Damage = (world: TakingWorld, id: string, name: string) => Promise<void> | void;
    const damages: readonly (readonly [string, Damage])[] = [
      ['is missing', (world, id, name) => void world.checkpoints.objects.delete(`${id}/${name}`)],
      ['is empty', (world, id, name) => world.checkpoints.putPart(id, name, new Uint8Array())],
      [
        'is cut off',
        ({ checkpoints }, id, name) =>
          checkpoints.putPart(
            id,
            name,
            (checkpoints.objects.get(`${id}/${name}`) as Uint8Array).slice(0, -3),
          ),
      ],
      ['is garbage', (world, id, name) => world.checkpoints.putPart(id, name, new Uint8Array(40).fill(7))],
      [
        'is of another time',
        (world, id, name) => world.checkpoints.putPart(id, name, new KeptLines(KEYS).pack().packed),
      ],
      // The note names what stands there, which is of another number of lines, or nothing that was packed.
      ['tells of fewer lines', (world, id, name) => replaced(world, id, name, gzipSync(new Uint8Array(1)))],
      [
        'tells of more lines',
        (world, id, name) => replaced(world, id, name, gzipSync(new Uint8Array(1_000))),
      ],
      ['was never packed', (world, id, name) => replaced(world, id, name, new Uint8Array(40).fill(7))],
    ];

    async function replaced(
      { checkpoints }: TakingWorld,
      id: string,
      name: string,
      bytes: Uint8Array,
    ): Promise<void> {
      const { text, version } = (await checkpoints.getWork(id)) as KeptWork;
      const [before = ''] = new RegExp(`(?<="${name}","bytes":\\d+,"sha256":")\\w+`).exec(text) ?? [];
      expect(before).toHaveLength(64);
      await checkpoints.putPart(id, name, bytes);
      await checkpoints.putWork(id, text.replace(before, sha256(bytes)), version);
    }

    /** Each page takes a third of the time that there is. */
    function slow(world: TakingWorld): Pick<CheckpointTaker, 'generations'> {
      const { generations } = world;
      return {
        generations: {
          scan: (request) => {
            world.nowMs += 20_000;
            return generations.scan(request);
          },
          replaceControl: (before, after) => generations.replaceControl(before, after),
          shards: (generation) => world.generations.shards(generation),
          costs: () => generations.costs(),
        },
      };
    }

    /** A delta of a table that changes, which has found lines again and stored some. */
    async function unfinished(): Promise<{
      world: TakingWorld;
      id: string;
      kept: string[];
      work: CheckpointWork;
    }> {
      const world = await worldOf();
      await take(world);
      for (let number = 0; number < KEYS; number += 4) await world.write(0, `key ${number}`);
      const { id = '', status } = await take(world, {}, { ...slow(world), partBytes: 300 });
      expect(status).toBe('unfinished');
      for (const key of ['key 1', 'key 2', 'key 58', 'new']) await world.write(0, key);
      return { world, id, ...(await notedOf(world, id)) };
    }

    async function notedOf(
      world: TakingWorld,
      id: string,
    ): Promise<{ kept: string[]; work: CheckpointWork }> {
      const work = JSON.parse((await world.checkpoints.getWork(id))?.text ?? '') as CheckpointWork;
      const kept = work.segments.map((segment) => segment.kept?.name).filter((name) => name !== undefined);
      expect(kept.length).toBeGreaterThan(0);
      return { kept, work };
    }

    async function expectFull(world: TakingWorld, { status, id }: CheckpointReport): Promise<void> {
      expect(status).toBe('taken');
      const manifest = await openCheckpoint(world.checkpoints, id ?? '');
      expect(manifest.delta).toBeUndefined();
      expect(manifest.parts.filter(({ from }) => from !== undefined)).toEqual([]);
      for (const there of await world.checkpointsThere()) expect(await world.problemsOf(there)).toEqual([]);
      expect((await world.store.readControl()).checkpoint).toBeUndefined();
    }

    it.each(damages)('goes on as a full one, and says so: it %s', async (_, damage) => {
      const { world, id, kept } = await unfinished();
      await damage(world, id, kept[0] ?? '');
      const report = await take(world);
      expect(report).toMatchObject({ id, isNew: false });
      expect(report).not.toHaveProperty('kept');
      await expectFull(world, report);
      expect(world.logged).toHaveLength(1);
      expect(world.logged[0]).toContain('goes on as a full checkpoint');
      expect(world.logged[0]).toContain(id);
      // What follows is a delta upon it.
      const lines = await world.lines();
      const next = await take(world);
      expect(next.kept).toBeGreaterThan(0);
      await expectGood(world, new Map([[next.id ?? '', lines]]));
    });

    it('comes to its end though whatever it notes is lost behind each invocation', async () => {
      const { world, id } = await unfinished();
      const reports: CheckpointReport[] = [];
      do {
        for (const name of world.checkpoints.objects.keys()) {
          if (name.startsWith(id) && name.endsWith('.kept.gz')) world.checkpoints.objects.delete(name);
        }
        reports.push(await take(world, {}, slow(world)));
      } while (reports.at(-1)?.status === 'unfinished' && reports.length < 20);
      expect(reports.length).toBeGreaterThan(1);
      expect(reports.at(-1)?.id).toBe(id);
      await expectFull(world, reports.at(-1) as CheckpointReport);
      expect(world.logged).toHaveLength(1);
    });

    it.each(['before', 'behind'] as const)('is no other where it dies %s any request', async (when) => {
      let died = true;
      for (let at = 1; died; at++) {
        const { world, id, kept } = await unfinished();
        world.checkpoints.objects.delete(`${id}/${kept[0]}`);
        const ports = new Process(at, when).ports(world);
        const failure = await take(world, {}, { ...ports, partBytes: 300 }).catch((error: unknown) => error);
        died = failure instanceof Died || world.logged.some((line) => line.includes('behind it'));
        for (const there of await world.checkpointsThere()) {
          expect(await world.problemsOf(there), `${at}`).toEqual([]);
        }
        const { status } = await take(world);
        expect(status, `${at}`).toBe('taken');
        for (const there of await world.checkpointsThere()) {
          expect(await world.problemsOf(there), `${at}`).toEqual([]);
        }
        const manifest = await openCheckpoint(world.checkpoints, id);
        expect(manifest.delta, `${at}`).toBeUndefined();
      }
    });

    it('is no checkpoint where that happens behind its manifest, and another one is begun', async () => {
      const world = await worldOf();
      await take(world);
      await world.write(0, 'key 3');
      const dying = new Proxy(world.checkpoints, {
        get: (target, name) => {
          const member = Reflect.get(target, name, target) as (...given: unknown[]) => Promise<unknown>;
          return async (...given: unknown[]) => {
            const answer = await Reflect.apply(member, target, given);
            if (name === 'putManifest') throw new Died();
            return answer;
          };
        },
      });
      await expect(take(world, {}, { checkpoints: dying })).rejects.toThrow(Died);
      const spoilt = (await world.checkpointsThere()).at(-1) as Manifest;
      world.checkpoints.objects.delete(`${spoilt.id}/${spoilt.delta?.kept[0]?.name}`);

      // Another one dies as soon as it is hidden: nobody goes on with that.
      const refusing = { replaceControl: () => Promise.reject(new Died()) };
      const generations = new Proxy(world.generations, {
        get: (target, name) =>
          name in refusing ? refusing.replaceControl : (Reflect.get(target, name, target) as unknown),
      });
      await expect(take(world, {}, { generations })).rejects.toThrow(Died);
      expect((await world.checkpointsThere()).map(({ id }) => id)).not.toContain(spoilt.id);

      const report = await take(world);
      expect(report).toMatchObject({ status: 'taken', isNew: true });
      expect(report.id).not.toBe(spoilt.id);
      expect(world.logged.join()).toContain('it is no checkpoint');
      await expectGood(world, new Map([[report.id ?? '', await world.lines()]]));
      expect(await world.checkpoints.folders()).not.toContain(spoilt.id);
    });

    it('is not spoilt by who had all of it, slept before its manifest, and wakes when the base was deleted', async () => {
      for (const [isGoneOn, isBack] of [
        [true, true],
        [false, true],
        [true, false],
        [false, false],
      ]) {
        const world = await worldOf();
        const { id: base = '' } = await take(world);
        await world.write(0, 'key 3');
        let spared = false;
        const sleepy = new Proxy(world.checkpoints, {
          get: (target, name) => {
            const member = Reflect.get(target, name, target) as (...given: unknown[]) => Promise<unknown>;
            return async (...given: unknown[]) => {
              if (name === 'putManifest') {
                const { id } = given[0] as Manifest;
                const name = (await notedOf(world, id)).kept[0] ?? '';
                const object = (await world.checkpoints.getPart(id, name)) as Uint8Array;
                world.checkpoints.objects.delete(`${id}/${name}`);
                world.nowMs += 2 * MINUTE_MS;
                // Another goes on: to its end, or until its first page.
                const until = world.nowMs + HOUR_MS + (isGoneOn === true ? MINUTE_MS : 1);
                await take(world, {}, { deadlineMs: until });
                spared = !(await deleteCheckpoint(world.checkpoints, base)) || isGoneOn === true;
                if (isBack === true) await world.checkpoints.putPart(id, name, object);
              }
              return Reflect.apply(member, target, given);
            };
          },
        });
        const startMs = world.nowMs + HOUR_MS;
        await take(world, {}, { checkpoints: sleepy, clock: { nowMs: () => startMs } });
        expect(spared).toBe(true);
        const there = await world.checkpointsThere();
        expect(there).toHaveLength(isGoneOn === true || isBack === true ? 1 : 0);
        for (const manifest of there) expect(await world.problemsOf(manifest)).toEqual([]);
      }
    });
  });

  it.each(['no JSON', '{"format":3}'])(
    'is begun anew where the manifest that somebody has left cannot be read: %j',
    async (text) => {
      const world = await worldOf();
      const { id = '' } = await take(world, {}, { deadlineMs: world.nowMs + HOUR_MS + 1 });
      world.checkpoints.objects.set(`${id}/manifest.json`, Buffer.from(text));
      const report = await take(world);
      expect(report).toMatchObject({ status: 'taken', isNew: true });
      expect(report.id).not.toBe(id);
      expect(world.logged.join()).toContain('cannot be read: another one is begun');
      expect((await world.store.readControl()).checkpoint).toBeUndefined();
    },
  );

  it.each(['', 'no JSON', '{"id":"2027', 'null', '{}'])(
    'is begun anew where its work file is damaged, and holds up removing no longer than it may be gone on with: %j',
    async (text) => {
      const world = await worldOf();
      await take(world);
      const { id = '', status } = await take(world, {}, { deadlineMs: world.nowMs + HOUR_MS + 1 });
      expect(status).toBe('unfinished');
      world.checkpoints.objects.set(`${id}/work.json`, Buffer.from(text));
      const report = await take(world);
      expect(report).toMatchObject({ status: 'taken', isNew: true });
      expect(report.id).not.toBe(id);
      expect(world.logged.join()).toContain('another one is begun');
      await expectGood(world, new Map([[report.id ?? '', await world.lines()]]));
      const only = { retention: { keepLast: 1, keepDaily: 0 } };
      const { id: full = '' } = await take(world, { isFull: true }, only);
      expect(await world.checkpoints.folders()).toContain(id);
      world.nowMs += 90_000_000 + 24 * HOUR_MS;
      const last = await take(world, { isFull: true }, only);
      expect(last.removed).toContain(full);
      expect(await world.checkpoints.folders()).toEqual([last.id]);
    },
  );

  it('is not confused by who held it before, fell asleep and wakes at any moment', async () => {
    let slept = true;
    for (let at = 1; slept; at++) {
      const world = await worldOf(25);
      await take(world);
      slept = false;
      let second: CheckpointReport | undefined;
      const sleepy = happeningAt(world.checkpoints, at, async () => {
        slept = true;
        world.nowMs += 2 * MINUTE_MS;
        await world.write(0, 'key 1');
        second = await take(world);
      });
      const startMs = world.nowMs + HOUR_MS;
      const first = await take(world, {}, { checkpoints: sleepy, clock: { nowMs: () => startMs } }).catch(
        (error: unknown) => error as Error,
      );
      if (slept) expect(second?.status, `asleep at ${at}`).toBe('taken');
      expect(first, `asleep at ${at}`).not.toBeInstanceOf(Error);
      for (const manifest of await world.checkpointsThere()) {
        expect(await world.problemsOf(manifest), `asleep at ${at}`).toEqual([]);
      }
      expect(world.logged, `asleep at ${at}`).toEqual([]);
    }
  });

  it.each(['before', 'behind'] as const)(
    'is good when a person deletes its base %s any request',
    async (when) => {
      let deleted = true;
      let deltas = 0;
      let fulls = 0;
      for (let at = 1; deleted; at++) {
        const world = await worldOf(25);
        const { id = '' } = await take(world);
        await world.write(0, 'key 1');
        deleted = false;
        const watched = happeningAt(
          world.checkpoints,
          at,
          async () => {
            deleted = true;
            await deleteCheckpoint(world.checkpoints, id);
          },
          when,
        );
        const report = await take(world, {}, { checkpoints: watched });
        expect(report.status, `${at}`).toBe('taken');
        if (report.kept === undefined) fulls += 1;
        else deltas += 1;
        for (const manifest of await world.checkpointsThere()) {
          expect(await world.problemsOf(manifest), `${at}`).toEqual([]);
        }
      }
      expect(deltas).toBeGreaterThan(0);
      expect(fulls).toBeGreaterThan(0);
    },
  );

  /** A person deletes it, and is held up before the first folder goes. */
  function deletion(world: TakingWorld, id: string): { start(): Promise<void>; goOn(): Promise<void> } {
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    let done: Promise<unknown> = Promise.resolve();
    return {
      start: async () => {
        await new Promise<void>((atGate) => {
          const gated = new Proxy(world.checkpoints, {
            get: (target, name) => {
              const member = Reflect.get(target, name, target) as (...given: unknown[]) => Promise<unknown>;
              return async (...given: unknown[]) => {
                if (name === 'remove') {
                  atGate();
                  await opened;
                }
                return Reflect.apply(member, target, given);
              };
            },
          });
          done = deleteCheckpoint(gated, id).finally(atGate);
        });
      },
      goOn: async () => {
        open();
        await done;
      },
    };
  }

  it('is good where that person has looked before any request, and removes before any later one', async () => {
    let started = true;
    for (let from = 1; started; from++) {
      let removed = true;
      for (let to = from + 1; removed; to++) {
        const world = await worldOf(8);
        const { id = '' } = await take(world);
        const person = deletion(world, id);
        started = false;
        removed = false;
        const removing = happeningAt(world.checkpoints, to, async () => {
          removed = true;
          await person.goOn();
        });
        const starting = happeningAt(removing, from, async () => {
          started = true;
          await person.start();
        });
        expect((await take(world, {}, { checkpoints: starting })).status, `${from} to ${to}`).toBe('taken');
        if (started) await person.goOn();
        for (const manifest of await world.checkpointsThere()) {
          expect(await world.problemsOf(manifest), `${from} to ${to}`).toEqual([]);
        }
      }
    }
  });

  it('is good where one person who deletes another checkpoint is held up before any request, and one deletes its base', async () => {
    let isHeldUp = true;
    for (let at = 1; isHeldUp; at++) {
      const world = await worldOf(8);
      const { id: other = '' } = await take(world, { isFull: true });
      const { id: base = '' } = await take(world, { isFull: true });
      let goOn: () => void = () => undefined;
      isHeldUp = false;
      const gate = new Promise<void>((resolve) => (goOn = resolve));
      let slow: Promise<unknown> = Promise.resolve();
      await new Promise<void>((atGate) => {
        const gated = happeningAt(world.checkpoints, at, async () => {
          isHeldUp = true;
          atGate();
          await gate;
        });
        slow = deleteCheckpoint(gated, other).finally(atGate);
      });
      const report = await take(world);
      expect(report, `${at}`).toMatchObject({ status: 'taken', kept: 8 });
      await deleteCheckpoint(world.checkpoints, base);
      goOn();
      await slow;
      for (const manifest of await world.checkpointsThere()) {
        expect(await world.problemsOf(manifest), `${at}`).toEqual([]);
      }
    }
  });

  it('is so where the first one dies in between, and another goes on', async () => {
    let started = true;
    for (let from = 1; started; from++) {
      for (const dies of [from, from + 1, from + 2]) {
        let removed = true;
        for (let to = 1; removed; to++) {
          const world = await worldOf(8);
          const { id = '' } = await take(world);
          const person = deletion(world, id);
          started = false;
          const dying = happeningAt(world.checkpoints, dies, () => Promise.reject(new Died()), 'behind');
          const starting = happeningAt(dying, from, async () => {
            started = true;
            await person.start();
          });
          await take(world, {}, { checkpoints: starting }).catch(() => undefined);
          removed = false;
          const removing = happeningAt(world.checkpoints, to, async () => {
            removed = true;
            await person.goOn();
          });
          const where = `${from}, ${dies}, ${to}`;
          expect((await take(world, {}, { checkpoints: removing })).status, where).toBe('taken');
          await person.goOn();
          for (const manifest of await world.checkpointsThere()) {
            expect(await world.problemsOf(manifest), where).toEqual([]);
          }
        }
      }
    }
  });
});

/** A store before or behind whose so-manieth request something happens. */
function happeningAt(
  store: CheckpointStore,
  at: number,
  happens: () => Promise<void>,
  when: 'before' | 'behind' = 'before',
): CheckpointStore {
  let requests = 0;
  return new Proxy(store, {
    get: (target, name) => {
      const member = Reflect.get(target, name, target) as (...given: unknown[]) => Promise<unknown>;
      return async (...given: unknown[]) => {
        const isIt = ++requests === at;
        if (isIt && when === 'before') await happens();
        const answer: unknown = await Reflect.apply(member, target, given);
        if (isIt && when === 'behind') await happens();
        return answer;
      };
    },
  });
}

type Deed =
  | { readonly does: 'put'; readonly key: number }
  | { readonly does: 'forget'; readonly key: number }
  | { readonly does: 'take'; readonly kind: 'any' | 'full' | 'savepoint' | 'interrupted' }
  | { readonly does: 'delete'; readonly which: number }
  | { readonly does: 'retain'; readonly keepLast: number };

const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ does: fc.constant('put' as const), key: fc.nat(14) }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('forget' as const), key: fc.nat(14) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant('take' as const),
      kind: fc.constantFrom(
        'any' as const,
        'any' as const,
        'full' as const,
        'savepoint' as const,
        'interrupted' as const,
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('delete' as const), which: fc.nat(9) }) },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constant('retain' as const), keepLast: fc.integer({ min: 1, max: 4 }) }),
  },
);

describe('whatever is written, forgotten, taken and deleted', () => {
  it('each checkpoint that is listed gives the state of its moment, and nothing is left over (I8)', async () => {
    let deltasSeen = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(deed, { minLength: 5, maxLength: 60 }),
        fc.integer({ min: 2, max: 6 }),
        async (deeds, fullEvery) => {
          const world = await worldOf(10);
          const expected = new Map<string, string[]>();
          let keepLast = 24;
          let savepoints = 0;
          const changes = (): Partial<CheckpointTaker> => ({
            deltas: { fullEvery, poolLines: 1_000 },
            retention: { keepLast, keepDaily: 0 },
            partBytes: 300,
          });
          for (const each of deeds) {
            if (each.does === 'put') await world.write(0, `key ${each.key}`);
            if (each.does === 'forget') await world.forget(`key ${each.key}`);
            if (each.does === 'retain') keepLast = each.keepLast;
            if (each.does === 'delete') {
              const there = await world.checkpointsThere();
              const id = there[each.which % Math.max(1, there.length)]?.id;
              if (id !== undefined) await deleteCheckpoint(world.checkpoints, id);
            }
            if (each.does === 'take') {
              if (each.kind === 'interrupted') await take(world, {}, { ...changes(), deadlineMs: 0 });
              const request: CheckpointRequest = {
                ...(each.kind === 'savepoint' && { savepoint: `s${savepoints++}` }),
                ...(each.kind === 'full' && { isFull: true }),
              };
              const lines = await world.lines();
              const report = await take(world, request, changes());
              expect(report.status).toBe('taken');
              if (report.kept !== undefined) deltasSeen += 1;
              expected.set(report.id ?? '', lines);
            }
            await expectGood(world, expected);
          }
          for (const { id } of await world.checkpointsThere()) await deleteCheckpoint(world.checkpoints, id);
          expect(await world.checkpoints.folders()).toEqual([]);
        },
      ),
      { numRuns: 300 },
    );
    expect(deltasSeen).toBeGreaterThan(100);
  });
});

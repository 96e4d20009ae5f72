import { describe, expect, it } from 'vitest';
import { checkpointId } from '../../../shared/checkpoint/checkpoint-id.ts';
import type { CheckpointWork } from '../../../shared/checkpoint/checkpoint-work.ts';
import type { CheckpointStore } from '../../../shared/checkpoint/checkpoint-store.ts';
import type { CheckpointReport, CheckpointTaker } from '../../../shared/checkpoint/take-checkpoint.ts';
import { encodePosition, type Position } from '../../../shared/source/position.ts';
import { Died, MINUTE_MS, Process, SHARDS, TakingWorld } from './taking.ts';

const HOUR_MS = 60 * MINUTE_MS;

async function worldOf(keys: number, spillsFrom?: number): Promise<TakingWorld> {
  const world = new TakingWorld(spillsFrom);
  await world.open();
  for (let number = 0; number < 2 * keys; number++) await world.write(number % 2, `key ${number % keys}`);
  return world;
}

/** Behind every page of a scan: a record of a key that is known, and one of a new key. */
function writing(world: TakingWorld): Pick<CheckpointTaker, 'generations'> {
  const { generations } = world;
  let writes = 0;
  return {
    generations: {
      scan: async (request) => {
        const page = await generations.scan(request);
        await world.write(writes % 2, `key ${writes % 7}`);
        await world.write(writes % 2, `new ${writes++}`);
        return page;
      },
      replaceControl: (before, after) => generations.replaceControl(before, after),
      shards: (generation) => generations.shards(generation),
      costs: () => generations.costs(),
    },
  };
}

describe('taking a checkpoint', () => {
  it('stores every item, and the positions of every shard', async () => {
    const world = await worldOf(45);
    const report = await world.take({ savepoint: 'before-deploy' });
    expect(report).toMatchObject({ status: 'taken', isNew: true, items: 45, savepoint: 'before-deploy' });
    const [manifest, ...others] = await world.checkpointsThere();
    expect(others).toEqual([]);
    expect(manifest).toMatchObject({
      id: report.id,
      savepoint: 'before-deploy',
      generation: 1,
      operators: [{ name: 'count', version: 1 }],
      shards: SHARDS.map((shardId) => ({ shardId, sequenceNumber: '45', records: 45, isKnown: true })),
    });
    expect(manifest && (await world.problemsOf(manifest))).toEqual([]);
    expect([...world.checkpoints.objects.keys()].filter((name) => name.endsWith('work.json'))).toEqual([]);
    expect((await world.store.readControl()).checkpoint).toBeUndefined();
  });

  it('tells how far shards were, and of which kind lanes were, when all was scanned', async () => {
    const world = await worldOf(45);
    const { generations } = writing(world);
    const report = await world.take(
      {},
      {
        generations: {
          ...generations,
          scan: async (request) => {
            await world.store.readControl(true);
            return generations.scan(request);
          },
        },
      },
    );
    const [manifest] = await world.checkpointsThere();
    expect(manifest).toMatchObject({ id: report.id, isByPartition: true });
    for (const { shard, position } of manifest?.shards ?? []) {
      const reached = manifest?.reached?.[shard];
      const progress = await world.store.readProgress(1, shard);
      expect(reached?.position).toBe(encodePosition(progress?.position as Position));
      expect((reached?.position ?? '') > (position ?? '')).toBe(true);
    }
  });

  it('of an empty table gives a checkpoint without items', async () => {
    const world = new TakingWorld();
    expect(await world.take()).toMatchObject({ status: 'taken', items: 0, bytes: 0, parts: 0 });
    const [manifest] = await world.checkpointsThere();
    expect(manifest?.shards.map(({ isKnown }) => isKnown)).toEqual([false, false]);
    expect(manifest && (await world.problemsOf(manifest))).toEqual([]);
  });

  it('copies spilled states by value', async () => {
    const world = await worldOf(15, 2);
    expect(world.blobs.names().length).toBeGreaterThan(10);
    await world.take();
    for (const name of world.blobs.names()) await world.blobs.remove(name);
    const [manifest] = await world.checkpointsThere();
    expect(manifest && (await world.problemsOf(manifest))).toEqual([]);
  });

  it.each([Infinity, 2])('while records are processed loses and doubles nothing (I8)', async (spillsFrom) => {
    const world = await worldOf(45, spillsFrom);
    expect(await world.take({}, writing(world))).toMatchObject({ status: 'taken' });
    const [manifest] = await world.checkpointsThere();
    expect(manifest && (await world.problemsOf(manifest))).toEqual([]);
  });

  it('with positions read after the scan would lose records: the check tells', async () => {
    const world = await worldOf(45);
    await world.take({}, writing(world));
    const [manifest] = await world.checkpointsThere();
    if (manifest === undefined) throw new Error('There is no checkpoint');
    await world.take();
    const later = (await world.checkpointsThere()).at(-1);
    const wrong = { ...manifest, shards: later?.shards ?? [] };
    expect((await world.problemsOf(wrong)).join()).toContain('is lost');
  });

  it('goes on over as many invocations as it takes, and keeps its name', async () => {
    const world = await worldOf(200);
    const reports: CheckpointReport[] = [];
    do {
      const { generations } = writing(world);
      const slow = {
        ...generations,
        scan: async (request: Parameters<typeof generations.scan>[0]) => {
          world.nowMs += 20_000;
          return generations.scan(request);
        },
      };
      reports.push(await world.take(reports.length === 0 ? { savepoint: 's' } : {}, { generations: slow }));
      // Redrives ask the control row, also between two invocations (I8).
      const { checkpoint } = await world.store.readControl();
      expect(checkpoint?.id).toBe(reports.at(-1)?.status === 'taken' ? undefined : reports[0]?.id);
      expect(await world.checkpointsThere()).toHaveLength(reports.at(-1)?.status === 'taken' ? 1 : 0);
    } while (reports.at(-1)?.status === 'unfinished' && reports.length < 50);
    expect(reports.length).toBeGreaterThan(3);
    expect(reports.at(-1)).toMatchObject({ status: 'taken', savepoint: 's', isNew: false });
    expect(new Set(reports.map(({ id }) => id)).size).toBe(1);
    const [manifest] = await world.checkpointsThere();
    expect(manifest?.savepoint).toBe('s');
    expect(manifest && (await world.problemsOf(manifest))).toEqual([]);
  });

  it('keeps to its read units', async () => {
    const world = await worldOf(200);
    const startMs = world.nowMs;
    const before = world.generations.costs().rcu;
    await world.take({}, { readUnitsPerSecond: 10 });
    const seconds = (world.nowMs - startMs) / 1_000;
    const used = world.generations.costs().rcu - before;
    expect(used / seconds).toBeLessThan(15);
    expect(used / seconds).toBeGreaterThan(8);
  });

  it('says so where somebody else takes one, until that one cannot live any more', async () => {
    const world = await worldOf(25);
    let inner: CheckpointReport | undefined;
    const { generations } = world;
    const report = await world.take(
      {},
      {
        generations: {
          scan: async (request) => {
            inner ??= await world.take();
            return generations.scan(request);
          },
          replaceControl: (before, after) => generations.replaceControl(before, after),
          shards: (generation) => generations.shards(generation),
          costs: () => generations.costs(),
        },
      },
    );
    expect(report.status).toBe('taken');
    expect(inner).toMatchObject({ status: 'busy', id: report.id });
    expect(await world.checkpointsThere()).toHaveLength(1);
  });

  it('lets one of many at once begin', async () => {
    const world = await worldOf(25);
    const reports = await Promise.all(Array.from({ length: 5 }, () => world.take()));
    expect(reports.filter(({ status }) => status === 'taken')).toHaveLength(1);
    expect(reports.filter(({ status }) => status === 'busy')).toHaveLength(4);
  });

  it('is not confused by who held it before, fell asleep and wakes at any moment', async () => {
    let slept = true;
    for (let at = 1; slept; at++) {
      const world = await worldOf(45);
      slept = false;
      let requests = 0;
      let second: CheckpointReport | undefined;
      const sleepy = (store: CheckpointStore): CheckpointStore =>
        new Proxy(store, {
          get: (target, name) => {
            const member = Reflect.get(target, name, target) as (...given: unknown[]) => Promise<unknown>;
            return async (...given: unknown[]) => {
              if (++requests === at) {
                slept = true;
                world.nowMs += 2 * MINUTE_MS;
                await world.write(0, 'key 1');
                second = await world.take({}, { deadlineMs: world.nowMs + MINUTE_MS });
              }
              return Reflect.apply(member, target, given);
            };
          },
        });
      // Its own clock has stood still.
      const startMs = world.nowMs;
      const first = await world
        .take({}, { checkpoints: sleepy(world.checkpoints), clock: { nowMs: () => startMs } })
        .catch((error: unknown) => error as Error);
      if (slept) expect(second?.status, `asleep at ${at}`).toBe('taken');
      expect(first, `asleep at ${at}`).not.toBeInstanceOf(Error);
      for (const manifest of await world.checkpointsThere()) {
        expect(await world.problemsOf(manifest), `asleep at ${at}`).toEqual([]);
      }
      expect(world.logged, `asleep at ${at}`).toEqual([]);
    }
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
      const failure = await world
        .take({}, new Process(at, when).ports(world))
        .catch((error: unknown) => error);
      died = failure instanceof Died || world.logged.length > 0;
      const left = await world.checkpointsThere();
      for (const manifest of left) expect(await world.problemsOf(manifest), `${at}`).toEqual([]);
      await world.write(1, 'key 3');
      world.nowMs += 2 * MINUTE_MS;
      const report = await world.take();
      expect(report.status, `${at}`).toBe('taken');
      const there = await world.checkpointsThere();
      expect(there.length).toBeGreaterThan(0);
      for (const manifest of there) expect(await world.problemsOf(manifest), `${at}`).toEqual([]);
      expect((await world.store.readControl()).checkpoint, `${at}`).toBeUndefined();
      // What is left over goes when nobody can want it any more, and nothing else does.
      world.nowMs += 60 * HOUR_MS;
      await world.take();
      expect(await world.checkpoints.folders()).toHaveLength((await world.checkpointsThere()).length);
    }
  });

  it('fails with a request that fails, and lets the next go on at once', async () => {
    const world = await worldOf(25);
    const failing = new Proxy(world.checkpoints, {
      get: (target, name) =>
        name === 'putPart'
          ? () => Promise.reject(new Error('SlowDown'))
          : (Reflect.get(target, name, target) as () => void).bind(target),
    });
    await expect(world.take({}, { checkpoints: failing })).rejects.toThrow('SlowDown');
    expect(await world.take()).toMatchObject({ status: 'taken', isNew: false });
  });

  it('is abandoned where a rewind made another generation current meanwhile', async () => {
    const world = await worldOf(45);
    const { generations } = world;
    let isFirst = true;
    const report = await world.take(
      {},
      {
        generations: {
          scan: async (request) => {
            const page = await generations.scan(request);
            if (isFirst) {
              isFirst = false;
              const control = await world.store.readControl();
              await generations.replaceControl(control, { ...control, generation: 2, nextGeneration: 3 });
            }
            return page;
          },
          replaceControl: (before, after) => generations.replaceControl(before, after),
          shards: (generation) => generations.shards(generation),
          costs: () => generations.costs(),
        },
      },
    );
    expect(report.status).toBe('abandoned');
    expect(await world.checkpointsThere()).toEqual([]);
    expect((await world.store.readControl()).checkpoint).toBeUndefined();
    // The next is of the new generation, which has nothing.
    expect(await world.take()).toMatchObject({ status: 'taken', items: 0, isNew: true });
  });

  it('waits for a rewind that is under way', async () => {
    const world = await worldOf(5);
    const control = await world.store.readControl();
    const rewind = {
      id: 'r1',
      checkpoint: 'c',
      from: 1,
      to: 2,
      step: 'seal',
      outputs: 'same',
      startedMs: 5,
      holder: 'h',
    } as const;
    await world.generations.replaceControl(control, { ...control, rewind });
    expect(await world.take()).toEqual({ status: 'busy', rewind: 'r1' });
  });

  it('begins one anew where the unfinished one is of an earlier generation, or beyond the horizon', async () => {
    for (const isOld of [false, true]) {
      const world = await worldOf(45);
      const asleep = await world.take({}, { deadlineMs: world.nowMs + 1 });
      expect(asleep.status).toBe('unfinished');
      if (isOld) world.nowMs += 26 * HOUR_MS;
      else {
        const control = await world.store.readControl();
        await world.generations.replaceControl(control, { ...control, generation: 2, nextGeneration: 3 });
      }
      const report = await world.take();
      expect(report).toMatchObject({ status: 'taken', isNew: true });
      expect(report.id).not.toBe(asleep.id);
    }
  });

  it('begins only where the newest is old enough, if asked so', async () => {
    const world = await worldOf(5);
    const ifOlderThanMs = HOUR_MS;
    const first = await world.take({ ifOlderThanMs });
    expect(first.status).toBe('taken');
    world.nowMs += HOUR_MS - 1;
    expect(await world.take({ ifOlderThanMs })).toEqual({ status: 'notDue', id: first.id });
    world.nowMs += 1;
    expect((await world.take({ ifOlderThanMs })).status).toBe('taken');
  });

  it('says from when on it can become no checkpoint, however late an invocation goes on with it', async () => {
    const world = await worldOf(25);
    await world.take({}, { deadlineMs: world.nowMs + 1 });
    const { checkpoint } = await world.store.readControl();
    const lastMs = world.nowMs + 90_000 * 1_000;
    world.nowMs = lastMs;
    const deadlineMs = lastMs + 15 * MINUTE_MS;
    expect(checkpoint?.overMs).toBe(deadlineMs);
    expect(await world.take({}, { deadlineMs })).toMatchObject({ status: 'taken', id: checkpoint?.id });
  });

  it('goes on with an unfinished one although none is due', async () => {
    const world = await worldOf(5);
    await world.take();
    expect((await world.take({}, { deadlineMs: world.nowMs + 1 })).status).toBe('unfinished');
    expect(await world.take({ ifOlderThanMs: HOUR_MS })).toMatchObject({ status: 'taken', isNew: false });
  });

  it('gives a name once', async () => {
    const world = await worldOf(5);
    const first = await world.take({ savepoint: 's' });
    expect(await world.take({ savepoint: 's' })).toEqual({
      status: 'nameTaken',
      id: first.id,
      savepoint: 's',
    });
  });

  it('notes how far it is with every part', async () => {
    const world = await worldOf(25);
    const report = await world.take({}, { deadlineMs: world.nowMs + 1 });
    const work = JSON.parse((await world.checkpoints.getWork(report.id ?? ''))?.text ?? '') as CheckpointWork;
    expect(work.shards).toHaveLength(2);
    expect(work.segments.every(({ isDone }) => !isDone)).toBe(true);
  });
});

describe('retention', () => {
  it('keeps the last, one of each day, every savepoint, and what a rewind needs', async () => {
    const world = await worldOf(2);
    const retention = { keepLast: 3, keepDaily: 2 };
    const savepoint = await world.take({ savepoint: 's' }, { retention });
    for (let hour = 0; hour < 100; hour++) {
      world.nowMs += HOUR_MS;
      await world.take({}, { retention });
    }
    const ids = (await world.checkpointsThere()).map(({ id }) => id);
    const newest = checkpointId(world.nowMs, 'x').slice(0, 13);
    expect(ids).toHaveLength(5);
    expect(ids[0]).toBe(savepoint.id);
    expect(ids.at(-1)?.slice(0, 13)).toBe(newest);
    const days = ids.slice(1).map((id) => id.slice(0, 10));
    expect(new Set(days).size).toBe(2);

    const control = await world.store.readControl();
    const needed = ids.at(-3) ?? '';
    const rewind = {
      id: 'r',
      checkpoint: needed,
      from: 1,
      to: 2,
      step: 'release',
      outputs: 'same',
      startedMs: 5,
      holder: 'h',
    } as const;
    const taken = world.take({}, { retention: { keepLast: 1, keepDaily: 0 } });
    await world.generations.replaceControl(control, { ...control, rewind });
    await taken;
    expect(await world.checkpoints.hasManifest(needed)).toBe(true);
  });

  it('never removes the newest, whatever is asked for', async () => {
    const world = await worldOf(2);
    for (let hour = 0; hour < 3; hour++) {
      world.nowMs += HOUR_MS;
      await world.take({}, { retention: { keepLast: 0, keepDaily: 0 } });
    }
    expect(await world.checkpointsThere()).toHaveLength(1);
  });

  it('keeps a checkpoint whose manifest it cannot read', async () => {
    const world = await worldOf(2);
    const id = checkpointId(0, 'x');
    world.checkpoints.objects.set(`${id}/manifest.json`, Buffer.from('{"format":99}'));
    await world.take({}, { retention: { keepLast: 1, keepDaily: 0 } });
    expect(await world.checkpoints.hasManifest(id)).toBe(true);
  });
});

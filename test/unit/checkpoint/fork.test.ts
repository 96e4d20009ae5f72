import { describe, expect, it } from 'vitest';
import { copyCheckpoint, lettersOfFork } from '../../../shared/checkpoint/fork.ts';
import type { Manifest } from '../../../shared/checkpoint/manifest.ts';
import { applyRetention } from '../../../shared/checkpoint/retention.ts';
import { beginRewind, takeOver } from '../../../shared/checkpoint/rewind.ts';
import { judgeFork } from '../../../shared/checkpoint/rewind-objections.ts';
import type { RewindNews } from '../../../shared/checkpoint/drive-rewind.ts';
import { processBatch } from '../../../shared/engine/process-batch.ts';
import { programOf } from '../../../shared/engine/program.ts';
import { kinesis, pipeline, type Pipeline } from '../../../shared/index.ts';
import { processLetters } from '../../../shared/engine/redrive.ts';
import { without } from '../../../shared/state/without.ts';
import { recordBatch, sourceRecord, wholeItems } from '../../support/memory-ports.ts';
import {
  checkpoint,
  contents,
  drive,
  process,
  rewinderOf,
  rewindWorld,
  tolled,
  type RewindWorld,
  type Toll,
} from './rewinding.ts';

interface Value {
  readonly key: string;
  readonly id: number;
  readonly bad?: boolean;
}

function listing(name: string, isMended = false): Pipeline {
  return pipeline(name)
    .from(kinesis<Value>('s'))
    .keyBy(({ key }) => key)
    .mapWithState<number[], number>('list', ({ id, bad }, state) => {
      if (bad === true && !isMended) throw new Error('bad');
      state.update([...(state.get() ?? []), id]);
      return id;
    })
    .to(kinesis('events'));
}

const SHARDS = [0, 1].map((shard) =>
  Array.from({ length: 8 }, (_, number) =>
    sourceRecord(shard, number, {
      value: {
        key: `${['a', 'b', 'c'][number % 3] ?? ''}${number % 2 === 0 ? '' : shard}`,
        id: shard * 100 + number,
        ...(number === 1 && { bad: true }),
      },
    }),
  ),
);
const REWIND = { holder: 'h', outputs: 'same' } as const;
const REQUEST = { ...REWIND, id: 'r', checkpoint: 'c', forks: 'new' } as const;
type Options = Parameters<typeof rewindWorld>[2];

/** A pipeline that has taken a checkpoint behind record 3 of each shard, in its third generation, and gone on to 6. */
async function older(
  options?: Options,
): Promise<{ readonly world: RewindWorld; readonly manifest: Manifest }> {
  const world = rewindWorld(listing('old'), SHARDS, options);
  for (const shard of [0, 1]) await process(world, shard, 0, 3);
  for (const id of ['one', 'two']) {
    await checkpoint(world, id);
    const rewinder = rewinderOf(world);
    await beginRewind(rewinder, { ...REWIND, id, checkpoint: id });
    await drive(world, rewinder, { id, holder: 'h' });
  }
  const manifest = await checkpoint(world, 'c');
  expect(manifest.generation).toBe(3);
  for (const shard of [0, 1]) await process(world, shard, 3, 6);
  return { world, manifest };
}

/** A pipeline that processes nothing before it is a fork. */
function awaiting(of: Pipeline, options?: Options): RewindWorld {
  return rewindWorld(of, SHARDS, { ...options, awaitsFork: true });
}

/** What a live batch is answered. */
async function failedFrom({ world }: RewindWorld, shard: number): Promise<unknown> {
  const batch = recordBatch(shard, SHARDS[shard] ?? []);
  return (await processBatch(world.runtime, batch, world.nowMs + 60_000)).failedFrom;
}

function copy(from: RewindWorld, to: RewindWorld, manifest: Manifest, toll?: Toll): Promise<Manifest> {
  const { checkpoints } = to;
  const { closedLetters } = to.world.runtime;
  return copyCheckpoint(
    { ...from.world.runtime, checkpoints: from.checkpoints },
    {
      pipeline: 'new',
      checkpoints: toll === undefined ? checkpoints : tolled(checkpoints, 'checkpoints', toll),
      closedLetters: toll === undefined ? closedLetters : tolled(closedLetters, 'letters', toll),
    },
    manifest,
    to.world.nowMs,
  );
}

async function forked(world: RewindWorld, changes: object = {}): Promise<void> {
  const rewinder = rewinderOf(world);
  expect(await beginRewind(rewinder, { ...REQUEST, ...changes })).toMatchObject({ kind: 'at' });
  expect(await drive(world, rewinder, { ...REQUEST, ...changes })).toEqual({ kind: 'finished' });
}

/** The states of all keys, whatever lanes they came in by. */
function valuesOf(world: RewindWorld, generation: number): unknown {
  return [...contents(world, generation)].map(([pk, item]) => [pk, (item as { states: unknown }).states]);
}

/** The states and marks of all keys; the ids of outputs say which pipeline made them. */
function statesOf(world: RewindWorld, generation: number): unknown {
  return [...contents(world, generation)].map(([pk, item]) => {
    const { states, letters } = item as { states: unknown; letters: unknown };
    return [pk, states, letters];
  });
}

describe('a fork', () => {
  it.each<[string, Options]>([
    ['goes on from the checkpoint with the records of the stream from its oldest on', {}],
    ['restores spilled states', { inlineStateBytes: 1 }],
    ['knows by marks what it has where lanes are by partition key', { parallelizationFactor: 2 }],
  ])('%s (I8)', async (_, options) => {
    const { world: old, manifest } = await older(options);
    const world = awaiting(listing('new'), options);
    await copy(old, world, manifest);
    await forked(world);
    expect(world.isEnabled).toBe(true);
    for (const shard of [0, 1]) {
      await process(world, shard, 0, 8);
      await process(old, shard, 6, 8);
    }
    expect(statesOf(world, 2)).toEqual(statesOf(old, 3));
    const ids = world.world.sinks.get('events')?.delivered.map(({ id }) => id) ?? [];
    expect(ids.length).toBeGreaterThan(0);
    expect(ids.every((id) => id.startsWith('new/'))).toBe(true);
    expect(world.world.nowMs).toBeGreaterThan(0);
  });

  it('leaves lanes by partition key as they are, whatever the new mapping has', async () => {
    const { world: old, manifest } = await older({ parallelizationFactor: 2 });
    const world = awaiting(listing('new'));
    await copy(old, world, manifest);
    await forked(world);
    expect((await world.world.store.readControl()).isByPartition).toBe(true);
    for (const shard of [0, 1]) await process(world, shard, 0, 6);
    expect(statesOf(world, 2)).toEqual(statesOf(old, 3));
  });

  it('has the letters that are open in the checkpoint, and those that were closed since', async () => {
    const { world: old, manifest } = await older();
    const [first = ''] = [...old.world.letters.keys()].filter((name) => name.startsWith('3/'));
    const mended = { ...old.world.runtime, program: programOf(listing('old', true).definition) };
    const request = { action: 'redrive', names: [first], isForced: true, session: 's' } as const;
    expect(await processLetters(mended, request, old.world.nowMs + 60_000)).toMatchObject([
      { outcome: 'redriven' },
    ]);
    const world = awaiting(listing('new', true));
    await copy(old, world, manifest);
    await forked(world);
    const names = [...world.world.letters.keys()];
    expect(names).toHaveLength(2);
    expect([...world.world.letters.values()].map(({ pipeline: name }) => name)).toEqual(['new', 'new']);
    const results = await processLetters(
      world.world.runtime,
      { ...request, names },
      world.world.nowMs + 60_000,
    );
    expect(results.map(({ outcome }) => outcome)).toEqual(['redriven', 'redriven']);
  });

  it('replays what the pipeline has processed by itself, where its state may be left', async () => {
    const { world: old, manifest } = await older();
    const world = rewindWorld(listing('new'), SHARDS);
    for (const shard of [0, 1]) await process(world, shard, 2, 6);
    await copy(old, world, manifest);
    const before = new Map(world.world.store.rows);
    expect(await beginRewind(rewinderOf(world), REQUEST)).toEqual({
      kind: 'refused',
      reasons: [expect.stringContaining('processes records by itself')],
    });
    expect(world.world.store.rows).toEqual(before);
    await forked(world, { forks: 'replace' });
    expect(statesOf(world, 2)).toEqual(statesOf(old, 3));
  });

  it('replaces nothing of which it is not proven that it has published what the other one has', async () => {
    const { manifest } = await older();
    const refusalOf = async (world: RewindWorld, of = manifest): Promise<unknown> => {
      const before = new Map(world.world.store.rows);
      const answer = await judgeFork(rewinderOf(world), of, { outputs: 'same', forks: 'replace' });
      expect(world.world.store.rows).toEqual(before);
      return answer;
    };
    const because = (text: string): unknown => ({
      kind: 'refused',
      reasons: [expect.stringContaining(text)],
    });

    const live = rewindWorld(listing('new'), SHARDS);
    await process(live, 0, 0, 6);
    await process(live, 1, 0, 2);
    expect(await refusalOf(live)).toEqual(
      because(`not come as far in shard ${manifest.shards[1]?.shard ?? ''}`),
    );
    await process(live, 1, 2, 3);
    expect(await refusalOf(live)).toBeUndefined();
    expect(await refusalOf(live, without(manifest, 'reached'))).toEqual(
      because('an earlier version has taken'),
    );

    const parallel = rewindWorld(listing('new'), SHARDS, { parallelizationFactor: 2 });
    for (const shard of [0, 1]) await process(parallel, shard, 0, 6);
    expect(await refusalOf(parallel)).toEqual(because('ParallelizationFactor above 1'));
  });

  it('has other lanes than the checkpoint, where that tells what was handed in by shard', async () => {
    const { world: old, manifest } = await older();
    const world = awaiting(listing('new'), { parallelizationFactor: 2 });
    await copy(old, world, without(manifest, 'reached'));
    expect(await beginRewind(rewinderOf(world), REQUEST)).toEqual({
      kind: 'refused',
      reasons: [expect.stringContaining('nothing tells what was handed in by shard: take another one')],
    });
    const other = awaiting(listing('new'), { parallelizationFactor: 2 });
    await copy(old, other, manifest);
    await forked(other);
    for (const shard of [0, 1]) {
      const lane = manifest.shards[shard]?.shard ?? '';
      expect(other.world.store.progress(2, lane)).toMatchObject({
        isByPartition: false,
        position: SHARDS[shard]?.[2]?.position,
        handedIn: SHARDS[shard]?.[2]?.position,
      });
      await process(other, shard, 0, 6);
      expect(other.world.store.progress(2, lane)).toMatchObject({
        isByPartition: true,
        byShardUntil: SHARDS[shard]?.[2]?.position,
      });
    }
    expect(valuesOf(other, 2)).toEqual(valuesOf(old, 3));
  });

  it('processes nothing before, and nothing once it is taken back', async () => {
    const { world: old, manifest } = await older();
    const world = awaiting(listing('new'));
    for (const shard of [0, 1]) expect(await failedFrom(world, shard)).toEqual(SHARDS[shard]?.[0]?.position);
    await copy(old, world, manifest);
    const rewinder = rewinderOf(world);
    await beginRewind(rewinder, REQUEST);
    expect(await drive(world, rewinder, { ...REQUEST, undoes: true })).toEqual({ kind: 'finished' });
    expect((await world.world.store.readControl()).phase).toBe('awaitsFork');
    for (const shard of [0, 1]) expect(await failedFrom(world, shard)).toBeDefined();
    expect(wholeItems(world.world).size).toBe(0);

    await forked(world, { id: 'again' });
    for (const shard of [0, 1]) await process(world, shard, 0, 6);
    const { generation } = await world.world.store.readControl();
    expect(statesOf(world, generation)).toEqual(statesOf(old, 3));
  });

  it('is taken back once its state is restored, and begun again', async () => {
    const { world: old, manifest } = await older();
    const world = awaiting(listing('new'));
    await copy(old, world, manifest);
    const rewinder = rewinderOf(world);
    await beginRewind(rewinder, REQUEST);
    const dies = (news: RewindNews): void => {
      if (news.kind === 'step' && news.control.rewind?.step === 'replay') throw new Error('dies');
    };
    await expect(drive(world, rewinder, { ...REQUEST, onNews: dies })).rejects.toThrow('dies');
    expect(await drive(world, rewinder, { ...REQUEST, undoes: true })).toEqual({ kind: 'finished' });
    expect(await failedFrom(world, 0)).toBeDefined();
    await forked(world, { id: 'again' });
    for (const shard of [0, 1]) await process(world, shard, 0, 6);
    const { generation } = await world.world.store.readControl();
    expect(statesOf(world, generation)).toEqual(statesOf(old, 3));
  });

  it('goes back to the checkpoint that it began with by a rewind like any other', async () => {
    const { world: old, manifest } = await older();
    const world = awaiting(listing('new'));
    await copy(old, world, manifest);
    await forked(world);
    for (const shard of [0, 1]) await process(world, shard, 0, 6);
    const rewinder = rewinderOf(world);
    await beginRewind(rewinder, { ...REWIND, id: 'back', checkpoint: 'c' });
    expect(await drive(world, rewinder, { id: 'back', holder: 'h' })).toEqual({ kind: 'finished' });
    expect(statesOf(world, 3)).toEqual(statesOf(old, 3));
  });

  it('is judged before anything is copied, and writes nothing', async () => {
    const { world: old, manifest } = await older();
    const world = awaiting(listing('new'));
    await world.world.store.readControl();
    const before = new Map(world.world.store.rows);
    const choices = { outputs: 'same', forks: 'new' } as const;
    expect(await judgeFork(rewinderOf(world), { ...manifest, parts: [] }, choices)).toBeUndefined();
    const unknown = [{ name: 'other', version: 1 }];
    expect(await judgeFork(rewinderOf(world), { ...manifest, operators: unknown }, choices)).toMatchObject({
      kind: 'refused',
    });
    expect(await judgeFork(rewinderOf(old), manifest, choices)).toEqual({
      kind: 'refused',
      reasons: [expect.stringContaining('not forked into itself')],
    });
    world.trimmed.set(0, 4);
    expect(await judgeFork(rewinderOf(world), manifest, choices)).toMatchObject({ kind: 'gaps' });
    expect(world.world.store.rows).toEqual(before);
    expect(world.checkpoints.objects.size).toBe(0);
  });

  it('keeps its source from retention while it copies', async () => {
    const { world: old, manifest } = await older();
    const world = awaiting(listing('new'));
    for (const id of [...(await old.checkpoints.folders())]) {
      if (id !== 'c') await old.checkpoints.remove(id);
    }
    await checkpoint(old, 'd');
    const nowMs = world.world.nowMs;
    const tidy = (atMs: number): Promise<string[]> =>
      applyRetention({
        checkpoints: old.checkpoints,
        retention: { keepLast: 1, keepDaily: 1 },
        nowMs: atMs,
        resumableMs: 0,
        inUse: new Set(),
      });
    let removed: string[] | undefined;
    await copy(old, world, manifest, () => {
      removed ??= [];
      void tidy(nowMs).then((ids) => removed?.push(...ids));
    });
    expect(removed).toEqual([]);
    await forked(world);
    expect(await tidy(nowMs + 8 * 24 * 3_600_000)).toEqual(['c']);
  });

  it('is none where its source is removed by hand while it is copied', async () => {
    const { world: old, manifest } = await older();
    const world = awaiting(listing('new'));
    // The manifest goes first; letters may go from then on.
    old.checkpoints.objects.delete('c/manifest.json');
    await expect(copy(old, world, manifest)).rejects.toThrow('was removed while it was copied');
    expect(await world.checkpoints.hasManifest('c')).toBe(false);
  });

  it('has a fork of its own from the same checkpoint, with its letters', async () => {
    const { world: old, manifest } = await older();
    const middle = awaiting(listing('new'));
    const copied = await copy(old, middle, manifest);
    await forked(middle);
    for (const shard of [0, 1]) await process(middle, shard, 0, 6);
    const world = awaiting(listing('newest'));
    const { world: target, checkpoints } = world;
    await copyCheckpoint(
      { ...middle.world.runtime, checkpoints: middle.checkpoints },
      { pipeline: 'newest', checkpoints, closedLetters: target.runtime.closedLetters },
      copied,
      target.nowMs,
    );
    await forked(world);
    for (const shard of [0, 1]) await process(world, shard, 0, 6);
    expect(statesOf(world, 2)).toEqual(statesOf(old, 3));
    expect([...target.letters.values()].map(({ pipeline: name }) => name)).toEqual(['newest', 'newest']);
  });

  it('is refused where the stream does not reach back to the checkpoint, unless that is allowed', async () => {
    const { world: old, manifest } = await older();
    const world = awaiting(listing('new'));
    world.trimmed.set(0, 4);
    await copy(old, world, manifest);
    await world.world.store.readControl();
    const before = new Map(world.world.store.rows);
    expect(await beginRewind(rewinderOf(world), REQUEST)).toMatchObject({
      kind: 'gaps',
      gaps: [{ oldest: SHARDS[0]?.[4]?.position.sequence }],
    });
    expect(world.world.store.rows).toEqual(before);
    await forked(world, { allowsGap: true });
  });

  it('is refused in another stream, with a repartition, and to code that does not know its state', async () => {
    const { world: old, manifest } = await older();
    const world = awaiting(listing('new'));
    const elsewhere = manifest.shards.map((shard) => ({ ...shard, stream: 'another' }));
    await copy(old, world, { ...manifest, shards: elsewhere });
    expect(await beginRewind(rewinderOf(world), REQUEST)).toEqual({
      kind: 'refused',
      reasons: [expect.stringContaining("'old' reads another, and this pipeline input")],
    });
    const other = pipeline('new')
      .from(kinesis<Value>('s'))
      .repartition('inner', ({ key }) => key)
      .keyBy(({ key }) => key)
      .mapWithState<number, number>('count', (_, state) => (state.get() ?? 0) + 1)
      .to(kinesis('events'));
    const next = awaiting(other);
    await copy(old, next, manifest);
    expect(await beginRewind(rewinderOf(next), REQUEST)).toEqual({
      kind: 'refused',
      reasons: [
        expect.stringContaining("state of operator 'list'"),
        expect.stringContaining('a pipeline with a repartition cannot be forked'),
      ],
    });
  });

  it('is no checkpoint before all of it is copied, and is copied again where that was interrupted', async () => {
    for (const moment of ['before', 'after'] as const) {
      for (let at = 1; ; at++) {
        const { world: old, manifest } = await older();
        const world = awaiting(listing('new'));
        let requests = 0;
        const dies: Toll = (_, when) => {
          if (when === 'before') requests += 1;
          if (requests > at || (requests === at && when === moment)) throw new Error('dies');
        };
        const died = await copy(old, world, manifest, dies).then(
          () => false,
          () => true,
        );
        const isThere = await world.checkpoints.hasManifest('c');
        if (isThere) await forked(world);
        else expect(await beginRewind(rewinderOf(world), REQUEST)).toMatchObject({ kind: 'refused' });
        await copy(old, world, manifest);
        if (!isThere) await forked(world);
        for (const shard of [0, 1]) await process(world, shard, 0, 6);
        expect({ at, states: statesOf(world, 2) }).toEqual({ at, states: statesOf(old, 3) });
        expect([...world.world.letters.keys()].filter((name) => name.startsWith('2/'))).toHaveLength(2);
        if (!died) break;
      }
    }
  });

  it('is gone on with where it was interrupted at any request', async () => {
    for (let at = 0; ; at += 3) {
      const { world: old, manifest } = await older();
      const world = awaiting(listing('new'));
      await copy(old, world, manifest);
      let requests = 0;
      const dies: Toll = (_, when) => {
        if (when === 'before' && requests++ >= at) throw new Error('dies');
      };
      const rewinder = rewinderOf(world, dies);
      let isDone = false;
      try {
        await beginRewind(rewinder, REQUEST);
        isDone = (await drive(world, rewinder, REQUEST)).kind === 'finished';
      } catch (error) {
        expect(String(error)).toContain('dies');
      }
      if (!isDone) {
        const again = rewinderOf(world);
        const { rewind, generation } = await world.world.store.readControl();
        if (rewind === undefined && generation === 1)
          await beginRewind(again, { ...REQUEST, holder: 'again' });
        await takeOver(again, 'again');
        expect(await drive(world, again, { id: 'r', holder: 'again' })).toEqual({ kind: 'finished' });
      }
      for (const shard of [0, 1]) await process(world, shard, 0, 6);
      expect({ at, states: statesOf(world, 2) }).toEqual({ at, states: statesOf(old, 3) });
      if (isDone) break;
    }
  });

  it('keeps letters of the other pipeline where no generation of its own finds them', async () => {
    const { world: old, manifest } = await older();
    const world = awaiting(listing('new'));
    await copy(old, world, manifest);
    const kept: string[] = [];
    for await (const page of lettersOfFork(world.world.runtime.closedLetters, 'c').list('3/')) {
      kept.push(...page.map(({ name }) => name));
    }
    expect(kept).toHaveLength(2);
    for await (const page of world.world.runtime.closedLetters.list('3/')) expect(page).toEqual([]);
    expect(wholeItems(world.world).size).toBe(0);
  });
});

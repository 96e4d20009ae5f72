import { describe, expect, it } from 'vitest';
import {
  LEFT_GENERATION_AGE_MS,
  removeGenerations,
  REMOVAL_CURSOR,
  type RemovalReport,
} from '../../../shared/checkpoint/remove-generations.ts';
import { beginRewind, undo } from '../../../shared/checkpoint/rewind.ts';
import { kinesis, pipeline } from '../../../shared/index.ts';
import { generationOfRow } from '../../../shared/state/row-key.ts';
import { sourceRecord } from '../../support/memory-ports.ts';
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

const SUBJECT = pipeline('p')
  .from(kinesis<{ readonly key: string; readonly id: number }>('s'))
  .keyBy(({ key }) => key)
  .mapWithState<number[], number>('list', ({ id }, state) => {
    if (id === 1) throw new Error('bad');
    state.update([...(state.get() ?? []), id]);
    return id;
  })
  .to(kinesis('events'));

const RECORDS = Array.from({ length: 30 }, (_, id) =>
  sourceRecord(0, id, { value: { key: `k${id % 12}`, id } }),
);
const REQUEST = { id: 'r', holder: 'h', checkpoint: 'c', outputs: 'same' } as const;

/** A world whose spilled states, rows and letters are in generations 1 and 2. */
async function rewound(ends: 'release' | 'undo' = 'release'): Promise<RewindWorld> {
  const world = rewindWorld(SUBJECT, [RECORDS], { inlineStateBytes: 1 });
  await process(world, 0, 0, 10);
  await checkpoint(world, 'c');
  await process(world, 0, 10, 20);
  const rewinder = rewinderOf(world);
  await beginRewind(rewinder, REQUEST);
  if (ends === 'release') {
    await drive(world, rewinder, REQUEST);
    return world;
  }
  await drive(world, rewinder, {
    ...REQUEST,
    onNews: ({ kind }) => {
      if (kind === 'replayed') throw new Error('dies');
    },
  }).catch(() => undefined);
  const { version = 0 } = await world.world.store.readControl();
  await undo(rewinder, version);
  await drive(world, rewinder, { ...REQUEST, undoes: true });
  return world;
}

function remove(
  world: RewindWorld,
  toll?: Toll,
  keepGoing: () => boolean = () => true,
): Promise<RemovalReport> {
  const { runtime, generations, checkpoints } = rewinderOf(world, toll);
  return removeGenerations({
    store: runtime.store,
    generations,
    checkpoints,
    blobs: toll === undefined ? world.world.blobs : tolled(world.world.blobs, 'blobs', toll),
    deadLetters: runtime.deadLetters,
    clock: runtime.clock,
    wait: runtime.wait,
    keepGoing,
  });
}

/** What is there of a generation. */
function traces({ world }: RewindWorld, generation: number): Record<string, number> {
  const isOf = (name: string): boolean => name.startsWith(`${generation}/`);
  return {
    rows: [...world.store.rows.keys()].filter((pk) => generationOfRow(pk) === generation).length,
    objects: world.blobs.names().filter(isOf).length,
    letters: [...world.letters.keys()].filter(isOf).length,
  };
}

const NONE = { rows: 0, objects: 0, letters: 0 };

describe('a generation that was left', () => {
  it('stays for a week, and is then removed with all that belongs to it', async () => {
    const world = await rewound();
    const before = contents(world, 2);
    const own = traces(world, 2);
    expect(traces(world, 1)).toEqual({ rows: 14, objects: 12, letters: 1 });
    world.world.nowMs += LEFT_GENERATION_AGE_MS - 1;
    expect(await remove(world)).toMatchObject({ rows: 0, objects: 0, isComplete: true });
    world.world.nowMs += 1;
    await world.checkpoints.remove('c');
    expect(await remove(world)).toEqual({
      rows: 14,
      objects: 12,
      letters: 1,
      generations: [1],
      isComplete: true,
    });
    expect(traces(world, 1)).toEqual(NONE);
    expect(traces(world, 2)).toEqual(own);
    expect((await world.world.store.readControl()).left).toBeUndefined();
    await process(world, 0, 20, 30);
    expect(contents(world, 2).size).toBe(before.size);
  });

  it('is removed where a rewind was undone', async () => {
    const world = await rewound('undo');
    expect((await world.world.store.readControl()).left).toMatchObject([{ generation: 2 }]);
    await world.checkpoints.remove('c');
    world.world.nowMs += LEFT_GENERATION_AGE_MS;
    const before = traces(world, 1);
    await remove(world);
    expect(traces(world, 2)).toEqual(NONE);
    expect(traces(world, 1)).toEqual(before);
  });

  it('leaves its letters for as long as a checkpoint of it exists, so that a rewind to it finds them', async () => {
    const world = await rewound();
    world.world.nowMs += LEFT_GENERATION_AGE_MS;
    expect(await remove(world)).toMatchObject({ rows: 14, letters: 0, generations: [] });
    expect(traces(world, 1)).toEqual({ ...NONE, letters: 1 });
    expect((await world.world.store.readControl()).left).toMatchObject([{ generation: 1, hasNoRows: true }]);
    const again = { ...REQUEST, id: 'again' };
    const rewinder = rewinderOf(world);
    await beginRewind(rewinder, again);
    await drive(world, rewinder, again);
    expect(traces(world, 3).letters).toBe(1);
    await world.checkpoints.remove('c');
    expect(await remove(world)).toMatchObject({ letters: 1, generations: [1] });
    expect((await world.world.store.readControl()).left).toMatchObject([{ generation: 2 }]);
  });

  it('is left alone while a rewind is under way', async () => {
    const world = await rewound();
    world.world.nowMs += LEFT_GENERATION_AGE_MS;
    await beginRewind(rewinderOf(world), { ...REQUEST, id: 'again' });
    expect(await remove(world)).toMatchObject({ rows: 0, objects: 0, letters: 0 });
  });

  it('is removed call by call, each going on where the one before ended', async () => {
    const world = await rewound();
    await world.checkpoints.remove('c');
    world.world.nowMs += LEFT_GENERATION_AGE_MS;
    const reports: RemovalReport[] = [];
    for (let calls = 0; calls < 20 && reports.at(-1)?.isComplete !== true; calls++) {
      let left = 4;
      reports.push(await remove(world, undefined, () => left-- > 0));
    }
    expect(reports.length).toBeGreaterThan(1);
    expect(reports.reduce((sum, { rows }) => sum + rows, 0)).toBe(14);
    expect(traces(world, 1)).toEqual(NONE);
    expect(world.world.blobs.names()).not.toContain(REMOVAL_CURSOR);
  });

  it('uses no more write units in a second than half a partition gives', async () => {
    const world = await rewound();
    world.world.nowMs += LEFT_GENERATION_AGE_MS;
    const startMs = world.world.nowMs;
    await remove(world);
    expect(world.world.nowMs - startMs).toBeGreaterThanOrEqual(14 / 0.5 - 10);
  });
});

class Death extends Error {}

describe('the removal of a generation', () => {
  it.each(['before', 'after'] as const)(
    'is done by the next call where it dies %s any request',
    async (moment) => {
      for (let at = 0; ; at++) {
        const world = await rewound();
        await world.checkpoints.remove('c');
        world.world.nowMs += LEFT_GENERATION_AGE_MS;
        const own = { traces: traces(world, 2), contents: contents(world, 2) };
        let requests = 0;
        const dies: Toll = (_, when) => {
          if (when === 'before') requests += 1;
          if (requests > at + 1 || (requests === at + 1 && when === moment)) throw new Death('dies');
        };
        const died = await remove(world, dies).then(
          () => false,
          () => true,
        );
        expect(await remove(world)).toMatchObject({ isComplete: true });
        expect({ at, traces: traces(world, 1) }).toEqual({ at, traces: NONE });
        expect({ traces: traces(world, 2), contents: contents(world, 2) }).toEqual(own);
        expect((await world.world.store.readControl()).left).toBeUndefined();
        if (!died) break;
      }
    },
  );

  it('does no harm where a rewind begins at any moment of it', async () => {
    for (let at = 0; ; at++) {
      const world = await rewound();
      world.world.nowMs += LEFT_GENERATION_AGE_MS;
      let requests = 0;
      let begun: Promise<unknown> | undefined;
      const rewinder = rewinderOf(world);
      const again = { ...REQUEST, id: 'again' };
      const meanwhile: Toll = (_, when) => {
        if (when !== 'before' || requests++ !== at) return;
        begun = beginRewind(rewinder, again);
      };
      await remove(world, meanwhile);
      if (begun === undefined) break;
      // The control row was written by the removal, perhaps: it is done again then.
      await begun;
      expect(await beginRewind(rewinder, again)).toMatchObject({ kind: 'at' });
      expect(await drive(world, rewinder, again)).toEqual({ kind: 'finished' });
      expect(contents(world, 3)).toEqual(contents(await rewound(), 2));
      expect(traces(world, 3).letters).toBe(1);
    }
  });
});

import { describe, expect, it } from 'vitest';
import { replayShard } from '../../../shared/checkpoint/replay.ts';
import { beginRewind, replay, takeOver, undo, type Rewinder } from '../../../shared/checkpoint/rewind.ts';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import { shardLane } from '../../../shared/source/lane.ts';
import { kinesis, pipeline, type Pipeline } from '../../../shared/index.ts';
import { shardId, sourceRecord, STREAM } from '../../support/memory-ports.ts';
import {
  checkpoint,
  contents,
  drive,
  process,
  rewinderOf,
  rewindWorld,
  type RewindWorld,
  type Toll,
} from './rewinding.ts';

interface Value {
  readonly key: string;
  readonly id: number;
  readonly bad?: boolean;
}

function subjectOf(name: string, mapped: (id: number) => number): Pipeline {
  return pipeline(name)
    .from(kinesis<Value>('s'))
    .keyBy(({ key }) => key)
    .mapWithState<number[], number>('list', ({ id, bad }, state) => {
      if (bad === true) throw new Error('bad');
      state.update([...(state.get() ?? []), mapped(id)]);
      return id;
    })
    .to(kinesis('events'));
}

const SUBJECT = subjectOf('p', (id) => id);
const WRONG = subjectOf('p', (id) => -id);

/** Two shards with keys of their own and one that both feed; one record is a dead letter, one has no key. */
const SHARDS = [0, 1].map((shard) =>
  Array.from({ length: 8 }, (_, number) => {
    const value =
      number === 2
        ? 'no JSON'
        : {
            key: `${['a', 'b', 'c'][number % 3] ?? ''}${shard}`,
            id: shard * 100 + number,
            ...(number === 4 && { bad: true }),
          };
    return sourceRecord(shard, number, { value });
  }),
);

const REQUEST = { id: 'r', holder: 'h', checkpoint: 'c', outputs: 'same' } as const;

/** Comes to record 3 of each shard, takes a checkpoint there, and goes on to record 6. */
async function halfway(
  subject = SUBJECT,
  options: Parameters<typeof rewindWorld>[2] = {},
): Promise<RewindWorld> {
  const world = rewindWorld(subject, SHARDS, options);
  for (const shard of [0, 1]) await process(world, shard, 0, 3);
  await checkpoint(world, 'c');
  for (const shard of [0, 1]) await process(world, shard, 3, 6);
  return world;
}

/** A rewind whose driver has died behind the first piece of the replay. */
async function diedWhileReplaying(): Promise<{ world: RewindWorld; rewinder: Rewinder }> {
  const world = await halfway();
  const rewinder = rewinderOf(world);
  await beginRewind(rewinder, REQUEST);
  await drive(world, rewinder, {
    ...REQUEST,
    onNews: ({ kind }) => {
      if (kind === 'replayed') throw new Error('dies');
    },
  }).catch(() => undefined);
  return { world, rewinder };
}

async function cleanRun(below: number): Promise<RewindWorld> {
  const world = rewindWorld(SUBJECT, SHARDS);
  for (const shard of [0, 1]) await process(world, shard, 0, below);
  return world;
}

function eventIds({ world }: RewindWorld): string[] {
  return [...new Set(world.sinks.get('events')?.delivered.map(({ id }) => id))].sort();
}

async function rewound(
  world: RewindWorld,
  changes: Partial<Parameters<typeof beginRewind>[1]> = {},
): Promise<void> {
  const rewinder = rewinderOf(world);
  expect(await beginRewind(rewinder, { ...REQUEST, ...changes })).toMatchObject({ kind: 'at' });
  expect(await drive(world, rewinder, REQUEST)).toEqual({ kind: 'finished' });
}

describe('a rewind', () => {
  it('gives the state and the events, ids included, of a run that was never interrupted (I8)', async () => {
    const world = await halfway();
    await rewound(world);
    const clean = await cleanRun(6);
    expect(contents(world, 2)).toEqual(contents(clean, 1));
    expect(eventIds(world)).toEqual(eventIds(clean));
    const control = await world.world.store.readControl();
    expect(control).toEqual({
      generation: 2,
      nextGeneration: 3,
      phase: 'live',
      version: 6,
      left: [{ generation: 1, atMs: world.world.nowMs }],
    });
    expect(world.isEnabled).toBe(true);
    for (const shard of [0, 1]) await process(world, shard, 6, 8);
    expect(contents(world, 2)).toEqual(contents(await cleanRun(8), 1));
  });

  it('mends what a wrong version of the code has made of the state', async () => {
    const world = rewindWorld(SUBJECT, SHARDS);
    for (const shard of [0, 1]) await process(world, shard, 0, 3);
    await checkpoint(world, 'c');
    const wrong = rewinderOf(world, undefined, WRONG).runtime;
    Object.assign(world.world, { runtime: { ...world.world.runtime, program: wrong.program } });
    for (const shard of [0, 1]) await process(world, shard, 3, 6);
    const right = rewindWorld(SUBJECT, SHARDS).world.runtime;
    Object.assign(world.world, { runtime: { ...world.world.runtime, program: right.program } });
    expect(contents(world, 1)).not.toEqual(contents(await cleanRun(6), 1));
    await rewound(world);
    expect(contents(world, 2)).toEqual(contents(await cleanRun(6), 1));
  });

  it('restores spilled states as objects of the new generation', async () => {
    const world = await halfway(SUBJECT, { inlineStateBytes: 1 });
    await rewound(world);
    expect(contents(world, 2)).toEqual(contents(await cleanRun(6), 1));
    expect(world.world.blobs.names().some((name) => name.startsWith('2/'))).toBe(true);
  });

  it('replays from the oldest record where lanes are by partition key', async () => {
    const world = await halfway(SUBJECT, { parallelizationFactor: 2 });
    await rewound(world);
    const [clean, own] = [await halfway(SUBJECT, { parallelizationFactor: 2 }), contents(world, 2)];
    expect(own).toEqual(contents(clean, 1));
  });

  it.each([
    ['from the first record that was handed in', 0],
    ['what is left behind it', 3],
  ])('replays %s where the factor was raised later', async (_, trimmed) => {
    // The mapping began behind the first two; each record has a key of its own.
    const own = Array.from({ length: 6 }, (_, id) => sourceRecord(0, id, { value: { key: `k${id}`, id } }));
    const world = rewindWorld(SUBJECT, [own]);
    await process(world, 0, 2, 4);
    await checkpoint(world, 'c');
    const { runtime } = world.world;
    const raised: RewindWorld = {
      ...world,
      world: {
        ...world.world,
        runtime: { ...runtime, cache: new ItemCache(), generation: undefined, parallelizationFactor: 2 },
      },
    };
    await process(raised, 0, 4, 6);
    const shard = shardLane(STREAM, shardId(0));
    expect(world.world.store.progress(1, shard)).toMatchObject({
      isByPartition: true,
      first: own[2]?.position,
      byShardUntil: own[3]?.position,
    });
    world.trimmed.set(0, trimmed);
    await rewound(raised);
    const rewoundTo = contents(world, 2);
    // That there may be letters in any lane.
    rewoundTo.delete('/d/*');
    expect(rewoundTo).toEqual(contents(world, 1));
  });

  it('replays a shard that the checkpoint does not know from its first record, behind its parents', async () => {
    const world = rewindWorld(SUBJECT, SHARDS, { parents: new Map([[1, [0]]]) });
    await process(world, 0, 0, 5);
    await checkpoint(world, 'c');
    await process(world, 0, 5, 8);
    await process(world, 1, 2, 6);
    const order: string[] = [];
    const rewinder = rewinderOf(world);
    await beginRewind(rewinder, REQUEST);
    await drive(world, rewinder, {
      ...REQUEST,
      onNews: (news) => void (news.kind === 'replayed' && order.push(news.shard)),
    });
    expect(order).toEqual([0, 1].map((shard) => shardLane(STREAM, shardId(shard))));
    expect(contents(world, 2)).toEqual(contents(world, 1));
    expect(world.world.store.progress(2, order[1] ?? '')?.first?.sequence).toBe(
      SHARDS[1]?.[2]?.position.sequence,
    );
  });

  it('replays a shard behind all from which it came, also by way of one that never had a record', async () => {
    const shards = [SHARDS[0] ?? [], [], SHARDS[1] ?? []];
    const parents = new Map([
      [1, [0]],
      [2, [1]],
    ]);
    const world = rewindWorld(SUBJECT, shards, { parents });
    await checkpoint(world, 'c');
    await process(world, 0, 0, 8);
    await process(world, 2, 0, 6);
    const rewinder = rewinderOf(world);
    await beginRewind(rewinder, REQUEST);
    const order: string[] = [];
    await drive(world, rewinder, {
      ...REQUEST,
      onNews: (news) => void (news.kind === 'replayed' && order.push(news.shard)),
    });
    expect(order).toEqual([0, 2].map((shard) => shardLane(STREAM, shardId(shard))));
  });

  it('refuses live events until it is released, and a replay of what is live', async () => {
    const { world, rewinder } = await diedWhileReplaying();
    await expect(process(world, 0, 6, 8)).rejects.toThrow('not acknowledged');
    expect(world.world.logged.at(-1)).toContain("the shard is in phase 'replay'");
    const { version = 0 } = await world.world.store.readControl();
    await drive(world, rewinder, REQUEST);
    await process(world, 0, 6, 8);
    const shard = shardLane(STREAM, shardId(0));
    expect(await replay(rewinder, version, shard, Infinity, () => true)).toEqual({ kind: 'superseded' });
    const late = {
      generation: 2,
      shard: { stream: STREAM, streamArn: `stream/${STREAM}`, shardId: shardId(0), shard, parents: [] },
      until: { sequence: `${'9'.repeat(60)}`, sub: 0 },
      allowsGap: false,
    };
    const before = contents(world, 2);
    const report = await replayShard(rewinder.runtime, rewinder.source, late, Infinity, () => true);
    expect(report.outcome).toBe('refused');
    expect(contents(world, 2)).toEqual(before);
  });

  it('suppresses outputs of what was published, and stores dead letters', async () => {
    const world = await halfway();
    const before = world.world.sinks.get('events')?.delivered.length;
    await rewound(world, { outputs: 'suppress' });
    expect(world.world.sinks.get('events')?.delivered.length).toBe(before);
    expect([...world.world.letters.keys()].filter((name) => name.startsWith('2/'))).toHaveLength(4);
    for (const shard of [0, 1]) await process(world, shard, 6, 8);
    expect(eventIds(world)).toEqual(eventIds(await cleanRun(8)));
  });

  it('makes outputs anew in a lineage of their own', async () => {
    const world = await halfway();
    await rewound(world, { outputs: 'again' });
    const epochs = world.world.sinks.get('events')?.delivered.map(({ epoch }) => epoch);
    expect(new Set(epochs)).toEqual(new Set([undefined, 2]));
    expect((await world.world.store.readControl()).epoch).toBe(2);
  });

  it('brings back the state alone where nothing is to be replayed', async () => {
    const world = await halfway();
    await rewound(world, { skipsReplay: true });
    expect(contents(world, 2)).toEqual(contents(await cleanRun(3), 1));
    await process(world, 0, 6, 8);
    const shard = shardLane(STREAM, shardId(0));
    expect(world.world.store.progress(2, shard)?.position).toEqual(SHARDS[0]?.[7]?.position);
  });

  it('copies the letters that were open, and those that were closed since', async () => {
    const world = await halfway();
    const names = [...world.world.letters.keys()].filter((name) => !name.includes('/no-key/'));
    expect(names).toHaveLength(2);
    await rewound(world);
    expect([...world.world.letters.keys()].filter((name) => name.startsWith('2/'))).toHaveLength(4);
  });

  it('is refused, with every reason, before anything is written', async () => {
    const world = await halfway();
    const before = new Map(world.world.store.rows);
    const other = pipeline('p')
      .from(kinesis<Value>('s'))
      .keyBy(({ key }) => key)
      .mapWithState<number, number>('count', ({ id }) => id)
      .to(kinesis('events'));
    const rewinder = rewinderOf(world, undefined, other);
    expect(await beginRewind(rewinder, REQUEST)).toEqual({
      kind: 'refused',
      reasons: [expect.stringContaining("it holds state of operator 'list', which the code does not have")],
    });
    expect(await beginRewind(rewinder, { ...REQUEST, checkpoint: 'other' })).toMatchObject({
      kind: 'refused',
    });
    expect(world.world.store.rows).toEqual(before);
  });

  it('tells what the stream does not hold any more, and goes on without it where it may', async () => {
    const world = await halfway();
    world.trimmed.set(0, 4);
    const rewinder = rewinderOf(world);
    const shard = shardLane(STREAM, shardId(0));
    expect(await beginRewind(rewinder, REQUEST)).toMatchObject({
      kind: 'gaps',
      gaps: [{ shard, records: 3, oldest: SHARDS[0]?.[4]?.position.sequence }],
    });
    expect((await world.world.store.readControl()).rewind).toBeUndefined();
    await rewound(world, { allowsGap: true });
    expect(world.world.store.progress(2, shard)?.position).toEqual(SHARDS[0]?.[5]?.position);
  });

  it('gives up a shard of which nothing is left, where it may', async () => {
    const world = await halfway();
    world.trimmed.set(0, 8);
    await rewound(world, { allowsGap: true });
    const shard = shardLane(STREAM, shardId(0));
    expect(world.world.store.progress(2, shard)?.position).toEqual(SHARDS[0]?.[5]?.position);
    await process(world, 1, 6, 8);
  });

  it('stops for who has been superseded', async () => {
    const world = await halfway();
    const rewinder = rewinderOf(world);
    await beginRewind(rewinder, REQUEST);
    await takeOver(rewinderOf(world), 'other');
    expect(await drive(world, rewinder, REQUEST)).toEqual({ kind: 'superseded', holder: 'other' });
    expect(await drive(world, rewinderOf(world), { ...REQUEST, holder: 'other' })).toEqual({
      kind: 'finished',
    });
  });

  it('that was undone after it published is followed by newer revisions', async () => {
    const { world, rewinder } = await diedWhileReplaying();
    const delivered = world.world.sinks.get('events')?.delivered ?? [];
    const highest = Math.max(...delivered.map(({ revision }) => revision));
    const control = await world.world.store.readControl();
    expect(await undo(rewinder, control.version ?? 0)).toMatchObject({ kind: 'at' });
    await drive(world, rewinder, { ...REQUEST, undoes: true });
    const before = delivered.length;
    for (const shard of [0, 1]) await process(world, shard, 6, 8);
    for (const { revision } of delivered.slice(before)) expect(revision).toBeGreaterThan(highest);
    expect(contents(world, 1)).toEqual(contents(await cleanRun(8), 1));
  });
});

class Death extends Error {}

/** Dies at one request; counts them. */
function deathAt(at: number, moment: 'before' | 'after', count = { requests: 0 }): Toll {
  return (_, when) => {
    if (when === 'before') count.requests += 1;
    if (count.requests > at + 1) throw new Death('is dead');
    if (count.requests === at + 1 && when === moment) {
      count.requests += 1;
      throw new Death('dies');
    }
  };
}

describe('a rewind that dies at any request', () => {
  const died = async (at: number, moment: 'before' | 'after'): Promise<RewindWorld> => {
    const world = await halfway();
    const rewinder = rewinderOf(world, deathAt(at, moment));
    try {
      await beginRewind(rewinder, REQUEST);
      await drive(world, rewinder, REQUEST);
    } catch (error) {
      if (!(error instanceof Death) && !String(error).includes('dead')) throw error;
    }
    return world;
  };
  const requests = async (): Promise<number> => {
    const world = await halfway();
    const count = { requests: 0 };
    const rewinder = rewinderOf(world, deathAt(Infinity, 'before', count));
    await beginRewind(rewinder, REQUEST);
    await drive(world, rewinder, REQUEST);
    return count.requests;
  };

  it.each(['before', 'after'] as const)('%s its effect can be resumed (I8)', async (moment) => {
    const count = await requests();
    expect(count).toBeGreaterThan(60);
    const clean = contents(await cleanRun(8), 1);
    const ids = eventIds(await cleanRun(8));
    for (let at = 0; at < count; at++) {
      const world = await died(at, moment);
      const rewinder = rewinderOf(world);
      if ((await world.world.store.readControl()).rewind === undefined) {
        await beginRewind(rewinder, { ...REQUEST, holder: 'again' });
      }
      await takeOver(rewinder, 'again');
      expect(await drive(world, rewinder, { id: 'r', holder: 'again' })).toEqual({ kind: 'finished' });
      for (const shard of [0, 1]) await process(world, shard, 6, 8);
      const { generation } = await world.world.store.readControl();
      expect({ at, contents: contents(world, generation) }).toEqual({ at, contents: clean });
      expect(eventIds(world)).toEqual(ids);
      expect(world.isEnabled).toBe(true);
    }
  });

  it.each(['before', 'after'] as const)('%s its effect can be undone, or is released', async (moment) => {
    const count = await requests();
    const clean = contents(await cleanRun(8), 1);
    const ids = eventIds(await cleanRun(8));
    let undone = 0;
    for (let at = 0; at < count; at++) {
      const world = await died(at, moment);
      const rewinder = rewinderOf(world);
      await takeOver(rewinder, 'again');
      expect(await drive(world, rewinder, { id: 'r', holder: 'again', undoes: true })).toEqual({
        kind: 'finished',
      });
      const { generation, phase } = await world.world.store.readControl();
      expect(phase).toBe('live');
      if (generation === 1) undone += 1;
      for (const shard of [0, 1]) await process(world, shard, 6, 8);
      expect({ at, contents: contents(world, generation) }).toEqual({ at, contents: clean });
      expect(eventIds(world)).toEqual(ids);
      // And again from the beginning, in a generation that was never used.
      const next = { ...REQUEST, id: 's', holder: 's' };
      expect(await beginRewind(rewinder, next)).toMatchObject({ kind: 'at' });
      expect(await drive(world, rewinder, next)).toEqual({ kind: 'finished' });
      const last = await world.world.store.readControl();
      expect(contents(world, last.generation)).toEqual(clean);
    }
    expect(undone).toBeGreaterThan(40);
  });
});

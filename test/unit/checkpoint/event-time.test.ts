import { describe, expect, it } from 'vitest';
import { checkpointLine, itemOfLine, lineBefore } from '../../../shared/checkpoint/checkpoint-line.ts';
import { beginRewind } from '../../../shared/checkpoint/rewind.ts';
import { shardPositions } from '../../../shared/checkpoint/shard-positions.ts';
import { kinesis, pipeline, type Pipeline } from '../../../shared/index.ts';
import { shardLane } from '../../../shared/source/lane.ts';
import { encodePosition } from '../../../shared/source/position.ts';
import { MemoryStreamShards } from '../../../shared/source/stream-shards.ts';
import { MemoryStateStore } from '../../../shared/state/memory-state-store.ts';
import { encodeTime, PROGRESS } from '../../../shared/state/progress-codec.ts';
import { itemKey, progressKey } from '../../../shared/state/row-key.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';
import type { Progress, StateStore } from '../../../shared/state/state-store.ts';
import type { LaneTime } from '../../../shared/time/lane-time.ts';
import { shardId, sourceRecord, STREAM } from '../../support/memory-ports.ts';
import { checkpoint, drive, process, rewinderOf, rewindWorld, type RewindWorld } from './rewinding.ts';

const NOON = 1_767_182_400_000;

const SUBJECT = pipeline('p')
  .from(kinesis<{ readonly key: string }>('s'))
  .keyBy(({ key }) => key)
  .mapWithState<number, number>('count', (_, state) => {
    state.update((state.get() ?? 0) + 1);
    return 1;
  })
  .to(kinesis('events'));

const TIMED: Pipeline = { definition: { ...SUBJECT.definition, time: { at: 0, latenessMs: 0 } } };

const RECORDS = [0, 1].map((shard) =>
  Array.from({ length: 8 }, (_, number) => sourceRecord(shard, number, { value: { key: `k${shard}` } })),
);
const [SHARD = '', OTHER = ''] = [0, 1].map((number) => shardLane(STREAM, shardId(number)));

const REQUEST = { id: 'r', holder: 'h', checkpoint: 'c', outputs: 'same' } as const;

const WAITING: StateItem = {
  pk: itemKey(1, 'waiting'),
  revision: 5,
  marks: new Map(),
  states: new Map([['count', 1]]),
  versions: new Map([['count', 1]]),
  outbox: [],
  firedMs: NOON - 1,
  dueMs: NOON,
};

/** Event time of a shard, as if its batches had told it. */
function setTime(
  { world: { store } }: RewindWorld,
  shard: string,
  time: LaneTime | undefined,
  liftedMs?: number,
) {
  const pk = progressKey(1, shard);
  store.rows.set(pk, {
    ...store.rows.get(pk),
    ...(time !== undefined && { [PROGRESS.time]: encodeTime(time) }),
    ...(liftedMs !== undefined && { [PROGRESS.lifted]: { N: String(liftedMs) } }),
  });
}

/** A checkpoint at record 3 of each shard, and shards that have gone on to record 6 when they are sealed. */
async function halfway(
  subject: Pipeline = SUBJECT,
  options: Parameters<typeof rewindWorld>[2] = {},
): Promise<RewindWorld> {
  const world = rewindWorld(subject, RECORDS, options);
  for (const shard of [0, 1]) await process(world, shard, 0, 3);
  setTime(world, SHARD, { highestMs: NOON, beforeMs: NOON - 5, interval: 3 }, NOON + 1);
  await world.world.store.commit([{ item: WAITING, expectedRevision: undefined, spills: false }]);
  await checkpoint(world, 'c');
  for (const shard of [0, 1]) await process(world, shard, 3, 6);
  setTime(world, SHARD, { highestMs: NOON + 10, beforeMs: NOON, interval: 4 }, NOON + 11);
  return world;
}

async function rewound(
  world: RewindWorld,
  changes: Partial<Parameters<typeof beginRewind>[1]> = {},
): Promise<void> {
  const rewinder = rewinderOf(world);
  expect(await beginRewind(rewinder, { ...REQUEST, ...changes })).toMatchObject({ kind: 'at' });
  expect(await drive(world, rewinder, REQUEST)).toEqual({ kind: 'finished' });
}

function timeOf({ world }: RewindWorld, shard = SHARD): Pick<Progress, 'time' | 'liftedMs'> {
  const { time, liftedMs } = world.store.progress(2, shard) ?? {};
  return { ...(time !== undefined && { time }), ...(liftedMs !== undefined && { liftedMs }) };
}

async function dueKeys(store: StateStore, generation: number): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of store.due(generation, NOON)) keys.push(...page);
  return keys;
}

describe('what an item waits for', () => {
  it('goes through the line of a checkpoint, which is the same in every generation', () => {
    const line = checkpointLine(WAITING);
    expect(line).toBe(
      `{"key":"waiting","revision":5,"states":{"count":1},"item":{"m":{"M":{}},"f":{"N":"${NOON - 1}"},"t":{"N":"${NOON}"}}}`,
    );
    const restored = itemOfLine(line, 1, 7);
    expect(restored).toMatchObject({ pk: itemKey(7, 'waiting'), firedMs: NOON - 1, dueMs: NOON });
    expect(lineBefore(restored, 1)).toBe(line);
  });

  it('goes through it by the clock too', () => {
    const byClock = { ...WAITING, processingFiredMs: 3, processingDueMs: 4 };
    const line = checkpointLine(byClock);
    expect(itemOfLine(line, 1, 7)).toMatchObject({ processingFiredMs: 3, processingDueMs: 4 });
    expect(lineBefore(itemOfLine(line, 1, 7), 1)).toBe(line);
  });

  it('is due in the generation to which it is restored', async () => {
    const world = await halfway();
    await rewound(world);
    expect(await dueKeys(world.world.store, 2)).toEqual([itemKey(2, 'waiting')]);
    expect(await dueKeys(world.world.store, 1)).toEqual([WAITING.pk]);
  });
});

describe('the event time of a shard', () => {
  it('stands in a checkpoint with the position', async () => {
    const store = new MemoryStateStore();
    await store.readControl();
    const time = { highestMs: NOON, beforeMs: 5, interval: 7 };
    const position = { sequence: '7', sub: 0 };
    await store.createProgress(1, SHARD, { position, time, liftedMs: NOON + 1 });
    await store.createProgress(1, OTHER);
    const shards = new MemoryStreamShards(
      new Map([[STREAM, [{ shardId: shardId(0) }, { shardId: shardId(1) }]]]),
    );
    const [first, second] = await shardPositions(store, shards, 1, [STREAM]);
    expect(first).toMatchObject({ position: encodePosition(position), time, liftedMs: NOON + 1 });
    expect(second).not.toHaveProperty('time');
    expect(second).not.toHaveProperty('liftedMs');
  });

  it('goes back with the position to that of the checkpoint (I8)', async () => {
    const world = await halfway();
    await rewound(world);
    expect(timeOf(world)).toEqual({
      time: { highestMs: NOON, beforeMs: NOON - 5, interval: 3 },
      liftedMs: NOON + 1,
    });
    expect(timeOf(world, OTHER)).toEqual({});
  });

  it('goes on from the seal where nothing is replayed', async () => {
    const world = await halfway();
    await rewound(world, { skipsReplay: true });
    expect(timeOf(world)).toEqual({
      time: { highestMs: NOON + 10, beforeMs: NOON, interval: 4 },
      liftedMs: NOON + 11,
    });
  });

  it('begins anew where the stream is replayed from its oldest record', async () => {
    const world = await halfway(SUBJECT, { parallelizationFactor: 2 });
    await rewound(world);
    expect(timeOf(world)).toEqual({});
  });

  it('is that of the seal behind records that are given up', async () => {
    const world = await halfway();
    world.trimmed.set(0, 8);
    await rewound(world, { allowsGap: true });
    expect(timeOf(world).time).toEqual({ highestMs: NOON + 10, beforeMs: NOON, interval: 4 });
  });

  it('is lifted again, behind the replay, as it was at the seal, in a shard that had a lift there', async () => {
    const world = await halfway(TIMED);
    const rewinder = rewinderOf(world);
    await beginRewind(rewinder, REQUEST);
    const lifted: (number | undefined)[] = [];
    const outcome = await drive(world, rewinder, {
      ...REQUEST,
      onNews: ({ kind }) => void (kind === 'replayed' && lifted.push(timeOf(world).liftedMs)),
    });
    expect(outcome).toEqual({ kind: 'finished' });
    expect(new Set(lifted)).toEqual(new Set([NOON + 1]));
    expect(timeOf(world).liftedMs).toBe(NOON + 11);
    expect(timeOf(world, OTHER).liftedMs).toBeUndefined();
  });
});

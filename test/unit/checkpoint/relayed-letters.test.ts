import { expect, it } from 'vitest';
import { beginRewind, takeOver, type Rewinder } from '../../../shared/checkpoint/rewind.ts';
import { processBatch } from '../../../shared/engine/process-batch.ts';
import { relayProgramOf, type Program } from '../../../shared/engine/program.ts';
import type { Runtime } from '../../../shared/engine/runtime.ts';
import { kinesis, pipeline } from '../../../shared/index.ts';
import { shardLane } from '../../../shared/source/lane.ts';
import type { Delivery } from '../../../shared/output/sink-port.ts';
import { recordBatch, shardId, sourceRecord, STREAM } from '../../support/memory-ports.ts';
import { outcomes } from '../engine/redriving.ts';
import {
  checkpoint,
  drive,
  process,
  rewinderOf,
  rewindWorld,
  type RewindWorld,
  type Toll,
} from './rewinding.ts';

/** A stream that is only passed on has no state, and letters without a key alone. */
const PASSED_ON = pipeline('p')
  .from(kinesis<{ readonly key?: string }>('s'))
  .keyBy(({ key }) => key as string)
  .updateStateByKey<number>('n', (_, n = 0) => n + 1);

const RELAYED = shardLane(STREAM, shardId(1));
const KEPT = Array.from({ length: 4 }, (_, number) => sourceRecord(0, number, { value: { key: 'a' } }));
const BAD = Array.from({ length: 4 }, (_, number) => sourceRecord(1, number, { value: {} }));
const REQUEST = { id: 'r', holder: 'h', checkpoint: 'c', outputs: 'same' } as const;

class Death extends Error {}

function relaying(world: RewindWorld, toll?: Toll): Rewinder {
  const rewinder = rewinderOf(world, toll);
  const { source } = rewinder;
  return {
    ...rewinder,
    source: {
      shards: () => source.shards(),
      reader: (...given) => source.reader(...given),
      isRelayed: (shard) => shard !== shardLane(STREAM, shardId(0)),
    },
  };
}

/** Two letters before the checkpoint, of which one is dropped behind it, and two behind it. */
async function halfway(): Promise<RewindWorld> {
  const world = rewindWorld(PASSED_ON, [KEPT, BAD]);
  await process(world, 0, 0, 2);
  await process(world, 1, 0, 2);
  await checkpoint(world, 'c');
  await process(world, 0, 2, 4);
  await process(world, 1, 2, 3);
  const [first = ''] = [...world.world.letters.keys()].toSorted();
  expect(await outcomes(world.world, { action: 'drop', names: [first] })).toEqual(['dropped']);
  return world;
}

async function expectCarried(world: RewindWorld): Promise<void> {
  const { generation, phase } = await world.world.store.readControl();
  expect(phase).toBe('live');
  const namesOf = (letters: ReadonlyMap<string, unknown>): string[] =>
    [...letters.keys()]
      .filter((name) => name.startsWith(`${generation}/no-key/`))
      .map((name) => name.split('/')[2] ?? '')
      .toSorted();
  expect(namesOf(world.world.letters)).toEqual(['0000000001', '0000000002']);
  expect(namesOf(world.world.closedLetters)).toEqual(['0000000000']);
  // The next one is numbered behind them, and none comes again.
  await process(world, 1, 1, 4);
  expect(namesOf(world.world.letters)).toEqual(['0000000001', '0000000002', '0000000003']);
  expect(world.world.store.items().get(`${generation}/d/${RELAYED}`)?.letters).toEqual({
    next: 4,
    closed: [{ from: 0, below: 1 }],
  });
  expect(await outcomes(world.world, { action: 'drop' })).toEqual(
    expect.arrayContaining(['dropped', 'dropped', 'dropped']),
  );
}

it('goes over into the new generation as it was sealed, what a relayed shard has rejected', async () => {
  const world = await halfway();
  const rewinder = relaying(world);
  expect(await beginRewind(rewinder, REQUEST)).toMatchObject({ kind: 'at' });
  expect(await drive(world, rewinder, REQUEST)).toEqual({ kind: 'finished' });
  await expectCarried(world);
});

it.each(['before', 'after'] as const)(
  'goes over whole where the rewind dies %s a request',
  async (moment) => {
    let isDone = false;
    for (let at = 0; !isDone; at++) {
      const world = await halfway();
      let requests = 0;
      const dying = relaying(world, (_, when) => {
        if (when === moment && requests++ >= at) throw new Death();
      });
      try {
        await beginRewind(dying, REQUEST);
        await drive(world, dying, REQUEST);
        isDone = true;
      } catch (error) {
        if (!(error instanceof Death)) throw error;
      }
      const rewinder = relaying(world);
      const { rewind, generation } = await world.world.store.readControl();
      if (rewind === undefined && generation === 1)
        await beginRewind(rewinder, { ...REQUEST, holder: 'again' });
      if ((await world.world.store.readControl()).rewind !== undefined) {
        await takeOver(rewinder, 'again');
        expect(await drive(world, rewinder, { id: 'r', holder: 'again' })).toEqual({ kind: 'finished' });
      }
      await expectCarried(world);
      if (at === 0) expect(isDone).toBe(false);
    }
  },
);

it('is put into the internal stream, what a redrive of before the seal has closed and not put', async () => {
  const world = await halfway();
  const { definition } = pipeline('p')
    .from(kinesis<{ readonly key?: string }>('s'))
    .repartition('internal', ({ key }) => key ?? 'mended')
    .keyBy(({ key }) => key as string)
    .updateStateByKey<number>('n', (_, n = 0) => n + 1);
  const put: Delivery[] = [];
  const front = (takes: boolean): Runtime => ({
    ...world.world.runtime,
    program: relayProgramOf(definition) as Program,
    sinks: new Map([
      [
        'internal',
        {
          maximumDeliveries: 500,
          maximumBytes: 5_000_000,
          deliver: async (deliveries) => {
            if (takes) put.push(...deliveries);
            return deliveries.map(() => takes);
          },
        },
      ],
    ]),
  });
  const names = [...world.world.letters.keys()].filter((name) => name.includes('/0000000001/'));
  expect(await outcomes(world.world, { names }, front(false))).toEqual(['unfinished']);
  const rewinder = relaying(world);
  expect(await beginRewind(rewinder, REQUEST)).toMatchObject({ kind: 'at' });
  expect(await drive(world, rewinder, REQUEST)).toEqual({ kind: 'finished' });
  const { generation } = await world.world.store.readControl();
  const again = names.map((name) => `${generation}${name.slice(name.indexOf('/'))}`);
  expect(await outcomes(world.world, { names: again }, front(true))).toEqual(['alreadyDone']);
  expect(put.map(({ destinationKey }) => destinationKey)).toEqual(['mended']);
  const item = world.world.store.items().get(`${generation}/d/${RELAYED}`);
  expect(item?.outbox.filter(({ kind }) => kind === 'output')).toEqual([]);
});

it('is read once for all shards, what they have rejected, and nothing that is there already', async () => {
  const shards = [KEPT, ...[1, 2].map((shard) => BAD.map((_, at) => sourceRecord(shard, at, { value: {} })))];
  const world = rewindWorld(PASSED_ON, shards);
  await process(world, 0, 0, 2);
  for (const shard of [1, 2]) await process(world, shard, 0, 2);
  await checkpoint(world, 'c');
  for (const shard of [1, 2]) await process(world, shard, 2, 4);
  const calls: string[] = [];
  const rewinder = relaying(world, (call, moment) => {
    if (moment === 'before') calls.push(call);
  });
  await beginRewind(rewinder, REQUEST);
  await drive(world, rewinder, {
    ...REQUEST,
    // What the restore reads does not count.
    onNews: ({ kind }) => {
      if (kind === 'verified') calls.length = 0;
    },
  });
  expect(calls.filter((call) => call === 'letters.get')).toHaveLength(4);
  expect(calls.filter((call) => call === 'letters.put')).toHaveLength(4);
  const { generation } = await world.world.store.readControl();
  expect([...world.world.letters.keys()].filter((name) => name.startsWith(`${generation}/`))).toHaveLength(8);
});

it('goes over where the table is throttled, and where a write has come that nobody was told of', async () => {
  for (const answer of ['failed', 'conflict'] as const) {
    const world = await halfway();
    const { store } = world.world;
    const commit = store.commit.bind(store);
    const refused: string[] = [];
    store.commit = async (writes) => {
      const [write] = writes;
      const pk = write?.item.pk ?? '';
      const isCarried = pk === `2/d/${RELAYED}` && write?.expectedRevision !== undefined;
      if (!isCarried || refused.length > 0) return commit(writes);
      refused.push(pk);
      if (answer === 'conflict') await commit(writes);
      return [answer];
    };
    const rewinder = relaying(world);
    await beginRewind(rewinder, REQUEST);
    expect(await drive(world, rewinder, REQUEST)).toEqual({ kind: 'finished' });
    expect(refused).toHaveLength(1);
    await expectCarried(world);
  }
});

it('is stored behind the rewind, the letter that was committed and not stored before the seal', async () => {
  const world = await halfway();
  const { runtime } = world.world;
  const isFull: Runtime = {
    ...runtime,
    deadLetters: {
      get: (name) => runtime.deadLetters.get(name),
      list: (prefix) => runtime.deadLetters.list(prefix),
      remove: (name) => runtime.deadLetters.remove(name),
      put: async () => {
        throw new Error('S3 says no');
      },
    },
  };
  const last = recordBatch(1, BAD.slice(3));
  const { failedFrom } = await processBatch(isFull, last, world.world.nowMs + 60_000);
  expect(failedFrom).toEqual(BAD[3]?.position);
  const rewinder = relaying(world);
  await beginRewind(rewinder, REQUEST);
  expect(await drive(world, rewinder, REQUEST)).toEqual({ kind: 'finished' });
  await expectCarried(world);
});

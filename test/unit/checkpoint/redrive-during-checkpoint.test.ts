import { describe, expect, it } from 'vitest';
import { redoAll, redoClosedLetters, type RedoReport } from '../../../shared/checkpoint/redo-letters.ts';
import { beginRewind } from '../../../shared/checkpoint/rewind.ts';
import {
  takeCheckpoint,
  type CheckpointReport,
  type CheckpointTaker,
} from '../../../shared/checkpoint/take-checkpoint.ts';
import { programOf } from '../../../shared/engine/program.ts';
import type { LetterResult, LettersRequest } from '../../../shared/engine/letter-results.ts';
import { processLetters } from '../../../shared/engine/redrive.ts';
import { isLetterMark } from '../../../shared/engine/redrive-lane.ts';
import { kinesis, pipeline, type Pipeline } from '../../../shared/index.ts';
import { MemoryStreamShards } from '../../../shared/source/stream-shards.ts';
import { generationOf } from '../../../shared/state/row-key.ts';
import { shardId, sourceRecord, STREAM } from '../../support/memory-ports.ts';
import { gated, pausing, type Gate } from '../engine/redriving.ts';
import { contents, drive, process, rewinderOf, rewindWorld, type RewindWorld } from './rewinding.ts';

interface Value {
  readonly key: string;
  readonly id: number;
}

/** A list and events for each key; a record of several keys is rejected whole until the code is mended. */
function listing(isMended: boolean): Pipeline {
  return pipeline('p')
    .from(kinesis<Value[]>('s'))
    .flatMap((values) => {
      if (values.length > 1 && !isMended) throw new Error('bad');
      return values;
    })
    .keyBy(({ key }) => key)
    .mapWithState<number[], number>('list', ({ id }, state) => {
      state.update([...(state.get() ?? []), id]);
      return id;
    })
    .to(kinesis('events'));
}

const RECORDS = [
  [{ key: 'a', id: 0 }],
  [
    { key: 'a', id: 1 },
    { key: 'b', id: 2 },
  ],
  [{ key: 'b', id: 3 }],
].map((value, number) => sourceRecord(0, number, { value }));

/** Its letter is open, and the code mended. */
async function rejected(): Promise<RewindWorld> {
  const world = rewindWorld(listing(false), [RECORDS]);
  await process(world, 0, 0, RECORDS.length);
  const program = programOf(listing(true).definition);
  Object.assign(world.world, { runtime: { ...world.world.runtime, program } });
  return world;
}

let sessions = 0;

async function ask(
  world: RewindWorld,
  action: LettersRequest['action'],
  runtime = world.world.runtime,
): Promise<LetterResult | undefined> {
  world.world.nowMs += 1;
  const request = {
    action,
    names: [...world.world.letters.keys()],
    isForced: false,
    session: `s${sessions++}`,
  };
  return (await processLetters(runtime, request, world.world.nowMs + 60_000))[0];
}

type Order = 'the shard’s item first' | 'the keys’ items first';

function takerOf(
  { world, checkpoints, generations }: RewindWorld,
  order: Order,
  gate: Gate,
): CheckpointTaker {
  return {
    pipeline: 'p',
    checkpoints,
    generations: {
      // An item to a page.
      scan: async ({ generation, after }) => {
        await gate.before('scan');
        const items = [...world.store.items().values()].filter(({ pk }) => generationOf(pk) === generation);
        items.sort(({ pk: a }, { pk: b }) => (a < b === (order === 'the shard’s item first') ? -1 : 1));
        const at = items.findIndex(({ pk }) => pk === after) + 1;
        const [item, next] = items.slice(at, at + 2);
        await gate.after('scan');
        return { items: item === undefined ? [] : [item], ...(item && next && { next: item.pk }) };
      },
      replaceControl: (before, control) => generations.replaceControl(before, control),
      shards: (generation) => generations.shards(generation),
      costs: () => generations.costs(),
    },
    store: world.runtime.store,
    streamShards: new MemoryStreamShards(new Map([[STREAM, [{ shardId: shardId(0) }]]])),
    streams: [STREAM],
    operators: world.runtime.program.operators.map(({ name, version }) => ({ name, version })),
    horizonSeconds: world.runtime.program.horizonSeconds,
    isByPartition: false,
    retention: { keepLast: 9, keepDaily: 0 },
    segments: 1,
    readUnitsPerSecond: 1_000_000,
    clock: world.runtime.clock,
    wait: world.runtime.wait,
    random: () => `r${sessions++}`,
    log: world.runtime.log,
    deadlineMs: world.nowMs + 60_000,
  };
}

const NO_GATE: Gate = { before: () => undefined, after: () => undefined };

function take(world: RewindWorld, order: Order, gate = NO_GATE): Promise<CheckpointReport> {
  return takeCheckpoint(takerOf(world, order, gate));
}

async function rewound(
  world: RewindWorld,
  id: string,
  skipsReplay = false,
): Promise<Omit<RedoReport, 'after'> | undefined> {
  const rewinder = rewinderOf(world);
  const request = { id: 'r', holder: 'h', checkpoint: id, outputs: 'same' } as const;
  expect(await beginRewind(rewinder, { ...request, skipsReplay })).toMatchObject({ kind: 'at' });
  let report;
  await drive(world, rewinder, {
    ...request,
    whenLive: async ({ version = 0 }) => {
      const redo = (after?: string) =>
        redoClosedLetters(rewinder, {
          version,
          ...(after !== undefined && { after }),
          session: `s${sessions++}`,
          deadlineMs: world.world.nowMs + 60_000,
        });
      report = await redoAll(redo, rewinder.runtime.wait);
    },
  });
  return report;
}

/** Of each key what is in its state, whatever the order, and what is left of a redrive. */
function stateOf(world: RewindWorld, generation: number): [pk: string, ids: number[], marks: string[]][] {
  const found = [...contents(world, generation)].filter(([pk]) => pk.startsWith('/s/'));
  return found.map(([pk, item]) => {
    const { states, marks } = item as { states: Map<string, number[]>; marks: Map<string, unknown> };
    const ids = states.get('list') ?? [];
    return [pk, ids.toSorted((a, b) => a - b), [...marks.keys()].filter(isLetterMark)];
  });
}

const ORDERS = ['the shard’s item first', 'the keys’ items first'] as const;
/** Before each item of the scan, and behind the last. */
const SCANS = 4;

interface Meeting {
  readonly world: RewindWorld;
  readonly outcomes: string;
  /** Of the checkpoint. */
  readonly id: string;
  /** Whether the redrive ended before it came to that call. */
  readonly isOver: boolean;
}

/**
 * A checkpoint begins at a call of the redrive and stops before an item; the redrive goes on to its end; somebody comes
 * with the letter once more; and so again when the checkpoint is taken.
 */
async function met(
  order: Order,
  then: LettersRequest['action'],
  atCall: number,
  atScan: number,
): Promise<Meeting> {
  const world = await rejected();
  let taking: Promise<CheckpointReport> | undefined;
  let goOn: () => void = () => undefined;
  const begin = (): Promise<void> =>
    new Promise((isBegun) => {
      const stopped = new Promise<void>((resolve) => (goOn = resolve));
      const stop = pausing(atScan, 'before', () => {
        isBegun();
        return stopped;
      });
      taking = take(world, order, stop).finally(isBegun);
    });
  const first = await ask(world, 'redrive', gated(world.world.runtime, pausing(atCall, 'before', begin)));
  const second = await ask(world, then);
  goOn();
  const report = await (taking ?? take(world, order));
  expect(report.status).toBe('taken');
  const third = await ask(world, then);
  const outcomes = [first, second, third].map((result) => result?.outcome ?? 'gone').join();
  return { world, outcomes, id: report.id ?? '', isOver: taking === undefined };
}

const WHOLE = [
  ['/s/a', [0, 1], []],
  ['/s/b', [2, 3], []],
];

async function everywhere(
  order: Order,
  then: LettersRequest['action'],
  expectExact: (meeting: Meeting, where: object) => Promise<void>,
): Promise<ReadonlySet<string>> {
  const outcomes = new Set<string>();
  for (let atCall = 1; ; atCall++) {
    for (let atScan = 1; atScan <= SCANS; atScan++) {
      const meeting = await met(order, then, atCall, atScan);
      outcomes.add(meeting.outcomes);
      await expectExact(meeting, { atCall, atScan });
      if (meeting.isOver) return outcomes;
    }
  }
}

describe('a record of several keys that is redriven while a checkpoint is taken', () => {
  it.each(ORDERS)('is in each key once behind a rewind to it, wherever the scan comes: %s', async (order) => {
    const outcomes = await everywhere(order, 'redrive', async ({ world, id }, where) => {
      expect({ ...where, state: stateOf(world, 1) }).toEqual({ ...where, state: WHOLE });
      expect(await rewound(world, id)).toMatchObject({ rejected: 0, left: 0 });
      const letters = [...world.world.letters.keys()];
      expect({ ...where, letters, state: stateOf(world, 2) }).toEqual({
        ...where,
        letters: [],
        state: WHOLE,
      });
    });
    // As it is begun, or closed, or not met.
    expect(outcomes).toEqual(
      new Set(['waiting,waiting,redriven', 'waiting,waiting,alreadyDone', 'redriven,gone,gone']),
    );
  });

  it.each(ORDERS)(
    'is in no key twice where it is dropped then, and redriven after all: %s',
    async (order) => {
      const outcomes = await everywhere(order, 'drop', async ({ world, id }, where) => {
        await rewound(world, id, true);
        await ask(world, 'redrive');
        const letters = [...world.world.letters.keys()];
        // Where the checkpoint has the letter closed, what it has of a redrive is all that is wanted.
        const state = stateOf(world, 2).map(([pk, ids, marks]) => [pk, [...new Set(ids), ...marks]]);
        const found = stateOf(world, 2).map(([pk, ids]) => [pk, ids]);
        expect({ ...where, letters, found }).toEqual({ ...where, letters: [], found: state });
      });
      expect(outcomes).toEqual(
        new Set(['waiting,dropped,gone', 'waiting,waiting,alreadyDone', 'redriven,gone,gone']),
      );
    },
  );
});

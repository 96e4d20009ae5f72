import { describe, expect, it } from 'vitest';
import { redoAll, redoClosedLetters, type RedoReport } from '../../../shared/checkpoint/redo-letters.ts';
import { beginRewind, takeOver, type Rewinder } from '../../../shared/checkpoint/rewind.ts';
import { programOf } from '../../../shared/engine/program.ts';
import { processLetters } from '../../../shared/engine/redrive.ts';
import { kinesis, pipeline, type Pipeline } from '../../../shared/index.ts';
import { readDeadLetterName } from '../../../shared/output/dead-letter-name.ts';
import { hashOfKey } from '../../../shared/output/output-id.ts';
import type { ReplayOutputs } from '../../../shared/state/state-store.ts';
import { sourceRecord } from '../../support/memory-ports.ts';
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

interface Code {
  readonly isMended?: boolean;
  readonly policy?: 'deadLetter' | 'parkKey';
  readonly rejects?: readonly number[];
}

/** A list in the order of the records, an event each; what is bad is rejected until the code is mended. */
function listing({ isMended = false, policy = 'deadLetter', rejects = [] }: Code = {}): Pipeline {
  return pipeline('p', { onRecordError: policy })
    .from(kinesis<Value>('s'))
    .map((value) => {
      if (value.key === 'none' && !isMended) throw new Error('no key');
      return value;
    })
    .keyBy(({ key }) => key)
    .mapWithState<number[], number>('list', ({ id, bad }, state) => {
      if ((bad === true && !isMended) || rejects.includes(id)) throw new Error('bad');
      state.update([...(state.get() ?? []), id]);
      return id;
    })
    .to(kinesis('events'));
}

const RECORDS = (
  [
    { key: 'a', id: 0 },
    { key: 'a', id: 1, bad: true },
    { key: 'b', id: 2, bad: true },
    { key: 'none', id: 3 },
    { key: 'a', id: 4, bad: true },
    // Here the checkpoint is taken.
    { key: 'a', id: 5 },
    { key: 'b', id: 6, bad: true },
    { key: 'b', id: 7 },
  ] as const
).map((value, number) => sourceRecord(0, number, { value }));
const AT_CHECKPOINT = 5;

const REQUEST = { id: 'r', holder: 'h', checkpoint: 'c', outputs: 'same' } as const;

function deploy(world: RewindWorld, code: Code): void {
  const program = programOf(listing(code).definition);
  Object.assign(world.world, { runtime: { ...world.world.runtime, program } });
}

/** Comes to the checkpoint with bad code, and with it to the end; letters are closed then by mended code. */
async function broken(code: Code = {}): Promise<RewindWorld> {
  const world = rewindWorld(listing(code), [RECORDS]);
  await process(world, 0, 0, AT_CHECKPOINT);
  await checkpoint(world, 'c');
  await process(world, 0, AT_CHECKPOINT, RECORDS.length);
  deploy(world, { ...code, isMended: true });
  return world;
}

let sessions = 0;

/** Closes the letters of these records one invocation after the other, in this order. */
async function close(
  world: RewindWorld,
  action: 'redrive' | 'drop',
  ...ids: readonly number[]
): Promise<void> {
  for (const id of ids) {
    world.world.nowMs += 1;
    const [name = ''] = [...world.world.letters.keys()].reverse().filter((each) => {
      return readDeadLetterName(each)?.position.sequence === RECORDS[id]?.position.sequence;
    });
    const request = { action, names: [name], isForced: true, session: `s${(sessions += 1)}` };
    const [result] = await processLetters(world.world.runtime, request, world.world.nowMs + 60_000);
    expect(result?.outcome).toBe(action === 'drop' ? 'dropped' : 'redriven');
  }
}

function redo(
  rewinder: Rewinder,
  version: number,
  after?: string,
): Promise<RedoReport | { readonly kind: 'superseded' }> {
  const { clock } = rewinder.runtime;
  return redoClosedLetters(rewinder, {
    version,
    ...(after !== undefined && { after }),
    session: `redo${(sessions += 1)}`,
    deadlineMs: clock.nowMs() + 60_000,
  });
}

async function rewound(
  world: RewindWorld,
  outputs: ReplayOutputs = 'same',
  rewinder = rewinderOf(world),
): Promise<Omit<RedoReport, 'after'> | undefined> {
  let report;
  expect(await beginRewind(rewinder, { ...REQUEST, outputs })).toMatchObject({ kind: 'at' });
  const ending = await drive(world, rewinder, {
    ...REQUEST,
    whenLive: async ({ version = 0 }) => {
      report = await redoAll((after) => redo(rewinder, version, after), rewinder.runtime.wait);
    },
  });
  expect(ending).toEqual({ kind: 'finished' });
  return report;
}

/** The states of all keys. */
function lists(world: RewindWorld, generation: number): Record<string, unknown> {
  const found = [...contents(world, generation)].filter(([pk]) => pk.startsWith('/s/'));
  return Object.fromEntries(
    found.map(([pk, item]) => [pk.slice(3), (item as { states: Map<string, unknown> }).states.get('list')]),
  );
}

/** What a chained pipeline makes of everything that was delivered: the highest mark of each lane wins. */
function counted({ world }: RewindWorld): number[] {
  const marks = new Map<string, bigint>();
  const values: number[] = [];
  for (const { entry, epoch, json, destinationKey } of world.sinks.get('events')?.delivered ?? []) {
    const lane = JSON.stringify([epoch ?? 0, entry.lane, destinationKey]);
    const place = BigInt(entry.position.sequence) * 1_000n + BigInt(entry.element);
    if (place <= (marks.get(lane) ?? -1n)) continue;
    marks.set(lane, place);
    values.push(JSON.parse(json) as number);
  }
  return values;
}

function open(world: RewindWorld, generation: number): string[] {
  return [...world.world.letters.keys()].filter((name) => name.startsWith(`${generation}/`));
}

describe('letters that were closed behind the checkpoint', () => {
  it('are redriven and dropped once more by a rewind, in the order in which they were', async () => {
    const world = await broken();
    await close(world, 'redrive', 4, 1, 3);
    await close(world, 'drop', 2);
    await close(world, 'redrive', 6);
    expect(lists(world, 1)).toEqual({ a: [0, 5, 4, 1], b: [7, 6], none: [3] });
    expect(await rewound(world)).toEqual({ redriven: 3, dropped: 1, countedAgain: 0, rejected: 0, left: 0 });
    // The replay has applied record 6 with the mended code.
    expect(lists(world, 2)).toEqual({ a: [0, 5, 4, 1], b: [6, 7], none: [3] });
    expect(open(world, 2)).toEqual([]);
  });

  it('have outputs that a chained pipeline counts once', async () => {
    const world = await broken();
    await close(world, 'redrive', 1, 2, 3, 4);
    const before = counted(world);
    expect(await rewound(world)).toMatchObject({ redriven: 4, countedAgain: 0 });
    // Of record 6 too, that only the mended code applies: it skips what is new in lanes that it has seen.
    expect(counted(world)).toEqual(before);
  });

  it('have outputs in a lineage of their own where that was chosen', async () => {
    const world = await broken();
    await close(world, 'redrive', 1, 2, 3, 4);
    const before = counted(world);
    await rewound(world, 'again');
    expect(counted(world).slice(before.length).sort()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('have no outputs where those are suppressed', async () => {
    const world = await broken();
    await close(world, 'redrive', 1, 2, 3, 4);
    const before = counted(world);
    await rewound(world, 'suppress');
    expect(counted(world)).toEqual(before);
    expect(lists(world, 2)).toMatchObject({ a: [0, 5, 1, 4], none: [3] });
  });

  it('are closed a third time by a rewind behind the first', async () => {
    const world = await broken();
    await close(world, 'redrive', 1, 4, 3);
    await rewound(world);
    const before = counted(world);
    const rewinder = rewinderOf(world);
    const next = { ...REQUEST, id: 'next' };
    await beginRewind(rewinder, next);
    await drive(world, rewinder, {
      ...next,
      whenLive: async ({ version = 0 }) =>
        void (await redoAll((after) => redo(rewinder, version, after), rewinder.runtime.wait)),
    });
    expect(lists(world, 3)).toEqual(lists(world, 2));
    expect(counted(world)).toEqual(before);
  });

  it('stay open where the code rejects them now, and those that nobody had closed', async () => {
    const world = await broken();
    await close(world, 'redrive', 1, 4);
    deploy(world, { isMended: true, rejects: [1] });
    expect(await rewound(world)).toEqual({ redriven: 1, dropped: 0, countedAgain: 0, rejected: 1, left: 0 });
    expect(lists(world, 2)).toMatchObject({ a: [0, 5, 4] });
    expect(open(world, 2).map((name) => readDeadLetterName(name)?.keyHash)).toEqual(
      expect.arrayContaining([hashOfKey('a'), hashOfKey('b'), undefined]),
    );
  });

  it('of a parked key are redriven from the first on', async () => {
    const world = await broken({ policy: 'parkKey' });
    await close(world, 'redrive', 1, 4, 5);
    expect(lists(world, 1)).toMatchObject({ a: [0, 1, 4, 5] });
    // Record 5 is rejected anew: its key is parked when the replay comes to it.
    expect(await rewound(world)).toMatchObject({ redriven: 3, left: 0 });
    expect(lists(world, 2)).toMatchObject({ a: [0, 1, 4, 5] });
  });

  it('stay open where the state alone goes back', async () => {
    const world = await broken();
    await close(world, 'redrive', 1);
    const rewinder = rewinderOf(world);
    await beginRewind(rewinder, { ...REQUEST, skipsReplay: true });
    await drive(world, rewinder, {
      ...REQUEST,
      whenLive: async ({ version = 0 }) => void (await redo(rewinder, version)),
    });
    expect(open(world, 2)).toHaveLength(4);
  });

  it('are left alone by who has been superseded', async () => {
    const world = await broken();
    await close(world, 'redrive', 1);
    await rewound(world);
    const { version = 0 } = await world.world.store.readControl();
    expect(await redo(rewinderOf(world), version)).toEqual({ kind: 'superseded' });
  });

  it('are gone on with where time ran out', async () => {
    const world = await broken();
    await close(world, 'redrive', 1, 2, 3, 4);
    const rewinder = rewinderOf(world);
    const afters: (string | undefined)[] = [];
    await beginRewind(rewinder, REQUEST);
    await drive(world, rewinder, {
      ...REQUEST,
      whenLive: async ({ version = 0 }) => {
        await redoAll((after) => {
          afters.push(after);
          // Each commit takes so long that the next letter is not begun.
          const slow = rewinderOf(world, (call) => {
            if (call === 'store.commit') world.world.nowMs += 40_000;
          });
          return redo(slow, version, after);
        }, rewinder.runtime.wait);
      },
    });
    expect(new Set(afters).size).toBeGreaterThanOrEqual(4);
    expect(lists(world, 2)).toMatchObject({ a: [0, 5, 1, 4], none: [3] });
  });
});

describe('letters that the checkpoint’s scan saw beyond its positions', () => {
  /** Positions first, and then the items, when the shard has long gone on. */
  async function scannedLate(code: Code, read = 2): Promise<RewindWorld> {
    const world = rewindWorld(listing(code), [RECORDS]);
    await process(world, 0, 0, read);
    const early = await checkpoint(world, 'early');
    await process(world, 0, read, AT_CHECKPOINT);
    const late = await checkpoint(world, 'late');
    for (const { name } of late.parts) {
      const packed = await world.checkpoints.getPart('late', name);
      await world.checkpoints.putPart('c', name, packed ?? new Uint8Array());
    }
    await world.checkpoints.putManifest({ ...late, id: 'c', shards: early.shards });
    await process(world, 0, AT_CHECKPOINT, RECORDS.length);
    deploy(world, { ...code, isMended: true });
    return world;
  }

  it('are applied once by the rewind, whether the replay gives them a key or not', async () => {
    const world = await scannedLate({});
    await close(world, 'redrive', 4, 1, 3);
    await close(world, 'drop', 2);
    const before = counted(world);
    await rewound(world);
    expect(lists(world, 2)).toEqual({ a: [0, 5, 4, 1], b: [6, 7], none: [3] });
    expect(open(world, 2)).toEqual([]);
    expect(counted(world)).toEqual(before);
  });

  it('are not applied again where they were closed before the scan came to them', async () => {
    const world = rewindWorld(listing(), [RECORDS]);
    await process(world, 0, 0, 2);
    const early = await checkpoint(world, 'early');
    await process(world, 0, 2, AT_CHECKPOINT);
    deploy(world, { isMended: true });
    await close(world, 'redrive', 3);
    const late = await checkpoint(world, 'late');
    for (const { name } of late.parts) {
      const packed = await world.checkpoints.getPart('late', name);
      await world.checkpoints.putPart('c', name, packed ?? new Uint8Array());
    }
    await world.checkpoints.putManifest({ ...late, id: 'c', shards: early.shards });
    await process(world, 0, AT_CHECKPOINT, RECORDS.length);
    await rewound(world);
    expect(lists(world, 2)).toMatchObject({ none: [3] });
  });

  it('are not applied where they stay open, and once by whoever redrives them then', async () => {
    const world = await scannedLate({});
    await rewound(world);
    await close(world, 'redrive', 3);
    expect(lists(world, 2)).toMatchObject({ none: [3] });
  });
});

class Death extends Error {}

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

describe('closing letters once more', () => {
  /** Up to where the letters are to be redone. */
  const live = async (): Promise<{ readonly world: RewindWorld; readonly version: number }> => {
    const world = await broken();
    await close(world, 'redrive', 4, 1, 3);
    await close(world, 'drop', 2);
    const rewinder = rewinderOf(world);
    await beginRewind(rewinder, REQUEST);
    let version = 0;
    await drive(world, rewinder, {
      ...REQUEST,
      whenLive: async (control) => {
        version = control.version ?? 0;
        throw new Death('dies');
      },
    }).catch(() => undefined);
    return { world, version };
  };

  it.each(['before', 'after'] as const)('is done once, wherever it dies %s a request', async (moment) => {
    const whole = await live();
    const count = { requests: 0 };
    await redo(rewinderOf(whole.world, deathAt(Infinity, 'before', count)), whole.version);
    const clean = { lists: lists(whole.world, 2), counted: counted(whole.world) };
    expect(clean.lists).toEqual({ a: [0, 5, 4, 1], b: [6, 7], none: [3] });
    expect(count.requests).toBeGreaterThan(20);
    for (let at = 0; at < count.requests; at++) {
      const { world, version } = await live();
      await redo(rewinderOf(world, deathAt(at, moment)), version).catch(() => undefined);
      const rewinder = rewinderOf(world);
      await takeOver(rewinder, 'again');
      const ending = await drive(world, rewinder, {
        id: 'r',
        holder: 'again',
        whenLive: async (control) => {
          await redoAll((after) => redo(rewinder, control.version ?? 0, after), rewinder.runtime.wait);
        },
      });
      expect(ending).toEqual({ kind: 'finished' });
      expect({ at, lists: lists(world, 2), open: open(world, 2) }).toEqual({
        at,
        lists: clean.lists,
        open: [],
      });
      expect({ at, counted: counted(world) }).toEqual({ at, counted: clean.counted });
    }
  });

  it('is done once where two do it at once', async () => {
    const whole = await live();
    const count = { requests: 0 };
    await redo(rewinderOf(whole.world, deathAt(Infinity, 'before', count)), whole.version);
    const clean = lists(whole.world, 2);
    const clear = counted(whole.world);
    for (let at = 0; at < count.requests; at++) {
      const { world, version } = await live();
      let requests = 0;
      let meanwhile: Promise<unknown> = Promise.resolve();
      const gate: Toll = (_, when) => {
        if (when === 'before' && requests++ === at) meanwhile = redo(rewinderOf(world), version);
      };
      await redo(rewinderOf(world, gate), version);
      await meanwhile;
      await redo(rewinderOf(world), version);
      expect({ at, lists: lists(world, 2), open: open(world, 2) }).toEqual({ at, lists: clean, open: [] });
      expect({ at, counted: counted(world) }).toEqual({ at, counted: clear });
    }
  });
});

describe('a letter whose first redrive died and was done again', () => {
  it.each([1, 3])('is counted once by the next pipeline, or it is told (record %i)', async (id) => {
    let told = 0;
    for (const moment of ['before', 'after'] as const) {
      for (let at = 0; at < 20; at++) {
        const world = await broken();
        const [name = ''] = [...world.world.letters.keys()].filter(
          (each) => readDeadLetterName(each)?.position.sequence === RECORDS[id]?.position.sequence,
        );
        const request = { action: 'redrive', names: [name], isForced: true, session: 'first' } as const;
        const { runtime } = rewinderOf(world, deathAt(at, moment));
        await processLetters(runtime, request, world.world.nowMs + 60_000).catch(() => undefined);
        const again = { ...request, session: 'second' };
        await processLetters(world.world.runtime, again, world.world.nowMs + 60_000);
        const before = counted(world);
        expect({ at, moment, before: before.filter((each) => each === id) }).toEqual({
          at,
          moment,
          before: [id],
        });
        const report = await rewound(world);
        told += report?.countedAgain ?? 0;
        const repeats = counted(world).length - before.length;
        expect({ at, moment, repeats }).toEqual({ at, moment, repeats: report?.countedAgain });
        expect(lists(world, 2)).toMatchObject(id === 1 ? { a: [0, 5, 1] } : { none: [3] });
      }
    }
    expect(told > 0).toBe(id === 3);
  });
});

describe('a letter whose redrive is under way at the checkpoint', () => {
  it('is brought to its end behind a rewind, and what it has committed is published', async () => {
    for (const id of [1, 3]) {
      for (const moment of ['before', 'after'] as const) {
        for (let at = 0; at < 20; at++) {
          const world = rewindWorld(listing(), [RECORDS]);
          await process(world, 0, 0, AT_CHECKPOINT);
          deploy(world, { isMended: true });
          const [name = ''] = [...world.world.letters.keys()].filter(
            (each) => readDeadLetterName(each)?.position.sequence === RECORDS[id]?.position.sequence,
          );
          const request = { action: 'redrive', names: [name], isForced: true, session: 'first' } as const;
          const { runtime } = rewinderOf(world, deathAt(at, moment));
          const ends = await processLetters(runtime, request, world.world.nowMs + 60_000).catch(
            () => undefined,
          );
          await checkpoint(world, 'c');
          await rewound(world);
          const names = open(world, 2);
          const ended = { ...request, names, session: 'second' };
          await processLetters(world.world.runtime, ended, world.world.nowMs + 60_000);
          const values = world.world.sinks.get('events')?.values() ?? [];
          expect({ id, at, moment, ends, has: values.includes(id) }).toMatchObject({
            id,
            at,
            moment,
            has: true,
          });
          for (const [pk, { outbox, marks }] of world.world.store.items()) {
            if (!pk.startsWith('2/')) continue;
            expect(outbox.filter(({ lane }) => lane.startsWith('redrive/'))).toEqual([]);
            expect([...marks.keys()].filter((lane) => lane.startsWith('letter/'))).toEqual([]);
          }
          expect(new Set(counted(world)).size).toBe(counted(world).length);
        }
      }
    }
  });
});

describe('two letters that a key has of one record', () => {
  /** The first element has a key from version 2 on, and is folded from version 3 on, as is the second. */
  function elements(version: number): Pipeline {
    return pipeline('p')
      .from(kinesis<readonly number[]>('s'))
      .flatMap((ids) => ids)
      .keyBy((id) => (id === 1 && version < 2 ? (undefined as unknown as string) : 'a'))
      .mapWithState<number[], number>('list', (id, state) => {
        if (version < 3) throw new Error('bad');
        state.update([...(state.get() ?? []), id]);
        return id;
      })
      .to(kinesis('events'));
  }

  it.each(['redrive', 'drop'] as const)(
    'are each closed as they were: the second with %s',
    async (second) => {
      const world = rewindWorld(elements(1), [[sourceRecord(0, 0, { value: [1, 2] })]]);
      const deployed = (version: number): void => {
        const program = programOf(elements(version).definition);
        Object.assign(world.world, { runtime: { ...world.world.runtime, program } });
      };
      const closeOne = async (action: 'redrive' | 'drop', name: string | undefined): Promise<void> => {
        world.world.nowMs += 1;
        const request = { action, names: [name ?? ''], isForced: true, session: `s${(sessions += 1)}` };
        const [result] = await processLetters(world.world.runtime, request, world.world.nowMs + 60_000);
        expect(result?.outcome).toBe(action === 'drop' ? 'dropped' : 'redriven');
      };
      await process(world, 0, 0, 1);
      deployed(2);
      await closeOne(
        'redrive',
        open(world, 1).find((name) => name.includes('no-key')),
      );
      await checkpoint(world, 'c');
      deployed(3);
      const [ofSecond, ofFirst] = open(world, 1).toSorted();
      await closeOne(second, ofFirst);
      await closeOne(second === 'drop' ? 'redrive' : 'drop', ofSecond);
      const before = lists(world, 1);
      expect(before).toEqual({ a: [second === 'drop' ? 2 : 1] });
      await rewound(world);
      expect(lists(world, 2)).toEqual(before);
      expect(open(world, 2)).toEqual([]);
    },
  );
});

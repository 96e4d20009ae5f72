import { describe, expect, it, vi } from 'vitest';
import { MemoryDeadLetterStore } from '../../../shared/output/memory-dead-letters.ts';
import { kinesis, pipeline, type Pipeline } from '../../../shared/index.ts';
import type { DeadLetter, DeadLetterStore } from '../../../shared/output/dead-letter-store.ts';
import { CLOSED_RANGES_LIMIT } from '../../../shared/state/letters.ts';
import { sourceRecord, START_MS, testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { deliver, drain, itemOf, records, stateOf } from './deliver.ts';
import { dying, gated, MOMENTS, outcomes, pausing, redrive, type Gate } from './redriving.ts';

const HOUR_MS = 3_600_000;

interface Value {
  readonly key: string;
  readonly n: number;
  readonly isBad?: boolean;
}

interface Code {
  readonly policy?: 'parkKey' | 'deadLetter' | 'stop';
  readonly isMended?: boolean;
  /** Rejects these, whatever else is mended. */
  readonly stillBad?: readonly number[];
}

/** An order-sensitive list per key, an event per value and the list as a change. */
function listing({ policy = 'deadLetter', isMended = false, stillBad = [] }: Code = {}): Pipeline {
  return pipeline('p', { onRecordError: policy })
    .from(kinesis<Value[]>('s'))
    .flatMap((values) => values)
    .keyBy(({ key }) => {
      if (key === 'none' && !isMended) throw new Error('no key');
      return key;
    })
    .mapWithState<number[], number>('list', (value, state) => {
      if ((value.isBad === true && !isMended) || stillBad.includes(value.n))
        throw new Error(`bad ${value.n}`);
      state.update([...(state.get() ?? []), value.n]);
      return value.n;
    })
    .to(kinesis('events'));
}

/** Newer code on what older code has left. */
function deployed(code: Code, world: TestWorld): TestWorld {
  return testWorld(listing({ isMended: true, ...code }), {
    store: world.store,
    sinks: world.runtime.sinks,
    deadLetters: world.runtime.deadLetters,
  });
}

function withLetters(newer: TestWorld, world: TestWorld): TestWorld {
  return { ...newer, letters: world.letters, store: world.store, sinks: world.sinks };
}

function mended(world: TestWorld, code: Code = {}): TestWorld {
  return withLetters(deployed(code, world), world);
}

function good(key: string, ...numbers: number[]): Value[][] {
  return numbers.map((n) => [{ key, n }]);
}

function bad(key: string, ...numbers: number[]): Value[][] {
  return numbers.map((n) => [{ key, n, isBad: true }]);
}

/** Events as a consumer sees them that skips ids it has seen. */
function eventsOf(world: TestWorld): number[] {
  const seen = new Map<string, number>();
  for (const { id, json } of world.sinks.get('events')?.delivered ?? []) {
    if (!seen.has(id)) seen.set(id, JSON.parse(json) as number);
  }
  return [...seen.values()];
}

/** Nothing of a redrive is left in any item. */
function expectNothingLeft(world: TestWorld): void {
  for (const [, { outbox, marks }] of world.store.items()) {
    expect(outbox.filter(({ lane }) => lane.startsWith('redrive/'))).toEqual([]);
    expect([...marks.keys()].filter((lane) => /^(redrive|letter)\//.test(lane))).toEqual([]);
  }
}

describe('a dead letter that is redriven', () => {
  it('is applied to its key, its outputs are published, and it is gone', async () => {
    const old = testWorld(listing());
    await drain(old, records([...good('a', 1), ...bad('a', 2), ...good('a', 3)]));
    await drain(old, records(good('b', 4), 3));
    const world = mended(old);
    expect(await outcomes(world)).toEqual(['redriven']);
    expect(stateOf(world, 'a', 'list')).toEqual([1, 3, 2]);
    expect(eventsOf(world)).toEqual([1, 3, 4, 2]);
    expect(world.letters.size).toBe(0);
    expect(itemOf(world, 'a')?.letters).toEqual({ next: 1, closed: [{ from: 0, below: 1 }] });
    expectNothingLeft(world);
    // What the stream brings again is still skipped.
    await drain(world, records([...good('a', 1), ...bad('a', 2), ...good('a', 3)]));
    expect(stateOf(world, 'a', 'list')).toEqual([1, 3, 2]);
  });

  it('has the ids that its outputs would have had, and a lane and an arrival of its own', async () => {
    const old = testWorld(listing());
    const [record] = records(bad('a', 1));
    await drain(old, records(bad('a', 1)));
    const world = mended(old);
    world.runtime.clock.nowMs();
    await redrive(world);
    const [delivery] = world.sinks.get('events')?.delivered ?? [];
    expect(delivery?.id).toBe(`p/${record?.lane ?? ''}/${record?.position.sequence ?? ''}/0/0/events/0`);
    expect(delivery?.entry.lane).toMatch(/^redrive\/session\d+\.0$/);
    expect(delivery?.entry.position).toEqual({ sequence: '1', sub: 0 });
    expect(delivery?.entry.arrivalMs).toBe(world.nowMs);
  });

  it('is applied whole: all elements that its record has for the key, and none of other keys', async () => {
    const old = testWorld(listing());
    await drain(
      old,
      records([
        [
          { key: 'a', n: 1 },
          { key: 'b', n: 2 },
          { key: 'a', n: 3, isBad: true },
        ],
      ]),
    );
    expect(stateOf(old, 'b', 'list')).toEqual([2]);
    const world = mended(old);
    expect(await outcomes(world)).toEqual(['redriven']);
    expect(stateOf(world, 'a', 'list')).toEqual([1, 3]);
    expect(stateOf(world, 'b', 'list')).toEqual([2]);
    expect(eventsOf(world)).toEqual([2, 1, 3]);
  });

  it('stays, with the reason, where today’s code rejects it too, and nothing of it is committed', async () => {
    const world = testWorld(listing());
    await drain(world, records([...good('a', 1), ...bad('a', 2)]));
    const before = itemOf(world, 'a');
    const [result] = await redrive(world);
    expect(result).toMatchObject({ outcome: 'rejected' });
    expect(result?.reason).toMatch(/^fold: user code threw Error/);
    expect(result?.reason).not.toContain('bad 2');
    expect(itemOf(world, 'a')).toEqual(before);
    expect(world.letters.size).toBe(1);
  });

  it('waits for earlier letters of its key, unless it is forced', async () => {
    const old = testWorld(listing());
    await drain(old, records(bad('a', 1, 2, 3)));
    const world = mended(old, { stillBad: [1] });
    expect(await outcomes(world)).toEqual(['rejected', 'waiting', 'waiting']);
    const names = [...world.letters.keys()];
    const [alone] = await redrive(world, { names: names.slice(1, 2) });
    expect(alone).toMatchObject({ outcome: 'waiting' });
    expect(alone?.reason).toMatch(/letter number 0 of its key comes first/);
    expect(await outcomes(world, { isForced: true })).toEqual(['rejected', 'redriven', 'redriven']);
    expect(stateOf(world, 'a', 'list')).toEqual([2, 3]);
    // The first is still to be had.
    expect(await outcomes(mended(old))).toEqual(['redriven']);
    expect(stateOf(world, 'a', 'list')).toEqual([2, 3, 1]);
    expect(eventsOf(world)).toEqual([2, 3, 1]);
  });

  it('holds back no letters of other keys', async () => {
    const old = testWorld(listing());
    await drain(old, records([...bad('a', 1, 2), ...bad('b', 3), ...bad('c', 4)]));
    const world = mended(old, { stillBad: [1] });
    const results = await redrive(world);
    expect(results.map(({ outcome }) => outcome).toSorted()).toEqual([
      'redriven',
      'redriven',
      'rejected',
      'waiting',
    ]);
    expect(eventsOf(world).toSorted()).toEqual([3, 4]);
  });

  it('is applied once, though its letter comes back: a late batch may store it again', async () => {
    const old = testWorld(listing());
    await drain(old, records(bad('a', 1)));
    const world = mended(old);
    const [[name, letter] = []] = [...world.letters];
    await redrive(world);
    if (name === undefined || letter === undefined) throw new Error('no letter');
    world.letters.set(name, letter);
    expect(await outcomes(world)).toEqual(['alreadyDone']);
    expect(world.letters.size).toBe(0);
    expect(stateOf(world, 'a', 'list')).toEqual([1]);
    expect(await outcomes(world, { names: [name] })).toEqual(['missing']);
  });

  it('is applied however old it is, and once however late it comes again', async () => {
    const old = testWorld(listing());
    await drain(old, records(bad('a', 1)));
    const world = mended(old);
    const saved = new Map(world.letters);
    const year = 365 * 24 * 3_600_000;
    const arrivalMs = world.nowMs + year;
    await drain(world, [sourceRecord(0, 5, { value: good('a', 2)[0], arrivalMs })]);
    expect(itemOf(world, 'a')?.marks.size).toBe(1);
    expect(await outcomes(world)).toEqual(['redriven']);
    await drain(world, [sourceRecord(1, 6, { value: good('a', 3)[0], arrivalMs: arrivalMs + year })], {
      shard: 1,
    });
    for (const [name, letter] of saved) world.letters.set(name, letter);
    expect(await outcomes(world)).toEqual(['alreadyDone']);
    expect(stateOf(world, 'a', 'list')).toEqual([2, 1, 3]);
  });

  it('of an earlier generation, or that no item knows, is stale and can only be dropped', async () => {
    const old = testWorld(listing());
    await drain(old, records(bad('a', 1)));
    const world = mended(old);
    const [[name, letter] = []] = [...world.letters];
    if (name === undefined || letter === undefined) throw new Error('no letter');
    world.letters.set('1/~/0000000007/s/0/1.0-0.json', { ...letter, number: 7 });
    expect(await outcomes(world)).toEqual(['redriven', 'stale']);
    world.letters.set(name, letter);
    world.store.setControl({ generation: 2, nextGeneration: 3, phase: 'live' });
    expect(await outcomes(world)).toEqual(['stale', 'stale']);
    expect(await outcomes(world, { action: 'drop' })).toEqual(['dropped', 'dropped']);
    expect(world.letters.size).toBe(0);
    expectNothingLeft(world);
  });

  it('is not touched while the pipeline is being rewound, and not begun when time runs out', async () => {
    const old = testWorld(listing());
    await drain(old, records(bad('a', 1)));
    const world = mended(old);
    world.store.setControl({ generation: 1, nextGeneration: 2, phase: 'replay' });
    expect(await outcomes(world)).toEqual(['notBegun']);
    world.store.setControl({ generation: 1, nextGeneration: 2, phase: 'live' });
    const late = { ...world.runtime, clock: { nowMs: () => world.nowMs + 1_000_000 } };
    expect(await outcomes(world, {}, late)).toEqual(['notBegun']);
    expect(world.letters.size).toBe(1);
  });

  it('waits where letters were passed over in too many places', async () => {
    const old = testWorld(listing());
    const numbers = Array.from({ length: 2 * CLOSED_RANGES_LIMIT + 2 }, (_, n) => n);
    await drain(old, records(bad('a', ...numbers)));
    // What is stored leaves the item, which would be read and written with it each time.
    await drain(old, records(bad('a', numbers.length), numbers.length));
    const world = mended(old);
    const names = [...world.letters.keys()].toSorted();
    const odd = names.filter((_, place) => place % 2 === 1);
    const forced = await redrive(world, { names: odd, isForced: true });
    expect(forced.slice(0, -1).every(({ outcome }) => outcome === 'redriven')).toBe(true);
    expect(forced.at(-1)?.reason).toMatch(/passed over in 128 places/);
    // In order there is no limit: the numbers close up.
    expect(new Set(await outcomes(world))).toEqual(new Set(['redriven']));
    expect(itemOf(world, 'a')?.letters?.closed).toEqual([{ from: 0, below: numbers.length + 1 }]);
  });

  it('makes an item anew above whatever revision it ever had', async () => {
    const old = testWorld(listing());
    const arrivalMs = old.nowMs - 1_000_000_000;
    await drain(old, [sourceRecord(0, 0, { value: 'no json', arrivalMs })]);
    const [[name, letter] = []] = [...old.letters];
    if (name === undefined || letter === undefined) throw new Error('no letter');
    // As if a newer decoder read it.
    old.letters.set(name, {
      ...letter,
      data: Buffer.from(JSON.stringify(good('a', 1)[0])).toString('base64'),
    });
    const world = mended(old);
    expect(await outcomes(world)).toEqual(['redriven']);
    expect(itemOf(world, 'a')?.revision).toBeGreaterThanOrEqual(world.nowMs);
    expect(world.sinks.get('events')?.delivered[0]?.entry.revision).toBe(world.nowMs);
  });
});

describe('a dead letter that is dropped', () => {
  it('is given up: closed without being applied', async () => {
    const world = testWorld(listing());
    await drain(world, records([...bad('a', 1), ...good('a', 2)]));
    const saved = new Map(world.letters);
    expect(await outcomes(world, { action: 'drop' })).toEqual(['dropped']);
    expect(world.letters.size).toBe(0);
    for (const [name, letter] of saved) world.letters.set(name, letter);
    expect(await outcomes(mended(world))).toEqual(['alreadyDone']);
    expect(stateOf(world, 'a', 'list')).toEqual([2]);
  });
});

describe('a parked key', () => {
  it('is redriven in order, goes on, and takes what comes meanwhile behind', async () => {
    const old = testWorld(listing({ policy: 'parkKey' }));
    await drain(old, records([...good('a', 1), ...bad('a', 2), ...good('a', 3, 4)]));
    const world = mended(old, { policy: 'parkKey' });
    expect(await outcomes(world, { names: [...world.letters.keys()].toSorted().slice(0, 2) })).toEqual([
      'redriven',
      'redriven',
    ]);
    await drain(world, records(good('a', 5), 4));
    expect(stateOf(world, 'a', 'list')).toEqual([1, 2, 3]);
    expect(await outcomes(world)).toEqual(['redriven', 'redriven']);
    expect(itemOf(world, 'a')?.letters?.parkedFrom).toBeUndefined();
    await drain(world, records(good('a', 6), 5));
    expect(stateOf(world, 'a', 'list')).toEqual([1, 2, 3, 4, 5, 6]);
    expect(eventsOf(world)).toEqual([1, 2, 3, 4, 5, 6]);
    expectNothingLeft(world);
  });

  it('stops at the record that is rejected, and keeps its order even where it is forced', async () => {
    const old = testWorld(listing({ policy: 'parkKey' }));
    await drain(old, records([...bad('a', 1), ...good('a', 2, 3)]));
    const world = mended(old, { policy: 'parkKey', stillBad: [2] });
    expect(await outcomes(world, { isForced: true })).toEqual(['redriven', 'rejected', 'waiting']);
    expect(itemOf(world, 'a')?.letters).toMatchObject({ parkedFrom: 1 });
    // Dropped, the others go on without it.
    const head = [...world.letters.keys()].toSorted().slice(0, 1);
    expect(await outcomes(world, { action: 'drop', names: head })).toEqual(['dropped']);
    expect(await outcomes(world)).toEqual(['redriven']);
    expect(stateOf(world, 'a', 'list')).toEqual([1, 3]);
  });

  it('skips letters of the middle that were dropped', async () => {
    const old = testWorld(listing({ policy: 'parkKey' }));
    await drain(old, records([...bad('a', 1), ...good('a', 2, 3)]));
    const world = mended(old, { policy: 'parkKey' });
    const names = [...world.letters.keys()].toSorted();
    await redrive(world, { action: 'drop', names: names.slice(1, 2) });
    expect(await outcomes(world)).toEqual(['redriven', 'redriven']);
    expect(stateOf(world, 'a', 'list')).toEqual([1, 3]);
    expect(itemOf(world, 'a')?.letters?.parkedFrom).toBeUndefined();
  });

  it('never skips a letter that is committed and not stored yet', async () => {
    const old = testWorld(listing({ policy: 'parkKey' }));
    const batch = records([...bad('a', 1), ...good('a', 2)]);
    const put: DeadLetterStore['put'] = async (name, letter) => {
      if (letter.number === 0) throw new Error('The bucket cannot be reached.');
      await old.runtime.deadLetters.put(name, letter);
    };
    await deliver(old, batch, {
      runtime: { ...old.runtime, deadLetters: Object.assign(new MemoryDeadLetterStore(() => 0), { put }) },
    });
    const world = mended(old, { policy: 'parkKey' });
    const [result] = await redrive(world);
    expect(result).toMatchObject({ outcome: 'waiting' });
    expect(result?.reason).toMatch(/letter number 0 of its key comes first.*committed and is stored when/);
    // It comes again with its record.
    await drain(world, batch);
    expect(await outcomes(world)).toEqual(['redriven', 'redriven']);
    expect(stateOf(world, 'a', 'list')).toEqual([1, 2]);
  });

  it('takes earlier letters of a time when keys were not parked', async () => {
    const old = testWorld(listing());
    await drain(old, records(bad('a', 1)));
    const parking = withLetters(
      testWorld(listing({ policy: 'parkKey' }), {
        ...old.runtime,
        program: testWorld(listing({ policy: 'parkKey' })).runtime.program,
      }),
      old,
    );
    await drain(parking, records([...bad('a', 2), ...good('a', 3)], 1));
    expect(itemOf(parking, 'a')?.letters).toMatchObject({ next: 3, parkedFrom: 1 });
    expect(await outcomes(mended(parking, { policy: 'parkKey' }))).toEqual([
      'redriven',
      'redriven',
      'redriven',
    ]);
    expect(stateOf(parking, 'a', 'list')).toEqual([1, 2, 3]);
  });
});

describe('a record that was rejected before it had keys', () => {
  async function unreadable(...values: (Value[] | string)[]): Promise<TestWorld> {
    const old = testWorld(listing());
    await drain(old, records(values.map(() => 'no json')));
    for (const [place, [name, letter]] of [...old.letters].entries()) {
      const value = values[place] as Value[] | string;
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      old.letters.set(name, { ...letter, data: Buffer.from(text).toString('base64') });
    }
    return mended(old);
  }

  it('is applied to each of its keys, once', async () => {
    const world = await unreadable(
      [...(good('a', 1)[0] ?? []), ...(good('b', 2)[0] ?? [])],
      good('a', 3)[0] ?? [],
    );
    expect(await outcomes(world)).toEqual(['redriven', 'redriven']);
    expect(stateOf(world, 'a', 'list')).toEqual([1, 3]);
    expect(stateOf(world, 'b', 'list')).toEqual([2]);
    expect(eventsOf(world)).toEqual([1, 2, 3]);
    expect(world.letters.size).toBe(0);
    expectNothingLeft(world);
  });

  it('is folded from values made anew where its first write was refused', async () => {
    const counting = pipeline('p')
      .from(kinesis<{ key: string; touched: number }>('s'))
      .keyBy(({ key }) => key)
      .mapWithState<number, number>('touched', (value, state) => {
        value.touched += 1;
        state.update(value.touched);
        return value.touched;
      })
      .to(kinesis('events'));
    const world = testWorld(counting);
    await drain(world, records(['no json']));
    const [[name, letter]] = [...world.letters] as [[string, DeadLetter]];
    const data = Buffer.from(JSON.stringify({ key: 'a', touched: 0 })).toString('base64');
    world.letters.set(name, { ...letter, data });
    vi.spyOn(world.store, 'commit').mockResolvedValueOnce(['failed']);
    expect(await outcomes(world)).toEqual(['redriven']);
    expect(stateOf(world, 'a', 'touched')).toBe(1);
    expect(eventsOf(world)).toEqual([1]);
  });

  it.each([
    ['within the horizon leaves what it removed as it is', 24 * HOUR_MS, 1],
    ['beyond it begins from the initial state', 25 * HOUR_MS, 101],
  ])('and a record of its key that comes later %s', async (_, laterMs, expected) => {
    const counting = pipeline('p')
      .from(kinesis<'add' | 'remove'>('s'))
      .keyBy(() => 'a')
      .mapWithState<number, number>(
        'count',
        (action, state) => {
          if (action === 'remove') state.remove();
          else state.update((state.get() ?? 0) + 1);
          return undefined;
        },
        { initial: () => 100 },
      )
      .to(kinesis('events'));
    const world = testWorld(counting);
    await drain(world, [sourceRecord(0, 0, { value: 'no json', arrivalMs: START_MS })]);
    const [[name, letter]] = [...world.letters] as [[string, DeadLetter]];
    world.letters.set(name, { ...letter, data: Buffer.from('"remove"').toString('base64') });
    expect(await outcomes(world)).toEqual(['redriven']);
    expectNothingLeft(world);
    await drain(world, [sourceRecord(0, 1, { value: '"add"', arrivalMs: START_MS + laterMs })]);
    expect(stateOf(world, 'a', 'count')).toBe(expected);
  });

  it('is not applied by a redrive that a drop has overtaken, for nobody would publish what it makes', async () => {
    const world = await unreadable(good('a', 1)[0] ?? []);
    const beforeItsWrite = pausing(5, 'before', () => redrive(world, { action: 'drop' }));
    expect(await outcomes(world, {}, gated(world.runtime, beforeItsWrite))).toEqual(['alreadyDone']);
    expect(beforeItsWrite.calls[4]).toBe('commit');
    expect(stateOf(world, 'a', 'list')).toBeUndefined();
    expect(world.letters.size).toBe(0);
    expectNothingLeft(world);
  });

  it('waits while a checkpoint is taken, with nothing of it begun, and for no longer than that can last', async () => {
    const world = await unreadable(good('a', 1)[0] ?? []);
    const control = { generation: 1, nextGeneration: 2, phase: 'live' } as const;
    // Between two of the invocations that take it.
    const checkpoint = { id: 'c', untilMs: 0, overMs: world.nowMs + HOUR_MS };
    world.store.setControl({ ...control, checkpoint });
    const [result] = await redrive(world);
    expect(result?.outcome).toBe('waiting');
    expect(result?.reason).toContain('checkpoint c is being taken');
    expect(itemOf(world, 'a')).toBeUndefined();
    const later = { ...world.runtime, clock: { nowMs: () => world.nowMs + HOUR_MS } };
    expect(await outcomes({ ...world, nowMs: world.nowMs + HOUR_MS }, {}, later)).toEqual(['redriven']);
    expect(stateOf(world, 'a', 'list')).toEqual([1]);
  });

  it('is dropped while a checkpoint is taken, where nothing of it was applied', async () => {
    const world = await unreadable(good('a', 1)[0] ?? []);
    const checkpoint = { id: 'c', untilMs: 0, overMs: Infinity };
    world.store.setControl({ generation: 1, nextGeneration: 2, phase: 'live', checkpoint });
    expect(await outcomes(world, { action: 'drop' })).toEqual(['dropped']);
  });

  it('stays where it cannot be read today either', async () => {
    const world = await unreadable('still no json', good('a', 1)[0] ?? []);
    const results = await redrive(world);
    expect(results.map(({ outcome }) => outcome)).toEqual(['rejected', 'redriven']);
    expect(results[0]?.reason).toMatch(/^decode: .* not JSON/);
  });

  it('leaves a letter for the key that rejects it now, and parks it as its policy says', async () => {
    const old = await unreadable([
      { key: 'a', n: 1 },
      { key: 'b', n: 2, isBad: true },
    ]);
    const world = withLetters(
      testWorld(listing({ policy: 'parkKey' }), {
        store: old.store,
        sinks: old.runtime.sinks,
        deadLetters: old.runtime.deadLetters,
      }),
      old,
    );
    expect(await outcomes(world)).toEqual(['redriven']);
    expect(stateOf(world, 'a', 'list')).toEqual([1]);
    expect(itemOf(world, 'b')?.letters).toEqual({ next: 1, closed: [], parkedFrom: 0 });
    expect([...world.letters.values()]).toMatchObject([{ key: 'b', number: 0, stage: 'fold' }]);
    expectNothingLeft(world);
    expect(await outcomes(mended(world, { policy: 'parkKey' }))).toEqual(['redriven']);
    expect(stateOf(world, 'b', 'list')).toEqual([2]);
  });

  it('and of which one element had no key, gives that element alone', async () => {
    const old = testWorld(listing());
    await drain(
      old,
      records([
        [
          { key: 'a', n: 1 },
          { key: 'none', n: 2 },
          { key: 'b', n: 3 },
        ],
      ]),
    );
    const world = mended(old);
    expect([...world.letters.values()]).toMatchObject([{ stage: 'key', element: 1 }]);
    expect(await outcomes(world)).toEqual(['redriven']);
    expect(stateOf(world, 'none', 'list')).toEqual([2]);
    expect(stateOf(world, 'a', 'list')).toEqual([1]);
    expect(stateOf(world, 'b', 'list')).toEqual([3]);
    expectNothingLeft(world);
  });
});

describe('a redrive that dies, is paused, or meets others', () => {
  const both = [
    { key: 'a', n: 5, isBad: true },
    { key: 'b', n: 6 },
    { key: 'a', n: 7 },
  ];

  /** Letters of all kinds: of keys, of a parked key, without a key. */
  const scenarios: readonly (readonly [string, readonly number[], () => Promise<TestWorld>])[] = [
    [
      'letters of a key',
      [1, 2, 3, 5, 6, 7],
      async () => {
        const old = testWorld(listing());
        await drain(old, records([...good('a', 1), ...bad('a', 2, 3), both]));
        return mended(old);
      },
    ],
    [
      'a parked key',
      [1, 2, 3, 5, 6, 7],
      async () => {
        const old = testWorld(listing({ policy: 'parkKey' }));
        await drain(old, records([...good('a', 1), ...bad('a', 2), ...good('a', 3), both]));
        return mended(old, { policy: 'parkKey' });
      },
    ],
    [
      'a record without keys',
      [1, 2, 3, 4, 5, 6, 7],
      async () => {
        const old = testWorld(listing());
        await drain(old, records([...good('a', 1), 'no json', [{ key: 'none', n: 3 }], ...good('b', 6)]));
        for (const [name, letter] of old.letters) {
          if (letter.stage !== 'decode') continue;
          const value = [
            { key: 'a', n: 2 },
            { key: 'b', n: 4 },
            { key: 'a', n: 5 },
            { key: 'a', n: 7 },
          ];
          old.letters.set(name, { ...letter, data: Buffer.from(JSON.stringify(value)).toString('base64') });
        }
        return mended(old);
      },
    ],
  ];

  function applied(world: TestWorld): number[] {
    const lists = [...world.store.items().values()].map(
      ({ states }) => (states.get('list') ?? []) as number[],
    );
    return lists.flat().toSorted((a, b) => a - b);
  }

  function expectOnce(world: TestWorld, numbers: readonly number[]): void {
    expect(applied(world)).toEqual(numbers);
    expect(eventsOf(world).toSorted((a, b) => a - b)).toEqual(numbers);
    expect(world.letters.size).toBe(0);
    expectNothingLeft(world);
  }

  async function redriveToEnd(world: TestWorld): Promise<void> {
    for (let turn = 0; world.letters.size > 0 && turn < 3; turn++) await redrive(world);
  }

  /** Runs until the gate has no more calls to be at. @returns how many moments there were. */
  async function atEveryCall(
    make: () => Promise<TestWorld>,
    gateOf: (
      world: TestWorld,
      at: number,
      when: (typeof MOMENTS)[number],
    ) => Gate & { readonly calls: string[] },
    check: (world: TestWorld) => Promise<void>,
  ): Promise<number> {
    let moments = 0;
    for (let at = 1; ; at++) {
      let isPast = false;
      for (const when of MOMENTS) {
        const world = await make();
        const gate = gateOf(world, at, when);
        await redrive(world, {}, gated(world.runtime, gate)).catch(() => undefined);
        isPast = gate.calls.length < at;
        await check(world);
        moments += 1;
      }
      if (isPast) return moments;
    }
  }

  it.each(scenarios)('applies %s once, wherever the process dies', async (_, numbers, make) => {
    const moments = await atEveryCall(
      make,
      (__, at, when) => dying(at, when),
      async (world) => {
        await redriveToEnd(world);
        expectOnce(world, numbers);
      },
    );
    expect(moments).toBeGreaterThan(40);
  });

  it.each(scenarios)('applies %s once, wherever it dies again and again', async (_, numbers, make) => {
    await atEveryCall(
      make,
      (__, at, when) => dying(at, when),
      async (world) => {
        for (const at of [4, 7, 10])
          await redrive(world, {}, gated(world.runtime, dying(at, 'after'))).catch(String);
        await redriveToEnd(world);
        expectOnce(world, numbers);
      },
    );
  });

  it.each(scenarios)(
    'applies %s once, wherever another does the same meanwhile',
    async (_, numbers, make) => {
      await atEveryCall(
        make,
        (world, at, when) => pausing(at, when, async () => redrive(world)),
        async (world) => {
          await redriveToEnd(world);
          expectOnce(world, numbers);
        },
      );
    },
  );

  it.each(scenarios)(
    'applies %s once, wherever it is dropped meanwhile, or not at all',
    async (_, numbers, make) => {
      await atEveryCall(
        make,
        (world, at, when) => pausing(at, when, async () => redrive(world, { action: 'drop' })),
        async (world) => {
          await redriveToEnd(world);
          const some = applied(world);
          expect(new Set(some).size).toBe(some.length);
          expect(numbers).toEqual(expect.arrayContaining(some));
          expect(eventsOf(world).toSorted((a, b) => a - b)).toEqual(some);
          expect(world.letters.size).toBe(0);
        },
      );
    },
  );

  it.each(scenarios)(
    'applies %s once, wherever a live batch writes the same items',
    async (_, numbers, make) => {
      const batch = records([...good('a', 8), ...good('b', 9), ...good('none', 10)], 10);
      await atEveryCall(
        make,
        (world, at, when) => pausing(at, when, async () => drain(world, batch)),
        async (world) => {
          await drain(world, batch);
          await redriveToEnd(world);
          expectOnce(world, [...numbers, 8, 9, 10]);
        },
      );
    },
  );

  it('publishes in order what an earlier one left, before it goes on', async () => {
    const old = testWorld(listing());
    await drain(old, records(bad('a', 1, 2, 3)));
    const world = mended(old);
    const refusing = { maximumDeliveries: 500, maximumBytes: 5_000_000, deliver: async () => [] };
    const broken = { ...world.runtime, sinks: new Map([['events', refusing]]) };
    expect(await outcomes(world, {}, broken)).toEqual(['unfinished', 'waiting', 'waiting']);
    expect(stateOf(world, 'a', 'list')).toEqual([1]);
    expect(eventsOf(world)).toEqual([]);
    expect(await outcomes(world)).toEqual(['alreadyDone', 'redriven', 'redriven']);
    expect(eventsOf(world)).toEqual([1, 2, 3]);
  });

  it('puts outputs of a lane in its order only, though some are published late', async () => {
    const old = testWorld(listing());
    await drain(
      old,
      records([
        ...bad('a', 1),
        ...bad('b', 2),
        ...bad('c', 3),
        ...bad('d', 4),
        ...bad('e', 5),
        ...bad('f', 6),
      ]),
    );
    const world = mended(old);
    let refusals = 2;
    const events = world.runtime.sinks.get('events');
    if (events === undefined) throw new Error('no sink');
    const flaky = { ...events, maximumDeliveries: 500, maximumBytes: 5_000_000 };
    flaky.deliver = async (deliveries) =>
      refusals-- > 0 ? Promise.reject(new Error('no')) : events.deliver(deliveries);
    const runtime = { ...world.runtime, sinks: new Map([['events', flaky]]) };
    for (let turn = 0; world.letters.size > 0 && turn < 5; turn++) await redrive(world, {}, runtime);
    const last = new Map<string, number>();
    for (const { entry } of world.sinks.get('events')?.delivered ?? []) {
      const place = Number(entry.position.sequence);
      expect(place).toBeGreaterThanOrEqual(last.get(entry.lane) ?? 0);
      last.set(entry.lane, place);
    }
    expect(eventsOf(world).toSorted()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('spills states under a name that no earlier try has used, for a sweep may be removing that object', async () => {
    const HOURS_80_MS = 80 * 3_600_000;
    const old = testWorld(listing(), {}, { inlineStateBytes: 0 });
    await drain(old, records([...good('a', 1), [{ key: 'a', n: 2, isBad: true }]]));
    const { runtime } = deployed({}, old);
    const program = { ...runtime.program, limits: old.runtime.program.limits };
    const world: TestWorld = { ...withLetters(deployed({}, old), old), runtime: { ...old.runtime, program } };
    const { store, blobs } = old;
    const commit = vi.spyOn(store, 'commit').mockImplementation(async (writes) => writes.map(() => 'failed'));
    expect(await outcomes(world)).toEqual(['unfinished']);
    commit.mockRestore();
    const before = new Set(blobs.names());
    expect(before.size).toBe(2);

    const later = {
      ...world,
      runtime: { ...world.runtime, clock: { nowMs: () => world.nowMs + HOURS_80_MS } },
      nowMs: world.nowMs + HOURS_80_MS,
    };
    expect(await outcomes(later)).toEqual(['redriven']);
    const [name] = blobs.names().filter((each) => !before.has(each));
    expect(name).toBeDefined();
    expect(stateOf(old, 'a', 'list')).toEqual([1, 2]);
  });
});

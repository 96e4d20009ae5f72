import { describe, expect, it } from 'vitest';
import { kinesis, pipeline } from '../../../shared/index.ts';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import type { Runtime } from '../../../shared/engine/runtime.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import type { BlobStore } from '../../../shared/state/blob-store.ts';
import { blobName } from '../../../shared/state/spilled-states.ts';
import { SpillingStateStore } from '../../../shared/state/spilling-state-store.ts';
import type { StateStore } from '../../../shared/state/state-store.ts';
import { sweepSpilled } from '../../../shared/state/sweep-spilled.ts';
import { START_MS, testWorld, wholeItems, type TestWorld } from '../../support/memory-ports.ts';
import { deliver, drain, records } from './deliver.ts';

// Every I/O that concerns spilled states, of every step of a state's life, times every way in which it can go wrong,
// times everybody who may come afterwards or at the same time: all of them.

const HOUR_MS = 3_600_000;
/** Old enough for a sweep to look at, and within the horizon: the retry of a failed write may still come. */
const SWEPT_MS = START_MS + 30 * HOUR_MS;
const LATE_MS = START_MS + 1_000 * HOUR_MS;

/** One record each: a state that is small, grows, stays, changes, becomes again what it was, shrinks, grows, and goes. */
const LIFE = ['small', 'A', 'same', 'B', 'A', 'small', 'A', 'remove', 'B'] as const;
const TEXTS = { A: 'a'.repeat(300), B: 'b'.repeat(300), small: 'x' };

const subject = pipeline('p')
  .from(kinesis<(typeof LIFE)[number]>('s'))
  .keyBy(() => 'k')
  .updateStateByKey<string>('text', ([step = 'same'], text) =>
    step === 'remove' ? undefined : step === 'same' ? text : TEXTS[step],
  );
const BATCHES = LIFE.map((step, number) => records([JSON.stringify(step)], number) as [SourceRecord]);

const KINDS = ['dies before', 'dies after', 'is refused', 'takes effect and reports failure'] as const;
type Kind = (typeof KINDS)[number];

class Died extends Error {}

/** Lets each I/O of one invocation pass through a step. */
type Step = (io: string, run: () => Promise<unknown>) => Promise<unknown>;

/** A container of its own, cold, on the world's rows and objects. */
function container(world: TestWorld, step: Step): Runtime {
  const stepped = <T extends object>(port: T, ios: readonly string[]): T =>
    new Proxy(port, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== 'function') return member;
        const call = (...given: unknown[]): Promise<unknown> =>
          Reflect.apply(member, target, given) as Promise<unknown>;
        return ios.includes(name as string)
          ? (...given: unknown[]) => step(name as string, () => call(...given))
          : call;
      },
    });
  const store = stepped<StateStore>(world.store, ['load', 'commit']);
  const blobs = stepped<BlobStore>(world.blobs, ['put', 'get', 'remove']);
  return {
    ...world.runtime,
    store: new SpillingStateStore({ store, blobs }),
    cache: new ItemCache(),
    generation: undefined,
  };
}

const healthy: Step = (_, run) => run();

/** Goes wrong at the I/O with this number. A process that dies does nothing more. */
function failing(at: number, kind: Kind): Step {
  let count = 0;
  let isDead = false;
  return async (_, run) => {
    if (isDead) throw new Died();
    if (count++ !== at) return run();
    isDead = kind.startsWith('dies');
    if (kind === 'dies after' || kind === 'takes effect and reports failure') await run();
    throw new Died();
  };
}

/** I1: what an item points to is there and is what it says, at every moment. */
function checkPointers(world: TestWorld): void {
  wholeItems(world);
}

function textOf(world: TestWorld): unknown {
  return wholeItems(world).get('1/s/k')?.states.get('text');
}

function newWorld(): TestWorld {
  return testWorld(subject, {}, { inlineStateBytes: 200 });
}

async function live(world: TestWorld, from: number, to: number): Promise<void> {
  for (let batch = from; batch < to; batch++) {
    await drain(world, BATCHES[batch] as [SourceRecord], { runtime: container(world, healthy) });
    checkPointers(world);
  }
}

async function sweep(world: TestWorld, nowMs: number): Promise<void> {
  const { store, blobs } = world;
  await sweepSpilled({ store, blobs, nowMs, horizonSeconds: 25 * 3_600, keepGoing: () => true });
  checkPointers(world);
}

/** What is left is what is pointed to, once every object is old. */
async function checkEnd(world: TestWorld, end: number, expected: readonly unknown[]): Promise<void> {
  expect(textOf(world)).toBe(expected[end - 1]);
  await sweep(world, LATE_MS);
  const pointers = [...world.store.items()].flatMap(([pk, { spilled }]) =>
    spilled ? [blobName(pk, spilled)] : [],
  );
  expect(world.blobs.names()).toEqual(pointers);
  expect(textOf(world)).toBe(expected[end - 1]);
}

async function counted(world: TestWorld, batch: number): Promise<string[]> {
  const ios: string[] = [];
  const counting: Step = (io, run) => {
    ios.push(io);
    return run();
  };
  await deliver(world, BATCHES[batch] as [SourceRecord], { runtime: container(world, counting) });
  return ios;
}

describe('spilled states', async () => {
  const expected: unknown[] = [];
  const ios: string[][] = [];
  const calm = newWorld();
  for (let batch = 0; batch < BATCHES.length; batch++) {
    ios.push(await counted(calm, batch));
    expected.push(textOf(calm));
  }

  it('live through all their steps with these requests, and leave nothing behind', async () => {
    expect(expected).toEqual(['x', TEXTS.A, TEXTS.A, TEXTS.B, TEXTS.A, 'x', TEXTS.A, undefined, TEXTS.B]);
    expect(ios.map((each) => each.join(' '))).toEqual([
      'load commit',
      'load put commit',
      'load get commit',
      'load get put commit remove',
      'load get put commit remove',
      'load get commit remove',
      'load put commit',
      'load get commit remove',
      'load put commit',
    ]);
    expect(calm.blobs.names()).toHaveLength(1);
    await checkEnd(calm, BATCHES.length, expected);
  });

  const points = ios.flatMap((each, batch) => each.map((io, at) => ({ batch, at, io })));

  it.each(KINDS)(
    'survive each request that %s, whoever sweeps in between, and whoever comes again',
    async (kind) => {
      for (const { batch, at } of points) {
        for (const isSwept of [false, true]) {
          for (const isWarm of [false, true]) {
            const world = newWorld();
            await live(world, 0, batch);
            const runtime = container(world, failing(at, kind));
            await deliver(world, BATCHES[batch] as [SourceRecord], { runtime }).catch(() => undefined);
            checkPointers(world);
            if (isSwept) await sweep(world, SWEPT_MS);
            // A warm container goes on with what it has in its cache; one that died comes back cold.
            const again = isWarm && !kind.startsWith('dies') ? runtime : container(world, healthy);
            await drain(world, BATCHES[batch] as [SourceRecord], { runtime: again });
            checkPointers(world);
            expect(textOf(world)).toBe(expected[batch]);
            if (isSwept) await sweep(world, SWEPT_MS);
            await live(world, batch + 1, BATCHES.length);
            await checkEnd(world, BATCHES.length, expected);
          }
        }
      }
    },
  );

  it.each(['before', 'after'] as const)(
    'survive a zombie that sleeps %s each request, while others do the same, all that follows, and sweep',
    async (where) => {
      for (const { batch, at } of points) {
        // How far the others come until the zombie goes on.
        for (let until = batch + 1; until <= BATCHES.length; until++) {
          const world = newWorld();
          await live(world, 0, batch);
          let wake: () => void = () => undefined;
          let count = 0;
          let fallAsleep: () => void = () => undefined;
          const asleep = new Promise<void>((resolve) => (fallAsleep = resolve));
          const sleep = async (): Promise<void> => {
            fallAsleep();
            await new Promise<void>((resolve) => (wake = resolve));
          };
          const sleeping: Step = async (_, run) => {
            const isHere = count++ === at;
            if (isHere && where === 'before') await sleep();
            const result = await run();
            if (isHere && where === 'after') await sleep();
            checkPointers(world);
            return result;
          };
          const zombie = deliver(world, BATCHES[batch] as [SourceRecord], {
            runtime: container(world, sleeping),
          });
          await asleep;
          await live(world, batch, until);
          await sweep(world, SWEPT_MS);
          wake();
          await zombie;
          checkPointers(world);
          await sweep(world, SWEPT_MS);
          expect(textOf(world)).toBe(expected[until - 1]);
          await live(world, until, BATCHES.length);
          await checkEnd(world, BATCHES.length, expected);
        }
      }
    },
  );

  it('survive a sweep that sleeps before each of its requests, while states go through their whole life', async () => {
    for (const leak of [0, 1, 2]) {
      for (let at = 0; at < 12; at++) {
        const world = newWorld();
        await live(world, 0, 2);
        // The write of the next large state fails, again and again, and leaves its object.
        for (let tries = 0; tries < leak; tries++) {
          const failure = failing(3, 'is refused');
          await live(world, 2, 3);
          await deliver(world, BATCHES[3] as [SourceRecord], { runtime: container(world, failure) }).catch(
            () => undefined,
          );
        }
        let count = 0;
        const hurried = <T extends object>(port: T): T =>
          new Proxy(port, {
            get: (target, name) => {
              const member: unknown = Reflect.get(target, name);
              if (typeof member !== 'function') return member;
              return async (...given: unknown[]): Promise<unknown> => {
                if (count++ === at) await live(world, 2, BATCHES.length - 2);
                const result = (await Reflect.apply(member, target, given)) as unknown;
                checkPointers(world);
                return result;
              };
            },
          });
        await sweepSpilled({
          store: hurried<StateStore>(world.store),
          blobs: hurried<BlobStore>(world.blobs),
          nowMs: SWEPT_MS,
          horizonSeconds: 25 * 3_600,
          keepGoing: () => true,
        });
        await live(world, 2, BATCHES.length);
        await checkEnd(world, BATCHES.length, expected);
      }
    }
  });
});

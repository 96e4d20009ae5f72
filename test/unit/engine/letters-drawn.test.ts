import { expect, it } from 'vitest';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import { ENGINE_LIMITS, ITEM_RESERVE_BYTES } from '../../../shared/engine/limits.ts';
import { programOf } from '../../../shared/engine/program.ts';
import type { Runtime } from '../../../shared/engine/runtime.ts';
import { kinesis, pipeline, type Pipeline } from '../../../shared/index.ts';
import { without } from '../../../shared/state/without.ts';
import { seededRandom } from '../../../shared/testing/seeded-random.ts';
import { testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { deliver, drain, records, rest, stateOf } from './deliver.ts';
import { dying, gated, MOMENTS, outcomes, pausing } from './redriving.ts';

/** An element of a record, with the versions of the code that first do something with it. */
interface Value {
  readonly id: number;
  readonly key: 'k' | 'j';
  readonly decodes: number;
  readonly hasKey: number;
  readonly folds: number;
  /** The version that cannot decode its record although earlier ones could. */
  readonly breaks?: number;
}

const LAST_VERSION = 4;
const WORLDS = 400;
const STEPS = 12;

type Policy = 'deadLetter' | 'parkKey' | 'stop';
const POLICIES: readonly (readonly Policy[])[] = [
  ['deadLetter'],
  ['parkKey'],
  ['deadLetter', 'stop', 'parkKey'],
];

function code(version: number, onRecordError: Policy): Pipeline {
  return pipeline('p', { onRecordError })
    .from(kinesis<readonly Value[]>('s'))
    .flatMap((values) => {
      const isBroken = values.some(({ decodes, breaks }) => version < decodes || version === breaks);
      if (isBroken) throw new Error('cannot be decoded');
      return values;
    })
    .keyBy(({ hasKey, key }) => (version >= hasKey ? key : (undefined as unknown as string)))
    .mapWithState<number[], number>('ids', ({ id, folds }, state) => {
      if (version < folds) throw new Error('cannot be folded');
      state.update([...(state.get() ?? []), id]);
      return id;
    })
    .to(kinesis('out'));
}

/** As a restore leaves the shard's own items: what was settled is not known, and the letters' names are there. */
async function forgetSettled({ store }: TestWorld): Promise<void> {
  for (const item of store.items().values()) {
    if (item.settled === undefined) continue;
    const written = { ...without(item, 'settled'), revision: item.revision + 1 };
    await store.commit([{ item: written, expectedRevision: item.revision, loaded: item, spills: false }]);
  }
}

/**
 * Code is mended version by version, batches are cut anew and come beside each other, processes die, letters are redriven in
 * between, the factor is raised, a restore forgets. What one version has applied no other one rejects.
 */
it('elements are counted and published once, whatever their letters are', { timeout: 60_000 }, async () => {
  for (let seed = 1; seed <= WORLDS; seed++) {
    const random = seededRandom(seed);
    const upTo = (highest: number): number => Math.floor(random() * (highest + 1));
    const chance = (share: number): boolean => random() < share;
    const pick = <T>(list: readonly T[]): T => list[upTo(list.length - 1)] as T;
    const mendedIn = (): number => (chance(0.6) ? 1 : 2 + upTo(2));

    let count = 0;
    const values = Array.from({ length: 1 + upTo(6) }, () => {
      const breaks = chance(0.25) ? 2 + upTo(1) : undefined;
      const decodes = breaks === undefined && chance(0.15) ? mendedIn() : 1;
      return Array.from({ length: 1 + upTo(chance(0.1) ? 30 : 3) }, (): Value => {
        const key = chance(0.7) ? 'k' : 'j';
        const hasKey = breaks === undefined ? mendedIn() : breaks + upTo(1);
        return {
          id: ++count,
          key,
          decodes,
          hasKey,
          folds: mendedIn(),
          ...(breaks !== undefined && { breaks }),
        };
      });
    });
    const all = values.flatMap((value, at) => records([value], at, { partitionKey: pick(['p', 'q']) }));
    const limits = {
      ...ENGINE_LIMITS,
      ...(chance(0.4) && { itemBytes: ITEM_RESERVE_BYTES + 6_000 + upTo(3_000) }),
    };
    const policies = pick(POLICIES);
    const world = testWorld(code(1, 'deadLetter'));
    let parallelizationFactor = chance(0.3) ? 2 : 1;
    let version = 1;
    let warm: Runtime | undefined;
    const deployed = (): Runtime => ({
      ...world.runtime,
      program: programOf(code(version, pick(policies)).definition, limits),
      cache: new ItemCache(),
      generation: undefined,
      parallelizationFactor,
    });
    const redriveSome = async (runtime: Runtime): Promise<void> => {
      const names = [...world.letters.keys()].filter(() => chance(0.7)).toSorted();
      await outcomes(world, { names, isForced: chance(0.5) }, runtime).catch(() => undefined);
    };

    let left = all;
    for (let step = 0; step < STEPS; step++) {
      if (chance(0.3) && version < LAST_VERSION) {
        version += 1;
        warm = undefined;
      }
      if (chance(0.1)) {
        parallelizationFactor = 2;
        warm = undefined;
      }
      if (chance(0.05)) await forgetSettled(world);
      const runtime = warm !== undefined && chance(0.5) ? warm : deployed();
      const what = random();
      if (what < 0.6 && left.length > 0) {
        const cut = left.slice(0, 1 + upTo(left.length - 1));
        const at = 4 + upTo(24);
        const other = left.slice(0, 1 + upTo(left.length - 1));
        const gate = chance(0.7)
          ? dying(at, pick(MOMENTS))
          : pausing(at, pick(MOMENTS), async () => {
              const second = gated(deployed(), dying(4 + upTo(40), 'before'));
              await deliver(world, other, { runtime: second }).catch(() => undefined);
              if (chance(0.5)) await redriveSome(deployed());
            });
        const result = await deliver(world, cut, { runtime: gated(runtime, gate) }).catch(() => undefined);
        if (result !== undefined) left = [...rest(cut, result), ...left.slice(cut.length)];
        warm = result === undefined ? undefined : runtime;
      } else if (what < 0.7 && parallelizationFactor > 1 && left.length < all.length) {
        await deliver(world, all.slice(0, all.length - left.length), { runtime }).catch(() => undefined);
      } else {
        await redriveSome(gated(runtime, dying(1 + upTo(40), pick(MOMENTS))));
      }
      world.nowMs += 100_000;
    }

    version = LAST_VERSION;
    if (left.length > 0) await drain(world, left, { runtime: deployed(), limit: 60 });
    for (let round = 0; round < 40 && world.letters.size > 0; round++)
      await outcomes(world, { isForced: round > 20 }, deployed());
    const applied = ['k', 'j'].flatMap((key) => (stateOf(world, key, 'ids') ?? []) as number[]);
    const published = new Map(world.sinks.get('out')?.delivered.map(({ id, json }) => [id, Number(json)]));
    const ids = Array.from({ length: count }, (_, place) => place + 1);
    const ascending = (a: number, b: number): number => a - b;
    expect(applied.toSorted(ascending), `world ${seed}`).toEqual(ids);
    expect([...published.values()].toSorted(ascending), `world ${seed}`).toEqual(ids);
    expect(world.letters.size, `world ${seed}`).toBe(0);
  }
});

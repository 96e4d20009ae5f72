import { describe, expect, it } from 'vitest';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import {
  DEATHS_BEFORE_REJECTION,
  DEATHS_BEFORE_SUSPICION,
  ENGINE_LIMITS,
  ITEM_LIMIT_BYTES,
  ITEM_RESERVE_BYTES,
  type EngineLimits,
} from '../../../shared/engine/limits.ts';
import { programOf } from '../../../shared/engine/program.ts';
import type { Runtime } from '../../../shared/engine/runtime.ts';
import { turnOf } from '../../../shared/engine/turn.ts';
import { kinesis, pipeline, type Pipeline } from '../../../shared/index.ts';
import { REASON_LIMIT_CHARACTERS } from '../../../shared/source/record-error.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import { emptyItem } from '../../../shared/state/empty-item.ts';
import { itemBytes } from '../../../shared/state/item-codec.ts';
import { shardItemKey } from '../../../shared/state/row-key.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';
import { START_MS, testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { deliver, drain, GRANTED_MS, letters, records, stateOf } from './deliver.ts';
import { dying, gated, outcomes, pausing, type Gate } from './redriving.ts';

/** A value with the version of the code that first gives it a key. */
interface Value {
  readonly id: number;
  readonly since?: number;
  /** The version that fails it again. */
  readonly not?: number;
  /** The first version whose fold takes it. */
  readonly folds?: number;
  /** The version that cannot decode its record. */
  readonly breaks?: number;
}

/** The pipeline's code in a version. */
function code(version: number): Pipeline {
  return pipeline('p')
    .from(kinesis<readonly Value[]>('s'))
    .flatMap((values) => {
      if (values.some(({ breaks }) => breaks === version)) throw new Error('cannot be decoded');
      return values;
    })
    .keyBy(({ since = 1, not }) =>
      version >= since && version !== not ? 'k' : (undefined as unknown as string),
    )
    .updateStateByKey<number[]>('ids', ([value], ids = []) => {
      const { id, folds = 1 } = value as Value;
      if (version < folds) throw new Error('cannot be folded');
      return [...ids, id];
    });
}

/** A new container with the code in a version. */
function deployed(world: TestWorld, version: number, limits: Partial<EngineLimits> = {}): Runtime {
  return {
    ...world.runtime,
    program: programOf(code(version).definition, { ...ENGINE_LIMITS, ...limits }),
    cache: new ItemCache(),
    generation: undefined,
  };
}

/** A batch of which older code has committed the letters without a key, and nothing else. */
async function begun(batch: readonly (readonly Value[])[], limits: Partial<EngineLimits> = {}) {
  const world = testWorld(code(1));
  const handedIn = records(batch);
  await deliver(world, handedIn, { runtime: gated(deployed(world, 1, limits), dying(8, 'before')) }).catch(
    () => undefined,
  );
  expect([...world.store.items().keys()]).toEqual([expect.stringMatching(/^1\/d\//)]);
  return { world, handedIn };
}

function ids(world: TestWorld): number[] {
  return ((stateOf(world, 'k', 'ids') as number[] | undefined) ?? []).toSorted();
}

describe('elements of one record under one key', () => {
  it('are counted once where one had no key before, and the key rejected another', async () => {
    const world = testWorld(code(1));
    await drain(
      world,
      records([
        [
          { id: 1, since: 2 },
          { id: 2, folds: 2 },
        ],
      ]),
    );
    expect(letters(world).map(({ stage }) => stage)).toEqual(['fold', 'key']);
    expect(await outcomes(world, {}, deployed(world, 2))).toEqual(['redriven', 'redriven']);
    expect(ids(world)).toEqual([1, 2]);
  });

  it('are counted once where newer code has a key for both, and rejects what has no letter', async () => {
    const { world, handedIn } = await begun([
      [
        { id: 1, since: 2 },
        { id: 2, folds: 3 },
      ],
    ]);
    await drain(world, handedIn, { runtime: deployed(world, 2) });
    expect(letters(world)).toHaveLength(2);
    expect(await outcomes(world, {}, deployed(world, 3))).toEqual(['redriven', 'redriven']);
    expect(ids(world)).toEqual([1, 2]);
  });

  it('are counted once where the key rejects one that is redriven without', async () => {
    const world = testWorld(code(1));
    await drain(world, records([[{ id: 1, since: 2, folds: 3 }, { id: 2 }]]));
    expect(await outcomes(world, {}, deployed(world, 2))).toEqual(['redriven']);
    expect(ids(world)).toEqual([2]);
    expect(letters(world).map(({ stage }) => stage)).toEqual(['fold']);
    expect(await outcomes(world, {}, deployed(world, 3))).toEqual(['redriven']);
    expect(ids(world)).toEqual([1, 2]);
  });

  it('are counted once where newer code has a key for both, and one kills it', async () => {
    const { world, handedIn } = await begun([[{ id: 1, since: 2 }, { id: 2 }]]);
    const [{ lane, position }] = handedIn as [SourceRecord];
    for (let death = 0; death < DEATHS_BEFORE_SUSPICION; death++)
      await world.store.beginAttempt(1, lane, position);
    for (let death = 0; death < DEATHS_BEFORE_REJECTION; death++)
      await world.store.suspect(1, lane, turnOf(position, 'fold'), world.nowMs - GRANTED_MS - death);
    await drain(world, handedIn, { runtime: deployed(world, 2) });
    expect(letters(world).map(({ stage }) => stage)).toEqual(['killed', 'key']);
    expect(await outcomes(world, {}, deployed(world, 3))).toEqual(['redriven', 'redriven']);
    expect(ids(world)).toEqual([1, 2]);
  });
});

it('a whole record is redriven without elements whose letters are from before the factor was raised', async () => {
  const { world, handedIn } = await begun([[{ id: 1, since: 2, breaks: 2 }, { id: 2 }]]);
  await drain(world, handedIn, { runtime: { ...deployed(world, 2), parallelizationFactor: 2 } });
  expect(letters(world).map(({ stage }) => stage)).toEqual(['key', 'stateless']);
  expect(await outcomes(world, {}, deployed(world, 3))).toEqual(['redriven', 'redriven']);
  expect(ids(world)).toEqual([1, 2]);
});

it('a record is not applied behind a letter that older code commits meanwhile', async () => {
  const world = testWorld(code(1));
  const batch = records([[{ id: 1, since: 3 }], [{ id: 2, breaks: 1 }]]);
  // Both have read the shard's own item; the older code's write comes first, and it dies.
  const gate = pausing(7, 'before', async () => {
    const old = gated(deployed(world, 1), dying(5, 'before'));
    await deliver(world, batch, { runtime: old }).catch(() => undefined);
  });
  const result = await deliver(world, batch, { runtime: gated(deployed(world, 2), gate) });
  expect(gate.calls.slice(5, 8)).toEqual(['load', 'commit', 'load']);
  expect(result.report).toMatchObject({ conflicts: 1 });
  await drain(world, batch, { runtime: deployed(world, 2) });
  expect(await outcomes(world, {}, deployed(world, 3))).toEqual(['redriven', 'redriven']);
  expect(ids(world)).toEqual([1, 2]);
});

it('a record gets one letter where the factor is raised while its batch is in hand', async () => {
  const world = testWorld(code(1));
  const [before, own] = records([[{ id: 1, since: 2 }], [{ id: 2, since: 2 }]]) as [
    SourceRecord,
    SourceRecord,
  ];
  await drain(world, [before], { runtime: deployed(world, 1) });
  const gate = pausing(4, 'before', async () => {
    await drain(world, [own], { runtime: { ...deployed(world, 1), parallelizationFactor: 2 } });
  });
  await deliver(world, [own], { runtime: gated(deployed(world, 1), gate) });
  expect(gate.calls.slice(2, 4)).toEqual(['load', 'commit']);
  expect(letters(world)).toHaveLength(2);
  expect(await outcomes(world, {}, deployed(world, 2))).toEqual(['redriven', 'redriven']);
  expect(ids(world)).toEqual([1, 2]);
});

describe('a shard goes on', () => {
  /** An outbox of 8 KiB: some fifty letters. */
  const SMALL = { itemBytes: ITEM_RESERVE_BYTES + 8 * 1024 };

  it('where a record gets many letters in front of those that others have', async () => {
    const { world, handedIn } = await begun(
      [
        Array.from({ length: 30 }, (_, id) => ({ id, not: 2 })),
        ...Array.from({ length: 30 }, (_, id) => [{ id: 100 + id, since: 3 }]),
      ],
      SMALL,
    );
    await drain(world, handedIn, { runtime: deployed(world, 2, SMALL) });
    expect(letters(world)).toHaveLength(60);
  });

  it('where the records behind are not in hand whose letters fill the outbox', async () => {
    const { world, handedIn } = await begun(
      [
        Array.from({ length: 30 }, (_, id) => ({ id, not: 2 })),
        ...Array.from({ length: 30 }, (_, id) => [{ id: 100 + id, since: 3 }]),
      ],
      SMALL,
    );
    await drain(world, handedIn.slice(0, 1), { runtime: deployed(world, 2, SMALL) });
    await drain(world, handedIn.slice(1), { runtime: deployed(world, 2, SMALL) });
    expect(letters(world)).toHaveLength(60);
  });

  it('wherever older code died, where newer code rejects what that applied', async () => {
    // Less one part for which there is half the room: such a part as fills all of it.
    const many = Array.from({ length: 110 }, (_, id) => ({ id: 100 + id, since: 3 }));
    const batch = records([[{ id: 1, not: 2 }], many]);
    for (let at = 1; ; at++) {
      const world = testWorld(code(1));
      const gate = dying(at, 'after');
      await deliver(world, batch, { runtime: gated(deployed(world, 1, SMALL), gate) }).catch(() => undefined);
      await drain(world, batch, { runtime: deployed(world, 2, SMALL), limit: 5 });
      if (gate.calls.length < at) return;
    }
  });

  it('where a whole record is rejected of which very many elements have letters', async () => {
    const world = testWorld(code(1));
    const many: Value[] = Array.from({ length: 2_000 }, (_, id) => ({ id, since: 3, breaks: 2 }));
    const handedIn = records([[...many, { id: 2_000 }]]);
    // Dies when most of the letters are committed.
    let calls = 0;
    const gate: Gate = {
      before: () => {
        calls += 1;
        if (calls > 1_700) throw new Error('the process is dead');
      },
      after: () => undefined,
    };
    await deliver(world, handedIn, { runtime: gated(deployed(world, 1, SMALL), gate) }).catch(
      () => undefined,
    );
    expect(ids(world)).toEqual([]);
    await drain(world, handedIn, { runtime: deployed(world, 2, SMALL), limit: 5 });
    expect(letters(world).filter(({ stage }) => stage === 'stateless')).toHaveLength(1);
  });

  it('in front of very many elements without a key between others that have one', async () => {
    const alternating = (isMended: boolean): Pipeline =>
      pipeline('p')
        .from(kinesis<number>('s'))
        .flatMap((count) => Array.from({ length: count }, (_, id) => id))
        .keyBy((id) => {
          if (!isMended && id % 2 === 1) throw new Error('語'.repeat(REASON_LIMIT_CHARACTERS));
          return 'k';
        })
        .updateStateByKey<number>('n', (_, n = 0) => n + 1);
    const world = testWorld(alternating(false));
    const handedIn = records([20_000]);
    const [{ lane, position }] = handedIn as [SourceRecord];
    // Most have their letters, which are stored and redriven.
    const elements = Array.from({ length: 9_400 }, (_, place) => 2 * place + 1);
    const item: StateItem = {
      ...emptyItem(shardItemKey(1, lane), START_MS),
      rejected: [{ position, elements }],
      letters: { next: elements.length, closed: [{ from: 0, below: elements.length }] },
    };
    await world.store.commit([{ item, expectedRevision: undefined, spills: false }]);
    let largest = 0;
    const commit = world.store.commit.bind(world.store);
    world.store.commit = async (writes) => {
      for (const { item } of writes) largest = Math.max(largest, itemBytes({ ...item, states: new Map() }));
      return commit(writes);
    };
    await drain(world, handedIn);
    expect(letters(world)).toHaveLength(600);
    expect(largest).toBeLessThan(ITEM_LIMIT_BYTES);
  });
});

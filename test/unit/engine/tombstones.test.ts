import { describe, expect, it } from 'vitest';
import { kinesis, pipeline } from '../../../shared/index.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import { sourceRecord, START_MS, testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { deliver, drain, itemOf, stateOf } from './deliver.ts';

const HOUR_MS = 3_600_000;
/** Of a stream with 24 hours of retention. */
const HORIZON_MS = 25 * HOUR_MS;

type Action = 'add' | 'remove' | 'throw' | 'look';

function counting(): TestWorld {
  return testWorld(
    pipeline('p')
      .from(kinesis<Action>('s'))
      .keyBy(() => 'k')
      .mapWithState<number, number>(
        'count',
        (action, state) => {
          if (action === 'throw') throw new Error('thrown');
          if (action === 'look') return undefined;
          if (action === 'remove') state.remove();
          else state.update((state.get() ?? 0) + 1);
          return action === 'remove' ? undefined : state.get();
        },
        { initial: () => 100 },
      )
      .to(kinesis('out')),
  );
}

function at(number: number, action: Action, arrivalMs: number): SourceRecord {
  return sourceRecord(0, number, { value: JSON.stringify(action), arrivalMs });
}

describe('a state that was removed', () => {
  it('leaves a tombstone with its marks, that expires once nothing can come again', async () => {
    const world = counting();
    await drain(world, [at(0, 'add', START_MS)]);
    world.nowMs = START_MS + 60_000;
    await drain(world, [at(1, 'remove', START_MS)]);
    const item = itemOf(world, 'k');
    expect(item?.states.size).toBe(0);
    expect(item?.marks.size).toBe(1);
    // Now, and the retention and an hour, and the retention.
    expect(item?.expiresAtSeconds).toBe((world.nowMs + HORIZON_MS + 24 * HOUR_MS) / 1_000);
  });

  it('expires with what is pending in it, for its record cannot come again by then', async () => {
    const world = counting();
    await drain(world, [at(0, 'add', START_MS), at(1, 'remove', START_MS)]);
    expect(itemOf(world, 'k')?.outbox).toHaveLength(1);
    expect(itemOf(world, 'k')?.expiresAtSeconds).toBeGreaterThanOrEqual((START_MS + HORIZON_MS) / 1_000);
  });

  it('does not expire while there is state', async () => {
    const world = counting();
    await drain(world, [at(0, 'add', START_MS)]);
    expect(itemOf(world, 'k')?.expiresAtSeconds).toBeUndefined();
  });

  it.each([
    ['begins from nothing within the horizon', HORIZON_MS - 1_000, 1],
    ['begins from the initial state beyond it', HORIZON_MS, 101],
  ])('%s', async (_, laterMs, expected) => {
    const batch = [at(0, 'add', START_MS), at(1, 'remove', START_MS), at(2, 'add', START_MS + laterMs)];
    const [whole, cut] = [counting(), counting()];
    await drain(whole, batch);
    for (const record of batch) await drain(cut, [record]);
    expect(stateOf(whole, 'k', 'count')).toBe(expected);
    expect(stateOf(cut, 'k', 'count')).toBe(expected);
  });

  it.each(['throw', 'look'] as const)(
    'is forgotten by a late record that does %s, also when the next comes in another batch (I10)',
    async (action) => {
      const lateMs = START_MS + HORIZON_MS;
      const batch = [
        at(0, 'add', START_MS),
        at(1, 'remove', START_MS),
        at(2, action, lateMs),
        at(3, 'add', lateMs + HOUR_MS),
      ];
      const [whole, cut] = [counting(), counting()];
      await drain(whole, batch);
      for (const record of batch) await drain(cut, [record]);
      expect(stateOf(whole, 'k', 'count')).toBe(101);
      expect(stateOf(cut, 'k', 'count')).toBe(101);
    },
  );

  it('is forgotten by the same record however the batch is cut where arrivals go back (I10)', async () => {
    const batch = [
      at(0, 'add', START_MS),
      at(1, 'remove', START_MS + HOUR_MS),
      at(2, 'remove', START_MS),
      at(3, 'add', START_MS + HORIZON_MS),
    ];
    const [whole, cut] = [counting(), counting()];
    await drain(whole, batch);
    for (const record of batch) await drain(cut, [record]);
    expect(stateOf(whole, 'k', 'count')).toBe(1);
    expect(stateOf(cut, 'k', 'count')).toBe(1);
  });

  it('is not applied to again by a duplicate of the record before the removal', async () => {
    const world = counting();
    const batch = [at(0, 'add', START_MS), at(1, 'remove', START_MS)];
    await drain(world, batch);
    const { report } = await deliver(world, batch);
    expect(report).toMatchObject({ applied: 0, duplicates: 2 });
    expect(stateOf(world, 'k', 'count')).toBeUndefined();
  });
});

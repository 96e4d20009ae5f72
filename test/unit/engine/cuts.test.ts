import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dynamodb, kinesis, pipeline, type Pipeline } from '../../../shared/index.ts';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import type { Document } from '../../../shared/state/document.ts';
import { sourceRecord, START_MS, testWorld, wholeItems, type TestWorld } from '../../support/memory-ports.ts';
import { deliver, drain } from './deliver.ts';

interface Value {
  readonly keys: readonly string[];
  readonly n: number;
  /** What user code does with it. */
  readonly act: 'add' | 'remove' | 'throw' | 'drop' | 'grow';
}

/** Everything that could depend on how batches are cut: order, removal, rejection, sizes, changes in place. */
const subject: Pipeline = pipeline('p')
  .from(kinesis<Value>('s'))
  .flatMap((value) => value.keys.map((key) => ({ ...value, key, touched: 0, common: value })))
  .keyBy(({ key }) => key)
  .mapWithState<{ sum: number; seen: number[]; bulk?: string }, { sum: number; n: number; touched: number }>(
    'sum',
    (value, state) => {
      value.touched += 1;
      if (value.act === 'drop') return undefined;
      const held = state.get() ?? { sum: 0, seen: [] };
      held.sum += value.n;
      held.seen.push(value.n);
      if (value.act === 'throw') throw new Error(`thrown ${value.n}`);
      if (value.act === 'remove') {
        state.remove();
        return { sum: -1, n: value.n, touched: value.touched };
      }
      if (value.act === 'grow') held.bulk = (held.bulk ?? '') + 'x'.repeat(150_000);
      state.update(held);
      return { sum: held.sum, n: value.n, touched: value.touched };
    },
    { initial: (key) => ({ sum: key.length, seen: [] }) },
  )
  .to(kinesis('events', { key: ({ n }: { n: number }) => `d${n % 2}` }))
  .updateStateByKey<number[]>('last', ([event], last = []) => {
    last.push((event as { n: number }).n);
    return last.length > 4 ? undefined : last;
  })
  .to(dynamodb('changes'));

const value = fc.record({
  keys: fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 }),
  n: fc.integer({ min: 0, max: 9 }),
  act: fc.constantFrom<Value['act']>('add', 'add', 'add', 'remove', 'throw', 'drop', 'grow'),
  /** Arrivals rise by up to a day and fall by up to an hour. */
  hours: fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: -1, max: 26 }) },
  ),
});

interface Outcome {
  readonly states: Record<string, Record<string, Document>>;
  readonly events: string[];
  readonly ids: string[];
  readonly letters: string[];
  readonly lastChanges: Record<string, string>;
}

function outcome(world: TestWorld): Outcome {
  const states: Outcome['states'] = {};
  for (const [pk, item] of [...wholeItems(world)].toSorted()) {
    if (item.states.size > 0) states[pk] = Object.fromEntries([...item.states].toSorted());
  }
  const seen = new Set<string>();
  const events = (world.sinks.get('events')?.delivered ?? []).filter(
    ({ id }) => !seen.has(id) && seen.add(id),
  );
  const byDestination = events.toSorted((a, b) => a.destinationKey.localeCompare(b.destinationKey));
  const lastChanges: Record<string, string> = {};
  const revisions = new Map<string, number>();
  for (const { destinationKey, json, entry } of world.sinks.get('changes')?.delivered ?? []) {
    if (entry.revision < (revisions.get(destinationKey) ?? 0)) continue;
    revisions.set(destinationKey, entry.revision);
    lastChanges[destinationKey] = json;
  }
  return {
    states,
    events: byDestination.map(({ destinationKey, json }) => `${destinationKey} ${json}`),
    ids: byDestination.map(({ id }) => id),
    letters: [...world.letters].map(([name, { reason }]) => `${name} ${reason}`).toSorted(),
    lastChanges,
  };
}

describe('fold depends on the records alone (I10)', () => {
  it('gives the same states, events, ids and dead letters for every cut, redelivery and cold start', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(value, { minLength: 1, maxLength: 14 }),
        fc.array(
          fc.record({
            size: fc.integer({ min: 1, max: 6 }),
            again: fc.integer({ min: 0, max: 5 }),
            isCold: fc.boolean(),
          }),
          { minLength: 1, maxLength: 10 },
        ),
        async (values, cuts) => {
          let arrivalMs = START_MS;
          const batch = values.map(({ hours, ...rest }, number) => {
            arrivalMs += hours * 3_600_000;
            return sourceRecord(0, number, { value: rest, arrivalMs });
          });
          const whole = testWorld(subject);
          await drain(whole, batch);

          const cut = testWorld(subject);
          let at = 0;
          for (let turn = 0; at < batch.length; turn++) {
            const { size, again, isCold } = cuts[turn % cuts.length] ?? { size: 1, again: 0, isCold: false };
            const runtime = isCold
              ? { ...cut.runtime, cache: new ItemCache(), generation: undefined }
              : cut.runtime;
            const end = Math.min(batch.length, at + size);
            const { failedFrom } = await deliver(cut, batch.slice(at, end), { runtime });
            expect(failedFrom).toBeUndefined();
            at = end;
            // An older batch comes again beside, as a duplicate or from a zombie.
            if (again > 0) await deliver(cut, batch.slice(Math.max(0, at - again), at), { runtime });
          }
          expect(outcome(cut)).toEqual(outcome(whole));
        },
      ),
      { numRuns: 300 },
    );
  }, 60_000);
});

import { NO_FAULTS, type Fault } from '../../shared/testing/simulator/faults.ts';
import type { WorldPlan } from './drawn-world.ts';

/**
 * Takes things out of a failing world as long as it still fails: records, reshards, faults, settings.
 * @param fails whether a world fails.
 * @returns the smallest one found.
 */
export async function shrink(
  plan: WorldPlan,
  fails: (plan: WorldPlan) => Promise<boolean>,
): Promise<WorldPlan> {
  let smallest = plan;
  for (let isSmaller = true; isSmaller;) {
    isSmaller = false;
    for (const candidate of smallerThan(smallest)) {
      if (!(await fails(candidate))) continue;
      smallest = candidate;
      isSmaller = true;
      break;
    }
  }
  return smallest;
}

function* smallerThan(plan: WorldPlan): Generator<WorldPlan> {
  const { records, reshards, faults } = plan;
  const half = Math.ceil(records.length / 2);
  if (records.length > 3) {
    yield { ...plan, records: records.slice(0, half) };
    yield { ...plan, records: records.slice(half) };
  }
  for (const fault of Object.keys(NO_FAULTS) as Fault[]) {
    if (faults[fault] > 0) yield { ...plan, faults: { ...faults, [fault]: 0 } };
  }
  for (const place of records.keys()) yield { ...plan, records: records.toSpliced(place, 1) };
  if (plan.next !== undefined) yield { ...plan, next: undefined };
  for (const place of reshards.keys()) yield { ...plan, reshards: reshards.toSpliced(place, 1) };
  for (const fault of Object.keys(NO_FAULTS) as Fault[]) {
    if (faults[fault] > 1) yield { ...plan, faults: { ...faults, [fault]: faults[fault] - 1 } };
  }
  if (plan.rewind !== undefined) yield { ...plan, rewind: undefined };
  if (plan.fork !== undefined) yield { ...plan, fork: undefined };
  if (plan.mending?.earlyMs !== undefined)
    yield { ...plan, mending: { ...plan.mending, earlyMs: undefined } };
  if (plan.mending?.rewind !== undefined) yield { ...plan, mending: { ...plan.mending, rewind: undefined } };
  const { time } = plan;
  for (const place of time?.sweepsAtMs.keys() ?? [])
    yield { ...plan, time: time && { ...time, sweepsAtMs: time.sweepsAtMs.toSpliced(place, 1) } };
  if (plan.shards > 1) yield { ...plan, shards: plan.shards - 1 };
  if (plan.lowersFactor) yield { ...plan, lowersFactor: false };
  if (plan.raisesFactor === true) yield { ...plan, raisesFactor: false };
  if (plan.parallelizationFactor > 1)
    yield { ...plan, parallelizationFactor: 1, lowersFactor: false, raisesFactor: false };
  if (plan.inlineStateBytes !== undefined) yield { ...plan, inlineStateBytes: undefined };
  if (plan.roomBytes !== undefined) yield { ...plan, roomBytes: undefined };
  if (plan.batchingWindowMs > 0) yield { ...plan, batchingWindowMs: 0 };
  if (plan.bisectOnError) yield { ...plan, bisectOnError: false };
  if (!plan.parentsFirst) yield { ...plan, parentsFirst: true };
  for (const [place, record] of records.entries()) {
    if (record.value.other === undefined) continue;
    const alone = { ...record.value };
    delete alone.other;
    yield { ...plan, records: records.with(place, { ...record, value: alone }) };
  }
}

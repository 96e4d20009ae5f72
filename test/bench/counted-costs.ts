import { kinesis, pipeline } from '../../shared/index.ts';
import { processBatch } from '../../shared/engine/process-batch.ts';
import { costsBetween } from '../../shared/state/cost-counter.ts';
import type { StoreCosts } from '../../shared/state/state-store.ts';
import { recordBatch, sourceRecord, testWorld } from '../support/memory-ports.ts';

/** What one batch costs, by DynamoDB's rules; the same on every machine. */
export interface BatchCosts extends StoreCosts {
  readonly batch: string;
  readonly records: number;
  readonly keys: number;
}

const RECORDS = 10_000;

/** Requests and capacity units of a cold and a warm batch, and of one that is delivered again. */
export async function countedCosts(keys: number): Promise<BatchCosts[]> {
  const subject = pipeline('bench')
    .from(kinesis<{ key: string; value: number }>('input'))
    .keyBy(({ key }) => key)
    .aggregateByKey(
      'sum',
      () => 0,
      (sum, { value }) => sum + value,
    )
    .to(kinesis('sums'));
  const world = testWorld(subject);
  const deliver = async (batch: string, from: number): Promise<BatchCosts> => {
    const before = world.runtime.store.costs();
    const records = Array.from({ length: RECORDS }, (_, number) =>
      sourceRecord(0, from + number, { value: { key: `key-${number % keys}`, value: 1 } }),
    );
    await processBatch(world.runtime, recordBatch(0, records), world.nowMs + 900_000);
    const after = world.runtime.store.costs();
    return {
      batch,
      records: RECORDS,
      keys,
      ...costsBetween(before, after),
    };
  };
  const first = await deliver('first of a new pipeline', 0);
  const warm = await deliver('next, warm', RECORDS);
  const again = await deliver('the same again', RECORDS);
  return [first, warm, again];
}

import { processBatch, type BatchResult } from '../../../shared/engine/process-batch.ts';
import type { Runtime } from '../../../shared/engine/runtime.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';
import type { Document } from '../../../shared/state/document.ts';
import {
  putInStream,
  recordBatch,
  sourceRecord,
  wholeItems,
  type TestRecord,
  type TestWorld,
} from '../../support/memory-ports.ts';

/** Time that Lambda grants an invocation in these tests, milliseconds. */
export const GRANTED_MS = 60_000;

/** Records of shard 0 with these values, numbered from `from`. */
export function records(
  values: readonly unknown[],
  from = 0,
  changes: Partial<TestRecord> = {},
): SourceRecord[] {
  return values.map((value, place) => sourceRecord(0, from + place, { value, ...changes }));
}

/** One invocation with these records of a shard, on the world's virtual clock. */
export async function deliver(
  world: TestWorld,
  batch: readonly SourceRecord[],
  { shard = 0, grantedMs = GRANTED_MS, runtime = world.runtime }: DeliverOptions = {},
): Promise<BatchResult> {
  const delivered = recordBatch(shard, batch);
  putInStream(world, delivered);
  return processBatch(runtime, delivered, world.nowMs + grantedMs);
}

export interface DeliverOptions {
  readonly shard?: number;
  readonly grantedMs?: number;
  readonly runtime?: Runtime;
}

/** The batch as Lambda would hand it in again: from the failed record on. */
export function rest(batch: readonly SourceRecord[], { failedFrom }: BatchResult): readonly SourceRecord[] {
  if (failedFrom === undefined) return [];
  return batch.slice(batch.findIndex(({ position }) => position.sequence === failedFrom.sequence));
}

/** Hands a batch in until all of it is acknowledged. @throws when it is not after `limit` invocations. */
export async function drain(
  world: TestWorld,
  batch: readonly SourceRecord[],
  options: DeliverOptions & { readonly limit?: number } = {},
): Promise<number> {
  const { limit = 100 } = options;
  let left = batch;
  for (let invocation = 1; invocation <= limit; invocation++) {
    left = rest(left, await deliver(world, left, options));
    if (left.length === 0) return invocation;
  }
  throw new Error(`${left.length} records are not acknowledged after ${limit} invocations`);
}

/** The item of a key in the first generation. */
export function itemOf(world: TestWorld, key: string): StateItem | undefined {
  return wholeItems(world).get(`1/s/${key}`);
}

export function stateOf(world: TestWorld, key: string, operator: string): Document | undefined {
  return itemOf(world, key)?.states.get(operator);
}

/** The dead letters' reasons by stage, in the order of their names. */
export function letters(
  world: TestWorld,
): { readonly stage: string; readonly reason: string; readonly key: string | undefined }[] {
  return [...world.letters]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { stage, reason, key }]) => ({ stage, reason, key }));
}

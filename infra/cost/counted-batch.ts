import { kinesis, pipeline } from '../../shared/index.ts';
import { ItemCache } from '../../shared/engine/item-cache.ts';
import { processBatch } from '../../shared/engine/process-batch.ts';
import { programOf } from '../../shared/engine/program.ts';
import type { Runtime } from '../../shared/engine/runtime.ts';
import { MemoryDeadLetterStore } from '../../shared/output/memory-dead-letters.ts';
import { REQUESTS_IN_FLIGHT } from '../../shared/output/publish.ts';
import type { Delivery, SinkPort } from '../../shared/output/sink-port.ts';
import type { Pipeline } from '../../shared/pipeline/definition.ts';
import { shardLane } from '../../shared/source/lane.ts';
import type { RecordBatch } from '../../shared/source/record.ts';
import { MemoryShardRanges } from '../../shared/source/shard-ranges.ts';
import { rowBytes } from '../../shared/state/attribute-bytes.ts';
import { costsBetween } from '../../shared/state/cost-counter.ts';
import { MAX_REQUESTS_IN_FLIGHT } from '../../shared/state/dynamodb-table.ts';
import { MemoryStateStore } from '../../shared/state/memory-state-store.ts';
import type { StoreCosts } from '../../shared/state/state-store.ts';
import { seededRandom } from '../../shared/testing/seeded-random.ts';

/** What a batch is made of. */
export interface BatchShape {
  readonly records: number;
  /** Of the shard, from which the records draw. */
  readonly keys: number;
  readonly stateBytes: number;
}

/** What one batch asks for: counted, by DynamoDB's rules, and so the same on every machine. */
export interface CountedBatch extends StoreCosts {
  readonly records: number;
  /** Different keys in the batch, on the average. */
  readonly keys: number;
  /** Outputs of the one sink, a change for each key. */
  readonly published: number;
  readonly sinkRequests: number;
  /** Requests that wait for one another, of which each is a round trip. */
  readonly rounds: number;
  /** Of the key that most of the batch's records have. */
  readonly recordsOfOneKey: number;
  /** What an item takes, with its mark and what waits to be published. */
  readonly itemBytes: number;
}

const SAMPLED_RECORDS = 2_000;
const MOST_BATCHES = 20;
const SEED = 1;
const STREAM = 'input';
const SHARD_ID = 'shardId-000000000000';
const SEQUENCE_BASE = 10n ** 55n;
/** Nothing hangs on it: arrivals are given, and a state has no time. */
const NOW_MS = 1_800_000_000_000;
const NO_DEADLINE_MS = NOW_MS + 86_400_000;

/**
 * Runs the engine, on ports in memory, over batches of records whose keys are drawn evenly, and averages what it asked
 * for. The items are there already, and no batch finds one in its container's memory, as where each came into a new one:
 * a warm container reads less.
 */
export async function countBatch(shape: BatchShape): Promise<CountedBatch> {
  const random = seededRandom(SEED);
  const batches = Math.min(MOST_BATCHES, Math.ceil(SAMPLED_RECORDS / shape.records));
  const drawn = Array.from({ length: batches }, () =>
    Array.from({ length: shape.records }, () => Math.floor(random() * shape.keys)),
  );
  const store = new MemoryStateStore();
  const sink = new CountingSink();
  const batchOf = numbered();
  const run = async (keys: readonly number[]): Promise<void> => {
    const { failedFrom } = await processBatch(
      runtimeOf(store, sink, shape.stateBytes),
      batchOf(keys),
      NO_DEADLINE_MS,
    );
    if (failedFrom !== undefined) throw new Error(`A counted batch stopped at ${failedFrom.sequence}.`);
  };

  const known = [...new Set(drawn.flat())];
  for (let from = 0; from < known.length; from += shape.records) {
    await run(known.slice(from, from + shape.records));
  }
  const before = store.costs();
  sink.requests = 0;
  sink.published = 0;
  for (const keys of drawn) await run(keys);
  const sums = costsBetween(before, store.costs());

  const costs = Object.fromEntries(
    Object.entries(sums).map(([name, sum]: [string, number]) => [name, sum / batches]),
  ) as unknown as StoreCosts;
  const sinkRequests = sink.requests / batches;
  const items = [...store.rows].filter(([pk]) => /^\d+\/s\//.test(pk)).map(([, row]) => rowBytes(row));
  return {
    ...costs,
    records: shape.records,
    keys: drawn.reduce((sum, keys) => sum + new Set(keys).size, 0) / batches,
    published: sink.published / batches,
    sinkRequests,
    rounds: roundsOf(costs, sinkRequests),
    recordsOfOneKey: drawn.reduce((sum, keys) => sum + greatestCount(keys), 0) / batches,
    itemBytes: items.reduce((sum, bytes) => sum + bytes, 0) / items.length,
  };
}

/** The attempt, the reads, the writes, the outputs and the progress wait for one another; of each kind many go at a time. */
function roundsOf({ readRequests, writeRequests }: StoreCosts, sinkRequests: number): number {
  const ofProgress = 2;
  return (
    ofProgress +
    Math.ceil(readRequests / MAX_REQUESTS_IN_FLIGHT) +
    Math.ceil((writeRequests - ofProgress) / MAX_REQUESTS_IN_FLIGHT) +
    Math.ceil(sinkRequests / REQUESTS_IN_FLIGHT)
  );
}

class CountingSink implements SinkPort {
  readonly maximumDeliveries = 500;
  readonly maximumBytes = 4_000_000;
  requests = 0;
  published = 0;

  async deliver(deliveries: readonly Delivery[]): Promise<readonly boolean[]> {
    this.requests += 1;
    this.published += deliveries.length;
    return deliveries.map(() => true);
  }
}

/** What a state of one number and one text takes without the text, by DynamoDB's rules. */
const EMPTY_STATE_BYTES = 10;

/** A count for each key, beside what fills its state up to its size, and a sink that takes each new count. */
function countingPipeline(stateBytes: number): Pipeline {
  const filling = 'x'.repeat(Math.max(0, stateBytes - EMPTY_STATE_BYTES));
  return pipeline('cost')
    .from(kinesis(STREAM, { codec: 'text' }))
    .keyBy((key) => key)
    .aggregateByKey(
      'counted',
      () => ({ n: 0, f: filling }),
      ({ n }) => ({ n: n + 1, f: filling }),
    )
    .to(kinesis('counts'));
}

/** A container's, new for each batch. */
function runtimeOf(store: MemoryStateStore, sink: SinkPort, stateBytes: number): Runtime {
  return {
    program: programOf(countingPipeline(stateBytes).definition),
    store,
    sinks: new Map([['counts', sink]]),
    deadLetters: new MemoryDeadLetterStore(() => NOW_MS),
    closedLetters: new MemoryDeadLetterStore(() => NOW_MS),
    shardRanges: new MemoryShardRanges(new Map()),
    clock: { nowMs: () => NOW_MS },
    wait: async () => undefined,
    log: { warn: () => undefined, error: () => undefined },
    cache: new ItemCache(),
    parallelizationFactor: 1,
    generation: undefined,
  };
}

/** Batches of one shard, each behind the one before. */
function numbered(): (keys: readonly number[]) => RecordBatch {
  const shard = shardLane(STREAM, SHARD_ID);
  let number = 0n;
  return (keys) => ({
    stream: STREAM,
    streamArn: `arn:aws:kinesis:us-east-1:111122223333:stream/${STREAM}`,
    shardId: SHARD_ID,
    shard,
    records: keys.map((key) => {
      number += 1n;
      const name = `key-${String(key).padStart(8, '0')}`;
      return {
        position: { sequence: String(SEQUENCE_BASE + number), sub: 0 },
        partitionKey: name,
        lane: shard,
        data: Buffer.from(name).toString('base64'),
        arrivalMs: NOW_MS,
      };
    }),
  });
}

function greatestCount(keys: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return Math.max(...counts.values());
}

import { beginRewind, type Rewinder } from '../../shared/checkpoint/rewind.ts';
import { driveRewind } from '../../shared/checkpoint/drive-rewind.ts';
import type { ReplaySource } from '../../shared/checkpoint/replay-source.ts';
import { kinesis, pipeline } from '../../shared/index.ts';
import { costsBetween } from '../../shared/state/cost-counter.ts';
import type { StoreCosts } from '../../shared/state/state-store.ts';
import { sourceRecord } from '../support/memory-ports.ts';
import {
  checkpoint,
  process,
  rewinderOf,
  rewindWorld,
  stepsOf,
  type RewindWorld,
} from '../unit/checkpoint/rewinding.ts';

/** What a replay takes, against the live batches that had processed the same records. */
export interface ReplayCosts {
  readonly lanes: string;
  /** Behind the checkpoint. */
  readonly records: number;
  /** Handed in by the replay. */
  readonly replayed: number;
  readonly keys: number;
  readonly replaySecondsPer100000: number;
  readonly secondsToLive: number;
  readonly wcuPer1000: number;
  readonly wcuToLive: number;
  readonly rcuPer1000: number;
  readonly requestsPer1000: number;
  readonly requestsToLive: number;
}

const KEYS = 1_000;
/** As many as a replay hands in together. */
const BATCH = 1_000;
const PARTITION_KEYS = 20;

const SUBJECT = pipeline('bench')
  .from(kinesis<{ key: string; value: number }>('input'))
  .keyBy(({ key }) => key)
  .aggregateByKey(
    'sum',
    () => 0,
    (sum, { value }) => sum + value,
  )
  .to(kinesis('sums'));

/** Half of the records before the checkpoint, and half behind it. In memory: time is the engine's alone. */
export async function replayCosts(records: number): Promise<ReplayCosts[]> {
  return [await costsOf(records, 1), await costsOf(records, 2)];
}

async function costsOf(records: number, parallelizationFactor: number): Promise<ReplayCosts> {
  const all = Array.from({ length: records }, (_, number) =>
    sourceRecord(0, number, {
      value: { key: `key-${number % KEYS}`, value: 1 },
      partitionKey: `p${number % PARTITION_KEYS}`,
    }),
  );
  const world = rewindWorld(SUBJECT, [all], { parallelizationFactor });
  const half = records / 2;
  await processAll(world, 0, half);
  await checkpoint(world, 'c');
  const live = await measured(world, () => processAll(world, half, records));
  const rewinder = withPages(rewinderOf(world), all);
  await beginRewind(rewinder, { id: 'r', holder: 'h', checkpoint: 'c', outputs: 'same' });
  let replay = { seconds: 0, costs: live.costs };
  const steps = stepsOf(rewinder, world.world.nowMs + 900_000);
  let replayed = 0;
  await driveRewind({
    steps: {
      ...steps,
      replay: async (version, shard) => {
        let report: Awaited<ReturnType<typeof steps.replay>> | undefined;
        replay = await measured(world, async () => void (report = await steps.replay(version, shard)));
        if (report === undefined) throw new Error('There is no report.');
        if ('records' in report) replayed += report.records;
        return report;
      },
    },
    mapping: { disable: async () => undefined, enable: async () => undefined },
    wait: async () => undefined,
    parallel: 1,
    id: 'r',
    holder: 'h',
  });
  const requests = ({ readRequests, writeRequests }: StoreCosts): number => readRequests + writeRequests;
  const per1000 = 1_000 / replayed;
  return {
    lanes: parallelizationFactor === 1 ? 'by shard' : 'by partition key',
    records: half,
    replayed,
    keys: KEYS,
    replaySecondsPer100000: (replay.seconds * 100_000) / replayed,
    secondsToLive: replay.seconds / live.seconds,
    wcuPer1000: replay.costs.wcu * per1000,
    wcuToLive: replay.costs.wcu / live.costs.wcu,
    rcuPer1000: replay.costs.rcu * per1000,
    requestsPer1000: requests(replay.costs) * per1000,
    requestsToLive: requests(replay.costs) / requests(live.costs),
  };
}

async function processAll(world: RewindWorld, from: number, below: number): Promise<void> {
  for (let at = from; at < below; at += BATCH) await process(world, 0, at, at + BATCH);
}

async function measured(
  { world }: RewindWorld,
  run: () => Promise<void>,
): Promise<{ readonly seconds: number; readonly costs: StoreCosts }> {
  const before = world.store.costs();
  const startMs = performance.now();
  await run();
  return { seconds: (performance.now() - startMs) / 1_000, costs: costsBetween(before, world.store.costs()) };
}

/** Kinesis gives pages as large as they are asked for. */
function withPages(rewinder: Rewinder, all: readonly ReturnType<typeof sourceRecord>[]): Rewinder {
  const records = all.map(({ position, partitionKey, data, arrivalMs }) => ({
    sequenceNumber: position.sequence,
    partitionKey,
    data,
    approximateArrivalTimestampMs: arrivalMs,
  }));
  const source: ReplaySource = {
    shards: () => rewinder.source.shards(),
    isRelayed: () => false,
    reader: (_, from) => {
      let at = from === undefined ? 0 : records.findIndex(({ sequenceNumber }) => sequenceNumber === from);
      return {
        next: async (limit) => {
          const page = records.slice(at, at + limit);
          at += page.length;
          return { kind: 'records', records: page, isAtEnd: at === records.length };
        },
      };
    },
  };
  return { ...rewinder, source };
}

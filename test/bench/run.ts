import Table from 'cli-table3';
import { PIPELINES } from '../../infra/pipelines.ts';
import { batchHeap, type BatchHeap } from './batch-heap.ts';
import { bundleCost, type BundleCost } from './bundle-cost.ts';
import { deltaCosts, type DeltaCosts } from './checkpoint-deltas.ts';
import { scaleInMemory, scaleOnEngines, type CheckpointScale } from './checkpoint-scale.ts';
import { countedCosts, type BatchCosts } from './counted-costs.ts';
import { engineCpu, type EngineCpu } from './engine-cpu.ts';
import { operatorCosts, sweepCosts, type OperatorCosts, type SweepCosts } from './operator-costs.ts';
import { replayCosts, type ReplayCosts } from './replay-costs.ts';
import { spilledCosts, type SpilledCosts } from './spilled-costs.ts';

const RECORD_BYTES = [150, 400, 1_000];
const KEYS = 1_000;
const HEAP_LIMIT_MB = 256;
/** Of checkpoints: `--keys 1000000` for the million. */
const CHECKPOINT_KEYS = Number(process.argv[process.argv.indexOf('--keys') + 1] ?? '') || 100_000;
const ENGINE_KEYS = 20_000;
const REPLAY_RECORDS = 200_000;
/** Timers that wait, and how many of them are due; `--timers 1000000` for the million. */
const TIMERS = Number(process.argv[process.argv.indexOf('--timers') + 1] ?? '') || 100_000;
const DUE_TIMERS = 1_000;

interface Results {
  readonly engineCpu: EngineCpu[];
  readonly countedCosts: BatchCosts[];
  readonly spilledCosts: SpilledCosts[];
  readonly checkpoints: readonly CheckpointScale[];
  readonly deltas: readonly DeltaCosts[];
  readonly replays: readonly ReplayCosts[];
  readonly operators: readonly OperatorCosts[];
  readonly sweeps: readonly SweepCosts[];
  readonly batchHeap: BatchHeap;
  readonly bundles: BundleCost[];
}

async function measure(): Promise<Results> {
  const cpu: EngineCpu[] = [];
  for (const publishes of [false, true]) {
    for (const bytes of RECORD_BYTES) cpu.push(await engineCpu(bytes, publishes));
  }
  const bundles: BundleCost[] = [];
  for (const props of PIPELINES) bundles.push(await bundleCost(props));
  return {
    engineCpu: cpu,
    countedCosts: await countedCosts(KEYS),
    spilledCosts: await spilledCosts(),
    checkpoints: await checkpointScale(),
    deltas: await deltaCosts(CHECKPOINT_KEYS),
    replays: await replayCosts(REPLAY_RECORDS),
    operators: await operatorCosts(),
    sweeps: [await sweepCosts(TIMERS, DUE_TIMERS), await sweepCosts(TIMERS, TIMERS - 1)],
    batchHeap: await batchHeap(HEAP_LIMIT_MB),
    bundles,
  };
}

async function checkpointScale(): Promise<CheckpointScale[]> {
  const onEngines = await scaleOnEngines(ENGINE_KEYS);
  return [await scaleInMemory(CHECKPOINT_KEYS), ...(onEngines === undefined ? [] : [onEngines])];
}

function show(title: string, rows: readonly object[]): void {
  const names = Object.keys(rows[0] ?? {});
  const table = new Table({ head: names, style: { head: [], border: [] } });
  for (const row of rows) table.push(names.map((name) => text((row as Record<string, unknown>)[name])));
  console.log(`\n${title}\n${table.toString()}`);
}

function text(value: unknown): string {
  return typeof value === 'number' && !Number.isInteger(value) ? value.toFixed(2) : String(value);
}

const results = await measure();
if (process.argv.includes('--json')) {
  console.log(JSON.stringify(results));
} else {
  show(
    'CPU of the engine on memory ports against a hand-written decode-parse-fold loop (ratio: at most 2 is the target)',
    results.engineCpu,
  );
  show('Counted: one batch of 10,000 records over 1,000 keys', results.countedCosts);
  show(
    'Counted: one record of one key whose state grows; beyond 336 KB it is spilled to S3',
    results.spilledCosts,
  );
  show(
    'Checkpoints: taking, restoring and verifying, alone and on engines (ratio to their bare clients)',
    results.checkpoints,
  );
  show(
    'Deltas: what is put and read back against a full checkpoint (in memory: time is ours alone)',
    results.deltas,
  );
  show('Replays against the live batches that had processed the same records (in memory)', results.replays);
  show(
    'Operators: 20,000 records of 100 keys, 1,000 a batch, each batch 10 s of event time',
    results.operators,
  );
  show('One sweep where timers of so many keys wait (in memory)', results.sweeps);
  show('Heap of one batch of 10,000 records of 400 bytes, 10,000 keys', [results.batchHeap]);
  show('Bundles, and importing them against importing the same SDK clients alone', results.bundles);
  console.log(
    '\nNot measured: the AWS SDK at work, the network, Lambda itself. Times are of this machine, now.',
  );
}

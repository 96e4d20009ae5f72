import { kinesis, pipeline } from '../../shared/index.ts';
import { processBatch } from '../../shared/engine/process-batch.ts';
import { costsBetween } from '../../shared/state/cost-counter.ts';
import { recordBatch, sourceRecord, testWorld } from '../support/memory-ports.ts';

/** What one record of one key costs while its state has so many bytes; the same on every machine. */
export interface SpilledCosts {
  readonly stateKb: number;
  readonly wcu: number;
  readonly puts: number;
  readonly removals: number;
  readonly packedKb: number;
  /** At us-east-1's prices of August 2026, on demand: $0.625 a million write units, $5 a million puts. */
  readonly dollarsPerMillion: number;
}

const STEP_KB = 100;
const LAST_KB = 2_000;
const DOLLARS = { wcu: 0.625, put: 5 };

/** A key whose state, a list of small events, grows from 100 KB to 2 MB, one batch of one record after the other. */
export async function spilledCosts(): Promise<SpilledCosts[]> {
  const subject = pipeline('bench')
    .from(kinesis<number>('input'))
    .keyBy(() => 'key')
    .updateStateByKey<object[]>('events', ([step = 0], events = []) => [...events, ...eventsOf(step)]);
  const world = testWorld(subject);
  const rows: SpilledCosts[] = [];
  for (let step = 0; step < LAST_KB / STEP_KB; step++) {
    const before = world.runtime.store.costs();
    const batch = recordBatch(0, [sourceRecord(0, step, { value: step })]);
    await processBatch(world.runtime, batch, world.nowMs + 900_000);
    const { wcu, blobPuts, blobRemovals } = costsBetween(before, world.runtime.store.costs());
    const [name] = world.blobs.names();
    rows.push({
      stateKb: (step + 1) * STEP_KB,
      wcu,
      puts: blobPuts,
      removals: blobRemovals,
      packedKb: Math.round((name === undefined ? 0 : (world.blobs.bytes(name)?.length ?? 0)) / 1_024),
      dollarsPerMillion: wcu * DOLLARS.wcu + blobPuts * DOLLARS.put,
    });
  }
  const shown = [100, 200, 300, 400, 500, 1_000, LAST_KB];
  return rows.filter(({ stateKb }) => shown.includes(stateKb));
}

/** 100 KB by DynamoDB's rules: 50 bytes each. */
function eventsOf(step: number): object[] {
  return Array.from({ length: (STEP_KB * 1_024) / 50 }, (_, n) => ({
    at: 1_800_000_000 + step * 2_048 + n,
    carrier: ['AA', 'DL', 'UA'][n % 3],
    flight: `F${(step * 7_919 + n * 104_729) % 100_000}`.padEnd(6, '0'),
    note: 'on time',
  }));
}

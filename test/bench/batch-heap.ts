import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { getHeapStatistics } from 'node:v8';
import { kinesis, pipeline } from '../../shared/index.ts';
import { processBatch } from '../../shared/engine/process-batch.ts';
import { recordBatch, sourceRecord, testWorld } from '../support/memory-ports.ts';

export interface BatchHeap {
  readonly records: number;
  readonly bytesPerRecord: number;
  /** The heap that the process was allowed; it ends where that is not enough. */
  readonly heapLimitMb: number;
  readonly isEnough: boolean;
}

const RECORDS = 10_000;
const BYTES = 400;

/** Whether one batch of 10,000 records of 400 bytes, each under a key of its own, fits into a heap of this size. */
export async function batchHeap(heapLimitMb: number): Promise<BatchHeap> {
  const child = fork(fileURLToPath(import.meta.url), ['batch-heap-child'], {
    execArgv: [...process.execArgv, `--max-old-space-size=${heapLimitMb}`],
    stdio: ['ignore', 'inherit', 'ignore', 'ipc'],
  });
  const isEnough = await new Promise<boolean>((resolve) => child.on('exit', (code) => resolve(code === 0)));
  return { records: RECORDS, bytesPerRecord: BYTES, heapLimitMb, isEnough };
}

async function oneBatch(): Promise<void> {
  const subject = pipeline('bench')
    .from(kinesis<{ key: string; text: string }>('input'))
    .keyBy(({ key }) => key)
    .updateStateByKey<string>('last', ([value]) => value?.text)
    .to(kinesis('sums'));
  const world = testWorld(subject);
  const records = Array.from({ length: RECORDS }, (_, number) =>
    sourceRecord(0, number, { value: { key: `key-${number}`, text: 'x'.repeat(BYTES - 30) } }),
  );
  const { report } = await processBatch(world.runtime, recordBatch(0, records), world.nowMs + 900_000);
  if (report.applied !== RECORDS || getHeapStatistics().used_heap_size === 0) process.exitCode = 1;
}

if (process.argv[2] === 'batch-heap-child') await oneBatch();

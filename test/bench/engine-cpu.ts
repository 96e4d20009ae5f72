import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { kinesis, pipeline } from '../../shared/index.ts';
import { processBatch } from '../../shared/engine/process-batch.ts';
import { readKinesisEvent } from '../../shared/source/kinesis-event.ts';
import { testWorld } from '../support/memory-ports.ts';
import { PlainStateStore } from './plain-state-store.ts';

interface Reading {
  readonly sensor: string;
  readonly value: number;
  readonly at: number;
  readonly text: string;
}
interface Sum {
  count: number;
  sum: number;
  largest: number;
}

const RECORDS = 10_000;
const KEYS = 1_000;
const ROUNDS = 30;
const WARM_UP = 8;

function add(sum: Sum | undefined, { value }: Reading): Sum {
  return {
    count: (sum?.count ?? 0) + 1,
    sum: (sum?.sum ?? 0) + value,
    largest: Math.max(sum?.largest ?? -Infinity, value),
  };
}

const folding = pipeline('bench')
  .from(kinesis<Reading>('readings'))
  .keyBy(({ sensor }) => sensor)
  .updateStateByKey<Sum>('sum', (readings, sum) => readings.reduce<Sum | undefined>(add, sum));
const publishing = folding.to(kinesis('sums'));

/** Lambda's event with 10,000 JSON records of `bytes` bytes each over 1,000 keys. */
function eventOf(round: number, bytes: number): { Records: unknown[] } {
  return {
    Records: Array.from({ length: RECORDS }, (_, number) => {
      const reading: Reading = {
        sensor: `sensor-${(number * 7_919) % KEYS}`,
        value: (number * 31) % 1_009,
        at: 1_800_000_000_000 + number,
        text: '',
      };
      const padding = Math.max(0, bytes - JSON.stringify(reading).length);
      const data = Buffer.from(JSON.stringify({ ...reading, text: 'x'.repeat(padding) })).toString('base64');
      const sequenceNumber = String(10n ** 55n + BigInt(round * RECORDS + number));
      return {
        kinesis: {
          kinesisSchemaVersion: '1.0',
          partitionKey: reading.sensor,
          sequenceNumber,
          data,
          approximateArrivalTimestamp: 1_800_000_000 + round,
        },
        eventSource: 'aws:kinesis',
        eventVersion: '1.0',
        eventID: `shardId-000000000000:${sequenceNumber}`,
        eventName: 'aws:kinesis:record',
        invokeIdentityArn: 'arn:aws:iam::000000000000:role/bench',
        awsRegion: 'us-east-1',
        eventSourceARN: 'arn:aws:kinesis:us-east-1:000000000000:stream/readings',
      };
    }),
  };
}

/** What anyone would write by hand: decode, parse and fold into a Map. No retries, no duplicates, no outputs. */
function byHand(event: { Records: unknown[] }, sums: Map<string, Sum>): void {
  for (const record of event.Records as { kinesis: { data: string } }[]) {
    const reading = JSON.parse(Buffer.from(record.kinesis.data, 'base64').toString('utf8')) as Reading;
    sums.set(reading.sensor, add(sums.get(reading.sensor), reading));
  }
}

export interface EngineCpu {
  /** Whether each key's new value is published, which the hand-written loop does not do. */
  readonly publishes: boolean;
  /** Of one record's JSON. */
  readonly bytes: number;
  readonly engineMicrosPerRecord: number;
  readonly byHandMicrosPerRecord: number;
  /** Of the two, in one run; the target is at most 2. */
  readonly ratio: number;
}

/** What Lambda's start script gives V8 of the default 1,024 MB: 5 percent as a semi-space, 90 as old space. */
const LAMBDA_V8_FLAGS = ['--max-semi-space-size=51', '--max-old-space-size=921'];
const CHILD = 'engine-cpu-child';

/**
 * CPU of the engine, from Lambda's event to the answer, against the hand-written loop: the two in turn in one process
 * with the heap of a default function, medians of their ratios. Ports are memory; not measured: the SDK, encodings,
 * the network.
 */
export async function engineCpu(bytes: number, publishes: boolean): Promise<EngineCpu> {
  const child = fork(fileURLToPath(import.meta.url), [CHILD, String(bytes), String(publishes)], {
    execArgv: [...process.execArgv, ...LAMBDA_V8_FLAGS],
  });
  return new Promise((resolve, reject) => {
    child.on('message', (result) => resolve(result as EngineCpu));
    child.on('exit', (code) => reject(new Error(`The measuring process ended with exit code ${code}.`)));
  });
}

async function measure(bytes: number, publishes: boolean): Promise<EngineCpu> {
  const world = testWorld(publishes ? publishing : folding);
  const runtime = { ...world.runtime, store: new PlainStateStore() };
  const sums = new Map<string, Sum>();
  const engine: number[] = [];
  const hand: number[] = [];
  let handMicros = 0;
  const byHandMeasured = (event: { Records: unknown[] }): void => {
    const loop = process.cpuUsage();
    byHand(event, sums);
    handMicros = cpuMicros(loop);
  };
  for (let round = 0; round < ROUNDS + WARM_UP; round++) {
    const event = eventOf(round, bytes);
    // In turn first and second: who is second finds the event moved out of the young generation already.
    if (round % 2 === 0) byHandMeasured(event);
    const batch = process.cpuUsage();
    const { report } = await processBatch(runtime, readKinesisEvent(event), world.nowMs + 900_000);
    const engineMicros = cpuMicros(batch);
    if (round % 2 === 1) byHandMeasured(event);
    if (report.applied !== RECORDS) throw new Error(`${report.applied} of ${RECORDS} records were applied.`);
    for (const sink of world.sinks.values()) sink.delivered.length = 0;
    if (round < WARM_UP) continue;
    hand.push(handMicros / RECORDS);
    engine.push(engineMicros / RECORDS);
  }
  const ratios = engine.map((micros, round) => micros / (hand[round] as number));
  return {
    bytes,
    publishes,
    engineMicrosPerRecord: median(engine),
    byHandMicrosPerRecord: median(hand),
    ratio: median(ratios),
  };
}

if (process.argv[2] === CHILD)
  process.send?.(await measure(Number(process.argv[3]), process.argv[4] === 'true'));

function cpuMicros(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return user + system;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

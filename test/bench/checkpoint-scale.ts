import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { BatchExecuteStatementCommand, ScanCommand, type DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { CheckpointStore } from '../../shared/checkpoint/checkpoint-store.ts';
import type { Manifest } from '../../shared/checkpoint/manifest.ts';
import { MemoryCheckpointStore } from '../../shared/checkpoint/memory-checkpoint-store.ts';
import { LineDigest } from '../../shared/checkpoint/line-digest.ts';
import { restorePart, verifySegment } from '../../shared/checkpoint/restore.ts';
import { S3CheckpointStore } from '../../shared/checkpoint/s3-checkpoint-store.ts';
import { takeCheckpoint } from '../../shared/checkpoint/take-checkpoint.ts';
import { programOf } from '../../shared/engine/program.ts';
import { kinesis, pipeline } from '../../shared/index.ts';
import { MemoryDeadLetterStore } from '../../shared/output/memory-dead-letters.ts';
import { MemoryStreamShards } from '../../shared/source/stream-shards.ts';
import { DynamoDbGenerationStore } from '../../shared/state/dynamodb-generation-store.ts';
import { DynamoDbStateStore } from '../../shared/state/dynamodb-state-store.ts';
import type { GenerationStore, ScanRequest } from '../../shared/state/generation-store.ts';
import { encodeItem } from '../../shared/state/item-codec.ts';
import { MemoryGenerationStore } from '../../shared/state/memory-generation-store.ts';
import { MemoryStateStore } from '../../shared/state/memory-state-store.ts';
import { carriedRevision } from '../../shared/state/revision.ts';
import { itemKey } from '../../shared/state/row-key.ts';
import type { StateItem } from '../../shared/state/state-item.ts';
import type { StateStore } from '../../shared/state/state-store.ts';
import { LOCAL_CREDENTIALS, LOCAL_REGION } from '../../infra/local/engines/local-account.ts';
import { startEngineProcess } from '../../infra/local/engines/engine-process.ts';
import { dynamoDbLocalProblem, startDynamoDbLocal } from '../support/dynamodb-engine.ts';

/** What taking and restoring a checkpoint of so many keys takes. */
export interface CheckpointScale {
  readonly on: string;
  readonly keys: number;
  /** Megabytes of lines, before packing. */
  readonly lineMb: number;
  readonly packedMb: number;
  readonly takeMbPerSecond: number;
  /** Time against reading the same rows, and putting the same parts, with the bare client; 0 where there is none. */
  readonly takeToRaw: number;
  readonly restoreMbPerSecond: number;
  /** Time against writing the same rows with the bare client; 0 where there is none. */
  readonly restoreToRaw: number;
  readonly verifyMbPerSecond: number;
  /** Highest resident memory meanwhile above that before, megabytes. */
  readonly peakRssMb: number;
  /** Of a take, and of a restore with its verification. */
  readonly rcuPerItem: number;
  readonly restoreRcuPerItem: number;
  readonly restoreWcuPerItem: number;
}

const SEGMENTS = 4;
const PAGE_ROWS = 1_000;
const subject = pipeline('bench')
  .from(kinesis<number>('input'))
  .keyBy(String)
  .updateStateByKey<object>('stats', (_, state) => state);
const PROGRAM = programOf(subject.definition);

/** Some 300 bytes, as an aggregate has them. */
export function itemNumber(number: number): StateItem {
  return {
    pk: itemKey(1, `key-${number}`),
    revision: 1_800_000_000_000 + number,
    marks: new Map([
      [
        'x3Fa_q/0',
        {
          position: { sequence: String(10n ** 55n + BigInt(number)), sub: 0 },
          arrivalSeconds: 1_800_000_000,
        },
      ],
    ]),
    states: new Map([
      [
        'stats',
        {
          airport: `A${number % 300}`,
          count: number % 977,
          delay: number / 7,
          newest: `2027-01-15T08:${number % 60}`,
          worst: 12,
        },
      ],
    ]),
    versions: new Map([['stats', 1]]),
    outbox: [],
  };
}

interface Ground {
  readonly on: string;
  readonly generations: GenerationStore;
  readonly store: StateStore;
  readonly checkpoints: CheckpointStore;
  /** The same with the bare clients, seconds: reading all rows and putting these parts; writing all rows. */
  readonly raw?: { take(manifest: Manifest): Promise<number>; restore(): Promise<number> };
}

async function measure(ground: Ground, keys: number): Promise<CheckpointScale> {
  const { generations, store, checkpoints, raw } = ground;
  const before = process.memoryUsage().rss;
  let peak = before;
  const watch = (): void => void (peak = Math.max(peak, process.memoryUsage().rss));
  const watching = setInterval(watch, 20);
  const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const log = { warn: () => undefined, error: () => undefined };
  const rcuBefore = generations.costs().rcu;
  const takeStart = performance.now();
  const report = await takeCheckpoint({
    pipeline: 'bench',
    checkpoints,
    generations,
    store,
    streamShards: new MemoryStreamShards(new Map([['input', []]])),
    streams: ['input'],
    operators: [{ name: 'stats', version: 1 }],
    horizonSeconds: PROGRAM.horizonSeconds,
    isByPartition: false,
    retention: { keepLast: 24, keepDaily: 7 },
    segments: SEGMENTS,
    readUnitsPerSecond: Infinity,
    clock: { nowMs: () => Date.now() },
    wait,
    random: () => 'bench',
    log,
    deadlineMs: Date.now() + 3_600_000,
  });
  const takeSeconds = (performance.now() - takeStart) / 1_000;
  const rcu = generations.costs().rcu - rcuBefore;
  const manifest = await checkpoints.getManifest(report.id ?? '');
  if (manifest?.items !== keys)
    throw new Error(`${report.status}: ${manifest?.items} of ${keys} items were taken`);
  const rawTake = await raw?.take(manifest);

  const runtime = {
    program: PROGRAM,
    store,
    clock: { nowMs: () => Date.now() },
    wait,
    deadLetters: new MemoryDeadLetterStore(() => 0),
    closedLetters: new MemoryDeadLetterStore(() => 0),
  };
  const costsBefore = store.costs();
  const restoreStart = performance.now();
  for (const part of manifest.parts) {
    await restorePart({ runtime, checkpoints }, manifest, part, 2, 0, () => true);
    watch();
  }
  const restoreSeconds = (performance.now() - restoreStart) / 1_000;
  const wcu = store.costs().wcu - costsBefore.wcu;
  const verifyRcu = generations.costs().rcu;
  const verifyStart = performance.now();
  const digest = new LineDigest();
  for (let segment = 0; segment < SEGMENTS; segment++) {
    const found = await verifySegment(
      { generations, store },
      { generation: 2, from: 1 },
      { segment, segments: SEGMENTS },
      () => true,
    );
    digest.merge(new LineDigest(found.digest));
    watch();
  }
  const verifySeconds = (performance.now() - verifyStart) / 1_000;
  clearInterval(watching);
  if (String(digest) !== manifest.digest) throw new Error('The restored generation is not the checkpoint.');
  const rawRestore = await raw?.restore();
  const lineMb = (keys * LINE_BYTES) / 1e6;
  return {
    on: ground.on,
    keys,
    lineMb: Math.round(lineMb),
    packedMb: manifest.parts.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6,
    takeMbPerSecond: lineMb / takeSeconds,
    takeToRaw: rawTake === undefined ? 0 : takeSeconds / rawTake,
    restoreMbPerSecond: lineMb / restoreSeconds,
    restoreToRaw: rawRestore === undefined ? 0 : restoreSeconds / rawRestore,
    verifyMbPerSecond: lineMb / verifySeconds,
    peakRssMb: Math.round((peak - before) / 1e6),
    rcuPerItem: rcu / keys,
    restoreRcuPerItem: (generations.costs().rcu - verifyRcu) / keys,
    restoreWcuPerItem: wcu / keys,
  };
}

/** Of a line of these items, about. */
const LINE_BYTES = 290;

/** A table of so many rows that are made when they are read, so that what is measured is not the table. */
class MadeTable extends MemoryGenerationStore {
  readonly #keys: number;
  #pages = 0;

  constructor(store: MemoryStateStore, keys: number) {
    super(store);
    this.#keys = keys;
  }

  override async scan({ generation, segment, segments, after }: ScanRequest) {
    const from = after === undefined ? segment : Number(after);
    const items: StateItem[] = [];
    let number = from;
    for (; number < this.#keys && items.length < PAGE_ROWS; number += segments) {
      const item = itemNumber(number);
      items.push(generation === 1 ? item : restored(item, generation));
    }
    this.#pages += 1;
    return { items, ...(number < this.#keys && { next: String(number) }) };
  }

  override costs() {
    return { ...super.costs(), rcu: (this.#pages * PAGE_ROWS * 300) / 4_096 };
  }
}

function restored(item: StateItem, generation: number): StateItem {
  return {
    ...item,
    pk: item.pk.replace('1/', `${generation}/`),
    revision: carriedRevision(item.revision, 1, generation),
  };
}

/** Takes writes as a table does, encodes them, and keeps none. */
class ForgetfulStore extends MemoryStateStore {
  #writes = 0;

  override async commit(writes: Parameters<StateStore['commit']>[0]) {
    for (const { item } of writes) encodeItem(item);
    this.#writes += writes.length;
    return writes.map(() => 'committed' as const);
  }

  override costs() {
    return { ...super.costs(), wcu: this.#writes };
  }
}

/** On memory: what our own code takes, and that its memory stays flat. */
export async function scaleInMemory(keys: number): Promise<CheckpointScale> {
  const store = new ForgetfulStore();
  const ground = {
    on: 'memory',
    generations: new MadeTable(store, keys),
    store,
    checkpoints: new MemoryCheckpointStore(),
  };
  return measure(ground, keys);
}

/** On DynamoDB Local and the local S3, against their bare clients; nothing where there is no Java. */
export async function scaleOnEngines(keys: number): Promise<CheckpointScale | undefined> {
  if (dynamoDbLocalProblem() !== undefined) return undefined;
  const engine = await startDynamoDbLocal();
  const s3Engine = await startEngineProcess({
    name: 'S3 (fauxqs)',
    entry: new URL('../../infra/local/engines/object-and-queue-engine.ts', import.meta.url),
    settings: {},
    onNotice: () => undefined,
  });
  const s3 = new S3Client({
    endpoint: s3Engine.endpoint,
    region: LOCAL_REGION,
    credentials: LOCAL_CREDENTIALS,
    forcePathStyle: true,
  });
  try {
    const { client } = engine;
    await engine.createTable('state');
    await engine.createTable('raw');
    await s3.send(new CreateBucketCommand({ Bucket: 'bench' }));
    const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
    const store = new DynamoDbStateStore({
      client,
      table: 'state',
      writes: 'partiql',
      delay,
    });
    await store.readControl();
    for (let from = 0; from < keys; from += PAGE_ROWS) {
      const items = Array.from({ length: Math.min(PAGE_ROWS, keys - from) }, (_, at) =>
        itemNumber(from + at),
      );
      await store.commit(items.map((item) => ({ item, expectedRevision: undefined, spills: false })));
    }
    const checkpoints = new S3CheckpointStore(s3, 'bench', 'bench');
    const ground: Ground = {
      on: 'DynamoDB Local and S3 here',
      generations: new DynamoDbGenerationStore({ client, table: 'state', writes: 'partiql', delay }),
      store,
      checkpoints,
      raw: {
        take: (manifest) => rawTake(client, s3, checkpoints, manifest),
        restore: () => rawRestore(client, keys),
      },
    };
    return await measure(ground, keys);
  } finally {
    s3.destroy();
    await s3Engine.stop();
    await engine.stop();
  }
}

async function rawTake(
  client: DynamoDBClient,
  s3: S3Client,
  checkpoints: CheckpointStore,
  manifest: Manifest,
): Promise<number> {
  const parts = await Promise.all(manifest.parts.map(({ name }) => checkpoints.getPart(manifest.id, name)));
  const start = performance.now();
  await Promise.all(
    Array.from({ length: SEGMENTS }, async (_, segment) => {
      for (let after: Record<string, never> | undefined; ;) {
        const answer = await client.send(
          new ScanCommand({
            TableName: 'state',
            ConsistentRead: true,
            Segment: segment,
            TotalSegments: SEGMENTS,
            ExclusiveStartKey: after,
          }),
        );
        after = answer.LastEvaluatedKey as typeof after;
        if (after === undefined) return;
      }
    }),
  );
  for (const [place, Body] of parts.entries()) {
    await s3.send(new PutObjectCommand({ Bucket: 'bench', Key: `raw/${place}`, Body: Body ?? '' }));
  }
  return (performance.now() - start) / 1_000;
}

async function rawRestore(client: DynamoDBClient, keys: number): Promise<number> {
  const rows = Array.from({ length: keys }, (_, number) => encodeItem(itemNumber(number)));
  const start = performance.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < keys) {
      const batch = rows.slice(next, (next += 25));
      await client.send(
        new BatchExecuteStatementCommand({
          Statements: batch.map((row) => ({
            Statement: `INSERT INTO "raw" VALUE {${Object.keys(row)
              .map((name) => `'${name}': ?`)
              .join(', ')}}`,
            Parameters: Object.values(row),
          })),
        }),
      );
    }
  };
  await Promise.all(Array.from({ length: SEGMENTS }, worker));
  return (performance.now() - start) / 1_000;
}

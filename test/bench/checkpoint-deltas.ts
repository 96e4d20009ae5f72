import type { Manifest } from '../../shared/checkpoint/manifest.ts';
import { MemoryCheckpointStore } from '../../shared/checkpoint/memory-checkpoint-store.ts';
import { verifyCheckpoint } from '../../shared/checkpoint/read-checkpoint.ts';
import { takeCheckpoint, type CheckpointTaker } from '../../shared/checkpoint/take-checkpoint.ts';
import { MemoryStreamShards } from '../../shared/source/stream-shards.ts';
import type { ScanRequest } from '../../shared/state/generation-store.ts';
import { MemoryGenerationStore } from '../../shared/state/memory-generation-store.ts';
import { MemoryStateStore } from '../../shared/state/memory-state-store.ts';
import type { StateItem } from '../../shared/state/state-item.ts';
import { itemNumber } from './checkpoint-scale.ts';

/** What a checkpoint puts, and reading it back gets, against a full one of the same items without hashes. */
export interface DeltaCosts {
  readonly checkpoint: string;
  readonly keys: number;
  readonly putMb: number;
  readonly bytesToFull: number;
  readonly puts: number;
  readonly putsToFull: number;
  /** All requests but PUTs, listings among them. */
  readonly otherRequests: number;
  readonly secondsToFull: number;
  /** Hashes of the lines that it is compared with, read for it. */
  readonly poolMb: number;
  /** Of reading all of it back. */
  readonly gets: number;
  readonly getsToFull: number;
  readonly readMbToFull: number;
  readonly peakRssMb: number;
}

const CHANGED = 0.01;
const PAGE_ROWS = 1_000;
const SEGMENTS = 4;
const DELTAS = { fullEvery: 8, poolLines: 20_000_000 } as const;

/** From 0 to 1, the same for the same numbers. */
function fraction(number: number, round: number): number {
  let hash = Math.imul(number ^ Math.imul(round, 0x9e3779b1), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** Its positions and numbers are as random as real ones: those of `itemNumber` follow each other, and pack to nothing. */
function changedItem(number: number, changes: number): StateItem {
  const item = itemNumber(number);
  const digits = (round: number): string =>
    String(Math.floor(fraction(number, 1_000 * changes + round) * 1e9));
  const position = { sequence: `4965${digits(901)}${digits(902)}${digits(903)}`.padEnd(56, '0'), sub: 0 };
  const [count, delay, arrival] = [
    fraction(number, 904 + changes),
    fraction(number, 905 + changes),
    fraction(number, 906),
  ];
  return {
    ...item,
    revision: 1_800_000_000_000 + Math.floor(arrival * 1e7) + changes,
    marks: new Map([['x3Fa_q/0', { position, arrivalSeconds: 1_800_000_000 + Math.floor(arrival * 1e5) }]]),
    states: new Map([
      [
        'stats',
        {
          airport: `A${number % 300}`,
          count: Math.floor(count * 1e5),
          delay: Math.floor(delay * 1e9) / 1e6,
          newest: new Date(1_800_000_000_000 + Math.floor(arrival * 1e8)).toISOString(),
          worst: Math.floor(delay * 500),
        },
      ],
    ]),
  };
}

/** A table that is made when it is read; in each round other keys have changed, at random. */
class ChangingTable extends MemoryGenerationStore {
  readonly #keys: number;
  readonly #share: number;
  round = 0;

  constructor(store: MemoryStateStore, keys: number, share: number) {
    super(store);
    this.#keys = keys;
    this.#share = share;
  }

  override async scan({ segment, segments, after }: ScanRequest) {
    const items = [];
    let number = after === undefined ? segment : Number(after);
    for (; number < this.#keys && items.length < PAGE_ROWS; number += segments) {
      items.push(changedItem(number, this.#changesOf(number)));
    }
    return { items, ...(number < this.#keys && { next: String(number) }) };
  }

  #changesOf(number: number): number {
    let changes = 0;
    for (let round = 1; round <= this.round; round++) {
      if (fraction(number, round) < this.#share) changes += 1;
    }
    return changes;
  }
}

/** Counts requests, and bytes of parts and of what lies beside them. */
class CountedStore extends MemoryCheckpointStore {
  putBytes = 0;
  puts = 0;
  gets = 0;
  getBytes = 0;
  others = 0;

  override putPart(...given: Parameters<MemoryCheckpointStore['putPart']>): Promise<void> {
    this.puts += 1;
    this.putBytes += given[2].length;
    return super.putPart(...given);
  }

  override async getPart(...given: Parameters<MemoryCheckpointStore['getPart']>) {
    this.gets += 1;
    const found = await super.getPart(...given);
    this.getBytes += found?.length ?? 0;
    return found;
  }

  override async putWork(...given: Parameters<MemoryCheckpointStore['putWork']>) {
    this.puts += 1;
    this.putBytes += given[1].length;
    return super.putWork(...given);
  }

  override async putManifest(manifest: Manifest) {
    this.puts += 1;
    this.putBytes += JSON.stringify(manifest).length;
    return super.putManifest(manifest);
  }

  override hasManifest(id: string): Promise<boolean> {
    this.others += 1;
    return super.hasManifest(id);
  }

  override getManifest(id: string): Promise<Manifest | undefined> {
    this.others += 1;
    return super.getManifest(id);
  }

  override folders(): Promise<string[]> {
    this.others += 1;
    return super.folders();
  }

  reset(): void {
    this.putBytes = this.puts = this.gets = this.getBytes = this.others = 0;
  }
}

/** A full checkpoint without hashes, one with them, and the deltas behind it, a share of the keys changed before each. */
export async function deltaCosts(keys: number): Promise<DeltaCosts[]> {
  const store = new MemoryStateStore();
  const table = new ChangingTable(store, keys, CHANGED);
  const checkpoints = new CountedStore();
  let nowMs = 1_800_000_000_000;
  let randoms = 0;
  const rows: DeltaCosts[] = [];
  let full:
    | {
        readonly bytes: number;
        readonly puts: number;
        readonly seconds: number;
        readonly gets: number;
        readonly readBytes: number;
      }
    | undefined;

  const one = async (
    checkpoint: string,
    changes: Partial<CheckpointTaker>,
    isShown = true,
  ): Promise<void> => {
    nowMs += 3_600_000;
    checkpoints.reset();
    const before = process.memoryUsage().rss;
    let peak = before;
    const watching = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20);
    const start = performance.now();
    const report = await takeCheckpoint({
      pipeline: 'bench',
      checkpoints,
      generations: table,
      store,
      streamShards: new MemoryStreamShards(new Map([['input', []]])),
      streams: ['input'],
      operators: [{ name: 'stats', version: 1 }],
      horizonSeconds: 90_000,
      isByPartition: false,
      retention: { keepLast: 24, keepDaily: 7 },
      segments: SEGMENTS,
      readUnitsPerSecond: Infinity,
      clock: { nowMs: () => nowMs },
      wait: () => Promise.resolve(),
      random: () => `r${randoms++}`,
      log: { warn: () => undefined, error: () => undefined },
      deadlineMs: nowMs + 3_600_000,
      ...changes,
    });
    const seconds = (performance.now() - start) / 1_000;
    clearInterval(watching);
    peak = Math.max(peak, process.memoryUsage().rss);
    const { putBytes: bytes, puts, others, getBytes: poolBytes } = checkpoints;
    checkpoints.reset();
    const manifest = await checkpoints.getManifest(report.id ?? '');
    if (manifest?.items !== keys) throw new Error(`${report.status}: ${manifest?.items} of ${keys} items`);
    const { problems } = await verifyCheckpoint(checkpoints, manifest);
    if (problems.length > 0) throw new Error(problems.join(' '));
    const { gets, getBytes: readBytes } = checkpoints;
    full ??= { bytes, puts, seconds, gets, readBytes };
    if (!isShown) return;
    rows.push({
      checkpoint,
      keys,
      putMb: bytes / 1e6,
      bytesToFull: bytes / full.bytes,
      puts,
      putsToFull: puts / full.puts,
      otherRequests: others,
      secondsToFull: seconds / full.seconds,
      poolMb: poolBytes / 1e6,
      gets,
      getsToFull: gets / full.gets,
      readMbToFull: readBytes / full.readBytes,
      peakRssMb: Math.round((peak - before) / 1e6),
    });
  };

  await one('warming up', {}, false);
  full = undefined;
  await one('full, deltas off', {});
  await one('full', { deltas: DELTAS });
  for (let depth = 1; depth < DELTAS.fullEvery; depth++) {
    table.round = depth;
    await one(
      `delta ${depth}, 1 % changed`,
      { deltas: DELTAS },
      depth === 1 || depth === DELTAS.fullEvery - 1,
    );
  }
  return rows;
}

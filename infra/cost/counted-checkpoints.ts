import { CHECKPOINT_DEFAULTS } from '../../shared/checkpoint/checkpoint-defaults.ts';
import { MANIFEST_NAME, WORK_NAME } from '../../shared/checkpoint/checkpoint-store.ts';
import { poolLinesOf } from '../../shared/checkpoint/line-pool.ts';
import type { Manifest } from '../../shared/checkpoint/manifest.ts';
import { MemoryCheckpointStore } from '../../shared/checkpoint/memory-checkpoint-store.ts';
import { PART_BYTES } from '../../shared/checkpoint/part-form.ts';
import { takeCheckpoint, type CheckpointRequest } from '../../shared/checkpoint/take-checkpoint.ts';
import { MemoryStreamShards } from '../../shared/source/stream-shards.ts';
import type { ScanPage, ScanRequest } from '../../shared/state/generation-store.ts';
import { MemoryGenerationStore } from '../../shared/state/memory-generation-store.ts';
import { MemoryStateStore } from '../../shared/state/memory-state-store.ts';
import { firstRevision } from '../../shared/state/revision.ts';
import { itemKey } from '../../shared/state/row-key.ts';
import type { StateItem } from '../../shared/state/state-item.ts';
import { seededRandom } from '../../shared/testing/seeded-random.ts';

/** What checkpoints are taken of, one an hour. */
export interface CheckpointShape {
  readonly keys: number;
  readonly stateBytes: number;
  /** Of the keys, those that change between two checkpoints: from 0 to 1. */
  readonly changedShare: number;
  /** Every so many checkpoints one is full; 1 where all are. */
  readonly fullEvery: number;
  /** The function's memory: a delta of too large a table is a full one. */
  readonly memoryMb: number;
}

/** One checkpoint of a kind, on the average: what taking it and the retention behind it ask S3 for. */
export interface CountedCheckpoint {
  /** Of a day's 24 checkpoints. */
  readonly aDay: number;
  /** What it puts. */
  readonly bytes: number;
  /** And what is billed like puts: listings. */
  readonly puts: number;
  readonly gets: number;
}

export interface CountedCheckpoints {
  readonly full: CountedCheckpoint;
  readonly delta: CountedCheckpoint;
  /** What stands in the bucket, on the average: what is kept, and for a day what was removed or overwritten. */
  readonly standing: { readonly fullBytes: number; readonly deltaBytes: number };
  /** Ticks of the schedule at which none is due, of an hour. */
  readonly idlePuts: number;
}

/** Items that stand for all: a checkpoint of a larger table has as many parts, of more lines each. */
const SAMPLED_KEYS = 500;
/** Of their states. */
const SAMPLED_BYTES = 200_000;
const FEWEST_SAMPLED = 10;
/** Of a part, where there are enough: smaller ones pack worse. Where there would be more parts, their requests are multiplied. */
const FEWEST_LINES = 8;
/** So many parts at least has what is sampled. */
const SAMPLED_PARTS = 32;
/** What a line holds beside the state, about: key, revision, mark. */
const LINE_BYTES = 300;
/** Until as much is removed as is taken: the days that one is kept of, and another in which what was removed stands. */
const SETTLED_HOURS = (CHECKPOINT_DEFAULTS.retention.keepDaily + 2) * 24;
const HOURS_A_DAY = 24;
/** Of the construct's schedule, its `CHECKPOINT_TICK`: nothing of the CDK is loaded here. */
export const TICK_MINUTES = 5;
const HOUR_MS = 3_600_000;
const START_MS = Date.parse('2026-01-01T00:00:00Z');
const SEED = 2;

/**
 * Takes a checkpoint an hour of a table in memory, in which a drawn share of the items has changed before each, until as
 * much is removed as is taken, and counts a day of them. What the states hold is drawn, and packs to three quarters: real
 * ones pack better. What grows with the keys is counted of a sample, with parts that are smaller in proportion.
 */
export async function countCheckpoints(shape: CheckpointShape): Promise<CountedCheckpoints> {
  const { keys, stateBytes, fullEvery, memoryMb } = shape;
  const byBytes = Math.max(FEWEST_SAMPLED, Math.floor(SAMPLED_BYTES / stateBytes));
  const sampled = Math.min(keys, SAMPLED_KEYS, byBytes);
  const scale = keys / sampled;
  const lines = Math.max(1, Math.min(FEWEST_LINES, Math.floor(sampled / SAMPLED_PARTS)));
  const partBytes = Math.max(PART_BYTES / scale, lines * (stateBytes + LINE_BYTES));
  const partsScale = (partBytes * scale) / PART_BYTES;
  const state = new MemoryStateStore();
  const table = new DrawnTable(state, sampled, shape);
  const store = new CountingStore();
  let nowMs = START_MS;
  let randoms = 0;
  const take = (request: CheckpointRequest) =>
    takeCheckpoint(
      {
        pipeline: 'cost',
        checkpoints: store,
        generations: table,
        store: state,
        streamShards: new MemoryStreamShards(new Map()),
        streams: [],
        operators: [{ name: 'counted', version: 1 }],
        horizonSeconds: 90_000,
        isByPartition: false,
        retention: CHECKPOINT_DEFAULTS.retention,
        segments: CHECKPOINT_DEFAULTS.segments,
        partBytes,
        readUnitsPerSecond: Infinity,
        ...(fullEvery > 1 && {
          deltas: { fullEvery, poolLines: Math.floor(poolLinesOf(memoryMb) / scale) },
        }),
        clock: { nowMs: () => nowMs },
        wait: () => Promise.resolve(),
        random: () => `r${randoms++}`,
        log: { warn: () => undefined, error: () => undefined },
        deadlineMs: nowMs + HOUR_MS,
      },
      request,
    );

  const sums = { full: new Sum(), delta: new Sum(), fullBytes: 0, deltaBytes: 0 };
  const tickMs = TICK_MINUTES * 60_000;
  for (let hour = 0; hour < SETTLED_HOURS; hour++) {
    nowMs = START_MS + hour * HOUR_MS;
    table.change();
    store.reset();
    const { status, id = '', kept } = await take({});
    if (status !== 'taken') throw new Error(`A counted checkpoint is ${status}.`);
    const isDelta = kept !== undefined;
    store.settle(hour, id, isDelta);
    if (hour < SETTLED_HOURS - HOURS_A_DAY) continue;
    sums[isDelta ? 'delta' : 'full'].add(store, scale * store.data + store.notes, partsScale);
    const standing = store.standing(hour, scale);
    sums.fullBytes += standing.full / HOURS_A_DAY;
    sums.deltaBytes += standing.delta / HOURS_A_DAY;
  }
  store.reset();
  for (let tick = 1; tick * tickMs < HOUR_MS; tick++) {
    nowMs += tickMs;
    await take({ ifOlderThanMs: HOUR_MS - tickMs / 2 });
  }
  return {
    full: sums.full.mean(),
    delta: sums.delta.mean(),
    standing: { fullBytes: sums.fullBytes, deltaBytes: sums.deltaBytes },
    idlePuts: store.puts,
  };
}

/** Of the keys, those that evenly drawn records change in an hour. */
export function evenlyChangedShare(recordsPerSecond: number, keys: number): number {
  return 1 - Math.exp((-recordsPerSecond * 3_600) / keys);
}

class Sum {
  #count = 0;
  #bytes = 0;
  #puts = 0;
  #gets = 0;

  add({ puts, gets, partPuts, partGets }: CountingStore, bytes: number, partsScale: number): void {
    this.#count += 1;
    this.#bytes += bytes;
    this.#puts += puts + partPuts * partsScale;
    this.#gets += gets + partGets * partsScale;
  }

  mean(): CountedCheckpoint {
    const of = (sum: number): number => (this.#count === 0 ? 0 : sum / this.#count);
    return { aDay: this.#count, bytes: of(this.#bytes), puts: of(this.#puts), gets: of(this.#gets) };
  }
}

/** A table that is made when it is read. */
class DrawnTable extends MemoryGenerationStore {
  readonly #versions: number[];
  readonly #texts: string[];
  readonly #random = seededRandom(SEED);
  readonly #changedShare: number;

  constructor(store: MemoryStateStore, keys: number, { stateBytes, changedShare }: CheckpointShape) {
    super(store);
    this.#changedShare = changedShare;
    this.#versions = Array.from({ length: keys }, () => 0);
    this.#texts = this.#versions.map(() => this.#text(stateBytes));
  }

  /** Each item changes by chance. */
  change(): void {
    for (const [key, version] of this.#versions.entries()) {
      if (this.#random() < this.#changedShare) this.#versions[key] = version + 1;
    }
  }

  override scan({ segment, segments, after }: ScanRequest): Promise<ScanPage> {
    if (after !== undefined) return Promise.resolve({ items: [] });
    const items: StateItem[] = [];
    for (let key = segment; key < this.#versions.length; key += segments) items.push(this.#item(key));
    return Promise.resolve({ items });
  }

  #item(key: number): StateItem {
    const version = this.#versions[key] as number;
    const changed = seededRandom(key * 65_537 + version);
    const digits = (): string => String(Math.floor(changed() * 1e9)).padStart(9, '0');
    const sequence = `4965${digits()}${digits()}${digits()}${digits()}`.padEnd(56, '0');
    return {
      pk: itemKey(1, `key-${String(key).padStart(8, '0')}`),
      revision: firstRevision(1, START_MS + key + version),
      marks: new Map([
        [
          'x3Fa_q/0',
          { position: { sequence, sub: 0 }, arrivalSeconds: Math.floor(START_MS / 1_000) + version },
        ],
      ]),
      states: new Map([['counted', { n: version, f: this.#texts[key] as string }]]),
      versions: new Map([['counted', 1]]),
      outbox: [],
    };
  }

  #text(bytes: number): string {
    const drawn = Uint8Array.from({ length: Math.ceil((bytes * 3) / 4) }, () =>
      Math.floor(this.#random() * 256),
    );
    return Buffer.from(drawn).toString('base64url').slice(0, bytes);
  }
}

/** Bytes of one folder: those that grow with the keys, and manifests and notes, which grow with the parts. */
interface Bytes {
  data: number;
  notes: number;
}

/** Counts what is asked for, as S3 bills it, and what stands and has stood. */
class CountingStore extends MemoryCheckpointStore {
  puts = 0;
  gets = 0;
  /** Of parts, and of notes of how far the taking is, which are as many. */
  partPuts = 0;
  partGets = 0;
  data = 0;
  notes = 0;
  readonly #deltas = new Set<string>();
  /** What was removed or overwritten, by hour. */
  readonly #gone: { readonly hour: number; readonly id: string; readonly bytes: Bytes }[] = [];
  #before = new Map<string, number>();
  #overwritten = new Map<string, number>();

  reset(): void {
    this.puts = this.gets = this.partPuts = this.partGets = this.data = this.notes = 0;
  }

  /** Notes what this hour has removed. */
  settle(hour: number, id: string, isDelta: boolean): void {
    if (isDelta) this.#deltas.add(id);
    const now = new Map([...this.objects].map(([name, { length }]) => [name, length]));
    for (const [name, length] of this.#before) if (!now.has(name)) this.#leave(hour, name, length);
    for (const [name, length] of this.#overwritten) this.#leave(hour, name, length);
    this.#before = now;
    this.#overwritten = new Map();
  }

  standing(hour: number, scale: number): { full: number; delta: number } {
    const sums = { full: 0, delta: 0 };
    const add = (id: string, { data, notes }: Bytes): void => {
      sums[this.#deltas.has(id) ? 'delta' : 'full'] += data * scale + notes;
    };
    for (const [name, { length }] of this.objects) add(folderOf(name), bytesOf(name, length));
    for (const { hour: since, id, bytes } of this.#gone) if (since > hour - HOURS_A_DAY) add(id, bytes);
    return sums;
  }

  #leave(hour: number, name: string, length: number): void {
    this.#gone.push({ hour, id: folderOf(name), bytes: bytesOf(name, length) });
  }

  override putPart(...given: Parameters<MemoryCheckpointStore['putPart']>): Promise<void> {
    this.partPuts += 1;
    this.data += given[2].length;
    return super.putPart(...given);
  }

  override getPart(...given: Parameters<MemoryCheckpointStore['getPart']>) {
    this.partGets += 1;
    return super.getPart(...given);
  }

  override putManifest(manifest: Manifest) {
    this.puts += 1;
    this.notes += JSON.stringify(manifest).length;
    return super.putManifest(manifest);
  }

  override getManifest(id: string) {
    this.gets += 1;
    return super.getManifest(id);
  }

  override putWork(...given: Parameters<MemoryCheckpointStore['putWork']>) {
    const [id, text] = given;
    this.partPuts += 1;
    this.notes += text.length;
    const name = `${id}/${WORK_NAME}`;
    this.#overwritten.set(name, (this.#overwritten.get(name) ?? 0) + text.length);
    return super.putWork(...given);
  }

  override getWork(id: string) {
    this.gets += 1;
    return super.getWork(id);
  }

  override getHold(id: string) {
    this.gets += 1;
    return super.getHold(id);
  }

  override folders(): Promise<string[]> {
    this.puts += 1;
    return super.folders();
  }

  override hasManifest(id: string): Promise<boolean> {
    this.puts += 1;
    return super.hasManifest(id);
  }

  override isHidden(id: string): Promise<boolean> {
    this.puts += 1;
    return super.isHidden(id);
  }

  /** A listing, in `hasManifest`, and a note. */
  override hide(id: string): Promise<void> {
    this.puts += 1;
    return super.hide(id);
  }

  /** Listed until nothing is left. */
  override remove(id: string): Promise<void> {
    this.puts += 2;
    return super.remove(id);
  }
}

function folderOf(name: string): string {
  return name.slice(0, name.indexOf('/'));
}

function bytesOf(name: string, length: number): Bytes {
  const isNote = name.endsWith(`/${MANIFEST_NAME}`) || name.endsWith('.json');
  return isNote ? { data: 0, notes: length } : { data: length, notes: 0 };
}

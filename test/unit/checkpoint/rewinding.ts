import {
  driveRewind,
  type DriveOptions,
  type DriveOutcome,
  type RewindSteps,
} from '../../../shared/checkpoint/drive-rewind.ts';
import { checkpointLine } from '../../../shared/checkpoint/checkpoint-line.ts';
import { LineDigest } from '../../../shared/checkpoint/line-digest.ts';
import { CHECKPOINT_FORMAT, type Manifest, type ManifestPart } from '../../../shared/checkpoint/manifest.ts';
import { MemoryCheckpointStore } from '../../../shared/checkpoint/memory-checkpoint-store.ts';
import { PartPacker } from '../../../shared/checkpoint/part-form.ts';
import type { ReplaySource, SourceShard } from '../../../shared/checkpoint/replay-source.ts';
import * as rewind from '../../../shared/checkpoint/rewind.ts';
import type { Rewinder } from '../../../shared/checkpoint/rewind.ts';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import type { Pipeline } from '../../../shared/pipeline/definition.ts';
import { reachedShards } from '../../../shared/checkpoint/shard-positions.ts';
import { encodePosition } from '../../../shared/source/position.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import { shardLane } from '../../../shared/source/lane.ts';
import { MemoryGenerationStore } from '../../../shared/state/memory-generation-store.ts';
import { generationOf } from '../../../shared/state/row-key.ts';
import { SpillingStateStore } from '../../../shared/state/spilling-state-store.ts';
import { without } from '../../../shared/state/without.ts';
import { shardId, STREAM, testWorld, wholeItems, type TestWorld } from '../../support/memory-ports.ts';
import { rest } from '../engine/deliver.ts';
import { processBatch } from '../../../shared/engine/process-batch.ts';
import { recordBatch } from '../../support/memory-ports.ts';

/** A stream of shards 0 to n-1 that holds these records, and a pipeline that reads it. */
export interface RewindWorld {
  readonly world: TestWorld;
  readonly shards: readonly (readonly SourceRecord[])[];
  readonly checkpoints: MemoryCheckpointStore;
  readonly generations: MemoryGenerationStore;
  /** Parents by shard. */
  readonly parents: ReadonlyMap<number, readonly number[]>;
  /** Records that the stream does not hold any more, by shard. */
  readonly trimmed: Map<number, number>;
  isEnabled: boolean;
}

export function rewindWorld(
  pipeline: Pipeline,
  shards: readonly (readonly SourceRecord[])[],
  options: {
    readonly parents?: ReadonlyMap<number, readonly number[]>;
    readonly inlineStateBytes?: number;
    readonly parallelizationFactor?: number;
    readonly awaitsFork?: boolean;
  } = {},
): RewindWorld {
  const { inlineStateBytes, parallelizationFactor = 1 } = options;
  const world = testWorld(
    pipeline,
    { parallelizationFactor },
    inlineStateBytes === undefined ? {} : { inlineStateBytes },
    options.awaitsFork,
  );
  return {
    world,
    shards,
    checkpoints: new MemoryCheckpointStore(),
    generations: new MemoryGenerationStore(world.store),
    parents: options.parents ?? new Map(),
    trimmed: new Map(),
    isEnabled: true,
  };
}

/** Called before and after each request; throws where the process dies there. */
export type Toll = (call: string, moment: 'before' | 'after') => void;

const FREE: Toll = () => undefined;

/** A port whose every call is a request that goes through the toll. */
export function tolled<T extends object>(port: T, name: string, toll: Toll): T {
  return new Proxy(port, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property);
      if (typeof value !== 'function') return value;
      const call = `${name}.${String(property)}`;
      return (...given: unknown[]): unknown => {
        const run = (): unknown => Reflect.apply(value, target, given) as unknown;
        const isRequest = !['costs', 'isRelayed', 'reader'].includes(String(property));
        if (!isRequest || (property === 'list' && name !== 'blobs')) return run();
        return (async () => {
          toll(call, 'before');
          const result: unknown = await run();
          toll(call, 'after');
          return result;
        })();
      };
    },
  });
}

/** A process of its own: nothing in its memory, every request through the toll. */
export function rewinderOf(
  { world, checkpoints, generations, shards, parents, trimmed }: RewindWorld,
  toll: Toll = FREE,
  pipeline?: Pipeline,
): Rewinder {
  const through = <T extends object>(port: T, name: string): T => tolled(port, name, toll);
  const source: ReplaySource = {
    shards: async () =>
      shards.map((_, number): SourceShard => ({
        stream: STREAM,
        streamArn: recordBatch(number, []).streamArn,
        shardId: shardId(number),
        shard: shardLane(STREAM, shardId(number)),
        parents: (parents.get(number) ?? []).map((parent) => shardLane(STREAM, shardId(parent))),
      })),
    reader: (shard, from) => {
      const number = shards.findIndex((_, each) => shardId(each) === shard.shardId);
      const records = shards[number]?.slice(trimmed.get(number) ?? 0);
      let at =
        records?.findIndex(
          ({ position }) => from === undefined || BigInt(position.sequence) >= BigInt(from),
        ) ?? 0;
      if (at === -1) at = records?.length ?? 0;
      return {
        next: async (limit) => {
          if (records === undefined) return { kind: 'gone' };
          const page = records.slice(at, at + Math.min(limit, 3));
          at += page.length;
          return {
            kind: 'records',
            isAtEnd: at === records.length,
            records: page.map(({ position, partitionKey, data, arrivalMs }) => ({
              sequenceNumber: position.sequence,
              partitionKey,
              data,
              approximateArrivalTimestampMs: arrivalMs,
            })),
          };
        },
      };
    },
    isRelayed: () => false,
  };
  const { runtime } = world;
  const own = pipeline === undefined ? runtime : testWorld(pipeline).runtime;
  return {
    runtime: {
      ...runtime,
      program:
        own.program === runtime.program
          ? runtime.program
          : { ...own.program, limits: runtime.program.limits },
      store: new SpillingStateStore({
        store: through(world.store, 'store'),
        blobs: through(world.blobs, 'blobs'),
      }),
      sinks: new Map([...world.sinks].map(([name, sink]) => [name, through(sink, `sink ${name}`)])),
      deadLetters: through(runtime.deadLetters, 'letters'),
      closedLetters: through(runtime.closedLetters, 'closed letters'),
      cache: new ItemCache(),
      generation: undefined,
    },
    generations: through(generations, 'generations'),
    checkpoints: through(checkpoints, 'checkpoints'),
    source: through(source, 'source'),
  };
}

/** The live events of a shard from one record on, up to and without another. */
export async function process(
  { world, shards }: RewindWorld,
  shard: number,
  from: number,
  below: number,
): Promise<void> {
  let left = shards[shard]?.slice(from, below) ?? [];
  for (let tries = 0; left.length > 0; tries++) {
    if (tries === 20) throw new Error(`${left.length} records are not acknowledged: ${world.logged.at(-1)}`);
    left = [...rest(left, await processBatch(world.runtime, recordBatch(shard, left), world.nowMs + 60_000))];
  }
}

/** Takes a checkpoint, progress first. */
export async function checkpoint(
  { world, shards, checkpoints, parents }: RewindWorld,
  id: string,
): Promise<Manifest> {
  const { store } = world;
  const control = await store.readControl();
  const progress = shards.map((_, number) => {
    const shard = shardLane(STREAM, shardId(number));
    const row = store.progress(control.generation, shard);
    return {
      stream: STREAM,
      shardId: shardId(number),
      shard,
      parents: (parents.get(number) ?? []).map(shardId),
      ...(row?.position !== undefined && { position: encodePosition(row.position) }),
      ...(row?.arrivalMs !== undefined && { arrivalMs: row.arrivalMs }),
      ...(row?.time !== undefined && { time: row.time }),
      ...(row?.liftedMs !== undefined && { liftedMs: row.liftedMs }),
      records: row?.records ?? 0,
      isKnown: row !== undefined,
    };
  });
  const digest = new LineDigest();
  const parts: ManifestPart[] = [];
  const items = [...wholeItems(world).values()].filter(({ pk }) => generationOf(pk) === control.generation);
  for (let at = 0; at < items.length; at += 2) {
    const packer = new PartPacker();
    for (const item of items.slice(at, at + 2)) packer.add(checkpointLine(without(item, 'spilled')));
    const packed = packer.finish();
    digest.merge(packed.digest);
    const name = `0-${parts.length}.ndjson.gz`;
    await checkpoints.putPart(id, name, packed.packed);
    parts.push({ name, lines: packed.lines, bytes: packed.packed.length, sha256: packed.sha256 });
  }
  const { definition, operators, horizonSeconds } = world.runtime.program;
  const manifest: Manifest = {
    format: CHECKPOINT_FORMAT,
    id,
    pipeline: definition.name,
    generation: control.generation,
    startedMs: world.nowMs,
    endedMs: world.nowMs,
    isByPartition: control.isByPartition === true,
    horizonSeconds,
    operators: operators.map(({ name, version }) => ({ name, version })),
    shards: progress,
    reached: await reachedShards(store, new MemoryGenerationStore(store), control.generation),
    parts,
    items: items.length,
    digest: String(digest),
  };
  await checkpoints.putManifest(manifest);
  return manifest;
}

/** The steps of a rewind, done in this process. */
export function stepsOf(rewinder: Rewinder, deadlineMs: number, keepGoing = () => true): RewindSteps {
  const { runtime, checkpoints } = rewinder;
  return {
    control: () => runtime.store.readControl(),
    parts: async (id) => (await checkpoints.getManifest(id))?.parts ?? [],
    takeOver: (holder) => rewind.takeOver(rewinder, holder),
    seal: (version) => rewind.seal(rewinder, version),
    restore: (version, part, skipped) => rewind.restore(rewinder, version, part, skipped, keepGoing),
    verify: (version, segment) => rewind.verify(rewinder, version, segment, keepGoing),
    switchGeneration: (version, counted) => rewind.switchGeneration(rewinder, version, counted),
    replays: async () => rewind.replays(rewinder, await runtime.store.readControl()),
    replay: (version, shard) => rewind.replay(rewinder, version, shard, deadlineMs, keepGoing),
    release: (version) => rewind.release(rewinder, version),
    undo: (version) => rewind.undo(rewinder, version),
    finish: (version) => rewind.finish(rewinder, version),
  };
}

export async function drive(
  world: RewindWorld,
  rewinder: Rewinder,
  options: Pick<DriveOptions, 'id' | 'holder' | 'undoes' | 'onNews' | 'whenLive'>,
): Promise<DriveOutcome> {
  return driveRewind({
    steps: stepsOf(rewinder, world.world.nowMs + 600_000),
    mapping: {
      disable: async () => void (world.isEnabled = false),
      enable: async () => void (world.isEnabled = true),
    },
    wait: rewinder.runtime.wait,
    parallel: 2,
    ...options,
  });
}

/** What a generation holds, in a form in which generations can be compared. */
export function contents({ world }: RewindWorld, generation: number): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const [pk, { states, marks, letters }] of wholeItems(world)) {
    if (generationOf(pk) !== generation) continue;
    found.set(pk.slice(pk.indexOf('/')), { states, marks, letters });
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

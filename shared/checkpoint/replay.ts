import { processBatch } from '../engine/process-batch.ts';
import type { Runtime } from '../engine/runtime.ts';
import { createKinesisEvent } from '../mapping/kinesis-event.ts';
import type { StreamRecord } from '../mapping/stream-record.ts';
import { readKinesisEvent } from '../source/kinesis-event.ts';
import { comparePositions, compareSequences, decodePosition, type Position } from '../source/position.ts';
import { inParallel } from '../state/in-parallel.ts';
import type { GenerationStore } from '../state/generation-store.ts';
import type { Progress, StateStore } from '../state/state-store.ts';
import type { LaneTime } from '../time/lane-time.ts';
import type { Manifest, ManifestShard } from './manifest.ts';
import type { ReplayReader, ReplaySource, SourceShard } from './replay-source.ts';

/** Records that a replay hands in together. */
const REPLAY_BATCH = 1_000;
const SHARDS_IN_FLIGHT = 16;

/** What of a shard is to be processed again. */
export interface ReplayTask {
  readonly generation: number;
  readonly shard: SourceShard;
  /** Where the old generation was sealed: the last record that is processed. */
  readonly until: Position;
  /** How far event time had come there. */
  readonly untilTime?: LaneTime;
  readonly allowsGap: boolean;
}

/**
 * - `done`: everything up to the end is committed, published and stored.
 * - `unfinished`: time ran out; call again.
 * - `held`: a record could not be finished; call again, later.
 * - `gap`: the stream does not hold the next record any more.
 * - `refused`: the generation is not in a replay, or not any more.
 */
export type ReplayOutcome = 'done' | 'unfinished' | 'held' | 'gap' | 'refused';

export interface ReplayReport {
  readonly outcome: ReplayOutcome;
  /** Handed in by this call. */
  readonly records: number;
  readonly position?: Position;
}

/**
 * Processes the records of a shard again, from its progress to where the old generation was sealed, by the engine and in
 * the form of the mapping's events. How far it is, is in the progress row alone, so that it ends anywhere and goes on
 * anywhere; two at once, or one that comes late, hand in what is already done.
 */
export async function replayShard(
  runtime: Runtime,
  source: ReplaySource,
  { generation, shard, until, untilTime, allowsGap }: ReplayTask,
  deadlineMs: number,
  keepGoing: () => boolean,
): Promise<ReplayReport> {
  let records = 0;
  const begun = await runtime.store.readProgress(generation, shard.shard);
  const isByPartition = begun?.isByPartition === true;
  let position = begun?.position;
  const report = (outcome: ReplayOutcome): ReplayReport => ({
    outcome,
    records,
    ...(position !== undefined && { position }),
  });
  const isDone = (): boolean => position !== undefined && comparePositions(position, until) >= 0;
  // Of lanes by partition key one began here and another there; the first was the first where they were not yet.
  const hasFirst = !isByPartition || begun.byShardUntil !== undefined;
  const start = position ?? (hasFirst ? begun?.first : undefined);
  // With the record at the position itself: of an aggregate there may be more behind it.
  const reader = source.reader(shard, start?.sequence);
  // What was done long ago may be gone: with lanes by partition key all that is left is gone through.
  let expected = isByPartition && position === undefined ? undefined : start?.sequence;
  while (!isDone()) {
    if (!keepGoing()) return report('unfinished');
    const page = await reader.next(REPLAY_BATCH);
    const found = page.kind === 'gone' ? [] : page.records;
    const wanted = found.filter(
      ({ sequenceNumber }) => compareSequences(sequenceNumber, until.sequence) <= 0,
    );
    const isLast = page.kind === 'gone' || page.isAtEnd || wanted.length < found.length;
    const isGap = found.length === 0 ? isLast : expected !== undefined && isOther(found[0], expected);
    if (isGap || (isLast && wanted.length === 0)) {
      if (!allowsGap) return report('gap');
      if (wanted.length === 0) {
        // What the stream does not hold any more is given up; live events go on behind it.
        await runtime.store.advance(generation, shard.shard, {
          first: until,
          position: until,
          ...(untilTime !== undefined && { time: untilTime }),
          records: 0,
          endedTurns: [],
        });
        position = until;
        return report('done');
      }
    }
    if (wanted.length === 0) continue;
    expected = undefined;
    const event = createKinesisEvent(
      { streamArn: shard.streamArn, region: '', invokeIdentityArn: '' },
      shard.shardId,
      wanted,
    );
    const { failedFrom } = await processBatch(runtime, readKinesisEvent(event), deadlineMs, {
      kind: 'replay',
      generation,
      until,
    });
    const before = position;
    const progress = await runtime.store.readProgress(generation, shard.shard);
    if (progress?.phase !== 'replay') return report('refused');
    position = progress.position;
    if (failedFrom === undefined) {
      records += wanted.length;
      continue;
    }
    // It goes on from the record that could not be finished, and so with another reader.
    if (isDone()) break;
    const isMoved =
      position !== undefined && (before === undefined || comparePositions(position, before) > 0);
    return report(isMoved ? 'unfinished' : 'held');
  }
  return report('done');
}

function isOther(record: StreamRecord | undefined, expected: string): boolean {
  return record !== undefined && compareSequences(record.sequenceNumber, expected) !== 0;
}

/** A shard of which the stream does not hold everything any more that a replay needs. */
export interface ReplayGap {
  readonly shard: string;
  /** Where the replay would begin. */
  readonly from?: Position;
  /** Arrival of the record there, milliseconds since the epoch. */
  readonly fromMs?: number;
  /** The oldest record behind it that there is, and its arrival; absent where there is none. */
  readonly oldest?: string;
  readonly oldestMs?: number;
  /** Records of the shard that may be missing, at most, as the batches told. */
  readonly records: number;
}

/**
 * Where the stream reaches back less far than the checkpoint's positions. A record that stands at the position itself
 * proves that all behind it are there. Where it is gone nothing proves that others are not.
 */
export async function findGaps(
  {
    store,
    generations,
    source,
  }: { readonly store: StateStore; readonly generations: GenerationStore; readonly source: ReplaySource },
  manifest: Manifest,
  generation: number,
): Promise<ReplayGap[]> {
  const listed = new Map((await source.shards()).map((shard) => [shard.shard, shard]));
  const known = new Map(manifest.shards.map((shard) => [shard.shard, shard]));
  // Of a fork the mapping is to bring what is behind the checkpoint, also of shards that it has not begun to read.
  const isFork = manifest.forkedFrom !== undefined;
  const own = new Set([...(await generations.shards(generation)), ...(isFork ? known.keys() : [])]);
  const shards = [...own].filter((shard) => !source.isRelayed(shard));
  const gaps = await inParallel(shards, SHARDS_IN_FLIGHT, async (shard) => {
    const progress: Reached = (await store.readProgress(generation, shard)) ?? NOT_BEGUN;
    const isWanted = progress.position !== undefined || (isFork && known.get(shard)?.position !== undefined);
    if (!isWanted) return undefined;
    return gapOf(source, listed.get(shard), shard, progress, known.get(shard), manifest.isByPartition);
  });
  return gaps.filter((gap) => gap !== undefined);
}

type Reached = Pick<Progress, 'position' | 'first' | 'records' | 'isByPartition'>;
const NOT_BEGUN: Reached = { records: 0, isByPartition: false };

async function gapOf(
  source: ReplaySource,
  listed: SourceShard | undefined,
  shard: string,
  { position, first, records, isByPartition }: Reached,
  known: ManifestShard | undefined,
  wasByPartition: boolean,
): Promise<ReplayGap | undefined> {
  const from = known?.position === undefined ? first : decodePosition(known.position);
  const isPartitioned = isByPartition || wasByPartition;
  // With lanes by partition key what lies below the position may be needed too.
  const isBehind =
    known?.position !== undefined &&
    from !== undefined &&
    position !== undefined &&
    comparePositions(from, position) >= 0;
  if (isBehind && !isPartitioned) return undefined;
  const gap = {
    shard,
    ...(from !== undefined && { from }),
    ...(known?.arrivalMs !== undefined && { fromMs: known.arrivalMs }),
    records: Math.max(0, records - (known?.records ?? 0)),
  };
  if (listed === undefined) return gap;
  const oldest = await firstRecord(source.reader(listed, from?.sequence));
  if (oldest === undefined) return gap;
  if (from === undefined || !isOther(oldest, from.sequence)) return undefined;
  return { ...gap, oldest: oldest.sequenceNumber, oldestMs: oldest.approximateArrivalTimestampMs };
}

async function firstRecord(reader: ReplayReader): Promise<StreamRecord | undefined> {
  for (;;) {
    const page = await reader.next(1);
    if (page.kind === 'gone') return undefined;
    const [record] = page.records;
    if (record !== undefined || page.isAtEnd) return record;
  }
}

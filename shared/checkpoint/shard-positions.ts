import { encodePosition } from '../source/position.ts';
import { shardLane } from '../source/lane.ts';
import type { StreamShards } from '../source/stream-shards.ts';
import { inParallel } from '../state/in-parallel.ts';
import type { StateStore } from '../state/state-store.ts';
import type { GenerationStore } from '../state/generation-store.ts';
import type { ManifestShard, ReachedShard } from './manifest.ts';

/** Progress rows that are read at a time. */
const ROWS_IN_FLIGHT = 16;

/**
 * How far a generation is in every shard of its streams. Shards are listed first: one that appears afterwards is a
 * child of a listed one, and a replay reads it from its beginning.
 * @param streams physical names.
 */
export async function shardPositions(
  store: Pick<StateStore, 'readProgress'>,
  streamShards: StreamShards,
  generation: number,
  streams: readonly string[],
): Promise<ManifestShard[]> {
  const listed: Pick<ManifestShard, 'stream' | 'shardId' | 'shard' | 'parents'>[] = [];
  for (const stream of streams) {
    for (const { shardId, parentShardId, adjacentParentShardId } of await streamShards.shardsOf(stream)) {
      const parents = [parentShardId, adjacentParentShardId].filter((parent) => parent !== undefined);
      listed.push({ stream, shardId, shard: shardLane(stream, shardId), parents });
    }
  }
  return inParallel(listed, ROWS_IN_FLIGHT, async (shard) => {
    const progress = await store.readProgress(generation, shard.shard);
    const position = progress?.position;
    return {
      ...shard,
      ...(position !== undefined && {
        position: encodePosition(position),
        sequenceNumber: position.sequence,
      }),
      ...(progress?.arrivalMs !== undefined && { arrivalMs: progress.arrivalMs }),
      ...(progress?.time !== undefined && { time: progress.time }),
      ...(progress?.liftedMs !== undefined && { liftedMs: progress.liftedMs }),
      ...(progress?.isByPartition === true && { isByPartition: true }),
      ...(progress?.byShardUntil !== undefined && { byShardUntil: encodePosition(progress.byShardUntil) }),
      ...(progress?.first !== undefined && { first: encodePosition(progress.first) }),
      records: progress?.records ?? 0,
      isKnown: progress !== undefined,
    };
  });
}

/** By shard: how far a generation is in those that have begun. */
export async function reachedShards(
  store: Pick<StateStore, 'readProgress'>,
  generations: Pick<GenerationStore, 'shards'>,
  generation: number,
): Promise<Readonly<Record<string, ReachedShard>>> {
  const shards = await generations.shards(generation);
  const reached = await inParallel(shards, ROWS_IN_FLIGHT, async (shard): Promise<[string, ReachedShard]> => {
    const { position, handedIn, byShardUntil, isByPartition } =
      (await store.readProgress(generation, shard)) ?? {};
    const lastByShard = byShardUntil ?? handedIn;
    return [
      shard,
      {
        ...(position !== undefined && { position: encodePosition(position) }),
        ...(lastByShard !== undefined && { handedIn: encodePosition(lastByShard) }),
        ...(isByPartition === true && { isByPartition }),
      },
    ];
  });
  return Object.fromEntries(reached);
}

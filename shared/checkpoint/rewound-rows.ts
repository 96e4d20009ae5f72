import { decodePosition, type Position } from '../source/position.ts';
import { inParallel } from '../state/in-parallel.ts';
import type { NewProgress, Progress } from '../state/state-store.ts';
import type { Manifest, ManifestShard } from './manifest.ts';
import type { Rewinder, RewindingControl } from './rewind.ts';

/** Progress rows that are made side by side. */
const ROWS_IN_FLIGHT = 16;

/**
 * Makes the progress rows of the generation that a rewind goes on in, before it is the current one.
 * @returns false where somebody else has taken over.
 */
export async function insertRows(
  { runtime, generations, source }: Rewinder,
  { rewind, isByPartition, epoch }: RewindingControl,
  manifest: Manifest,
  version: number,
): Promise<boolean> {
  const { from, to, skipsReplay } = rewind;
  const known = new Map(manifest.shards.map((shard) => [shard.shard, shard]));
  const own = rewind.outputs === 'again' ? to : epoch;
  const isFork = manifest.forkedFrom !== undefined;
  const told = isFork ? Object.keys(manifest.reached ?? {}) : [];
  const shards = [...new Set([...known.keys(), ...told, ...(await generations.shards(from))])];
  const results = await inParallel(shards, ROWS_IN_FLIGHT, async (shard) => {
    const sealed = await runtime.store.readProgress(from, shard);
    const checkpointed = known.get(shard);
    const isRelayed = source.isRelayed(shard);
    // Of a shard that was read nobody but its row knows: its lanes may be by shard still.
    const lanes = sealed ?? (isFork ? lanesOfFork(manifest, checkpointed, shard) : undefined);
    const hasLanes =
      !isRelayed && (lanes?.isByPartition ?? (isByPartition === true || manifest.isByPartition));
    const goesOn = isRelayed || skipsReplay === true;
    const reached = goesOn
      ? sealed?.position
      : checkpointed?.position === undefined || hasLanes
        ? undefined
        : decodePosition(checkpointed.position);
    const arrivalMs = goesOn ? sealed?.arrivalMs : checkpointed?.arrivalMs;
    // Where the stream is replayed from its oldest record, event time begins there too.
    const { time, liftedMs } = (goesOn ? sealed : hasLanes ? undefined : checkpointed) ?? {};
    const shownEpoch = isRelayed ? epoch : own;
    const progress: NewProgress = {
      phase: 'replay',
      records: (goesOn ? sealed?.records : checkpointed?.records) ?? 0,
      ...(reached !== undefined && { position: reached }),
      ...(reached !== undefined && arrivalMs !== undefined && { arrivalMs }),
      ...(time !== undefined && { time }),
      ...(liftedMs !== undefined && { liftedMs }),
      ...(lanes?.first !== undefined && { first: lanes.first }),
      ...(hasLanes && { isByPartition: true }),
      // What may be published by shard already is not to be published by partition key.
      ...(lanes?.handedIn !== undefined && { handedIn: lanes.handedIn }),
      ...(lanes?.byShardUntil !== undefined && { byShardUntil: lanes.byShardUntil }),
      ...(shownEpoch !== undefined && { epoch: shownEpoch }),
    };
    return generations.changeProgress(to, shard, { kind: 'insert', progress }, version);
  });
  return !results.includes('superseded');
}

/**
 * What a fork knows of a shard's lanes. Where they became by partition key while the checkpoint was scanned, or are to
 * become so here, what was handed in by shard is ended by shard first, from the checkpoint's position on: see `partLanes`.
 * @returns nothing where the checkpoint does not tell.
 */
function lanesOfFork(
  { reached }: Manifest,
  begun: ManifestShard | undefined,
  shard: string,
): Pick<Progress, 'isByPartition' | 'first' | 'handedIn' | 'byShardUntil'> | undefined {
  if (reached === undefined) return undefined;
  const decoded = (position: string | undefined): Position | undefined =>
    position === undefined ? undefined : decodePosition(position);
  const first = decoded(begun?.first);
  const byShardUntil = decoded(begun?.byShardUntil);
  const handedIn = decoded(reached[shard]?.handedIn);
  const isByPartition =
    begun?.isByPartition === true || (handedIn === undefined && reached[shard]?.isByPartition === true);
  return {
    isByPartition,
    ...(first !== undefined && { first }),
    ...(handedIn !== undefined && { handedIn }),
    ...(byShardUntil !== undefined && { byShardUntil }),
  };
}

import { compareSequences } from '../../shared/source/position.ts';
import type { MappingStatus, ShardStatus } from '../../shared/mapping/mapping-status.ts';

/** By shard id: the last sequence number that someone put there. */
export type SentPositions = ReadonlyMap<string, string>;

/**
 * Tells when mappings that feed each other are drained, the first one by what was sent to its stream. What the others'
 * streams hold nobody has counted: each must have been found empty by reads that were asked for once the one before it
 * was drained, for it publishes nothing more then.
 */
export class Drainage {
  /** By place in the chain: when the mapping was first seen drained, and not otherwise since. */
  #drainedAtMs: number[] = [];

  /** @param statuses of the mappings, each behind the one that feeds it; at least one. */
  isDrained(statuses: readonly MappingStatus[], sent: SentPositions, nowMs: number): boolean {
    let sinceMs: number | undefined;
    for (const [place, status] of statuses.entries()) {
      const isDone =
        isIdle(status) && (sinceMs === undefined ? hasAll(status, sent) : isReadSince(status, sinceMs));
      if (!isDone) {
        this.#drainedAtMs = this.#drainedAtMs.slice(0, place);
        return false;
      }
      sinceMs = this.#drainedAtMs[place] ??= nowMs;
    }
    return true;
  }
}

function isIdle({ shards }: MappingStatus): boolean {
  return shards.length > 0 && shards.every(isIdleShard);
}

function isIdleShard({ phase, queuedRecords, inFlightRecords, millisBehindLatest }: ShardStatus): boolean {
  return queuedRecords === 0 && inFlightRecords === 0 && (phase === 'done' || millisBehindLatest === 0);
}

/** How far a shard is behind was true when it was last read; what was sent since counts by its own number. */
function hasAll({ shards }: MappingStatus, sent: SentPositions): boolean {
  const acknowledged = new Map(shards.map(({ shardId, lastAcknowledged }) => [shardId, lastAcknowledged]));
  return [...sent].every(([shardId, sequence]) => {
    const last = acknowledged.get(shardId);
    return last !== undefined && compareSequences(last, sequence) >= 0;
  });
}

/** Shards that were split since are known too: they are in a listing that was asked for afterwards. */
function isReadSince({ shards, listedAtMs }: MappingStatus, sinceMs: number): boolean {
  if (listedAtMs === undefined || listedAtMs <= sinceMs) return false;
  return shards.every(
    ({ phase, caughtUpAtMs }) => phase === 'done' || (caughtUpAtMs !== undefined && caughtUpAtMs > sinceMs),
  );
}

import type { ReplayPage, ReplayReader } from '../../checkpoint/replay-source.ts';
import type { StreamRecord } from '../../mapping/stream-record.ts';
import { compareSequences } from '../../source/position.ts';
import type { MemoryStream } from './memory-stream.ts';
import type { World } from './world.ts';

/** Small, so that a restore and a replay end in the middle. */
const READ_LIMIT = 4;

/**
 * Reads a shard on, page by page, of a size that the seed decides.
 * @param from the sequence number to begin with; with the oldest of all unless given.
 * @param io each page is a request.
 */
export function simulatedReader(
  world: World,
  stream: MemoryStream | undefined,
  shardId: string,
  from: string | undefined,
  io: (call: string, effect: () => Promise<ReplayPage>) => Promise<ReplayPage>,
): ReplayReader {
  const shard = stream?.shards.find((each) => each.shardId === shardId);
  let after: StreamRecord | undefined;
  return {
    next: async (limit) => {
      const page = await io('readShard', async (): Promise<ReplayPage> => {
        if (stream === undefined || shard === undefined) return { kind: 'gone' };
        const oldestMs = world.time.nowMs - stream.retentionMs;
        const rest = shard.records.filter(
          ({ sequenceNumber, approximateArrivalTimestampMs }) =>
            approximateArrivalTimestampMs >= oldestMs &&
            (after === undefined
              ? from === undefined || compareSequences(sequenceNumber, from) >= 0
              : compareSequences(sequenceNumber, after.sequenceNumber) > 0),
        );
        const records = rest.slice(0, Math.min(limit, 1 + Math.floor(world.random() * READ_LIMIT)));
        return { kind: 'records', records, isAtEnd: records.length === rest.length };
      });
      if (page.kind === 'records') after = page.records.at(-1) ?? after;
      return page;
    },
  };
}

import {
  DescribeStreamSummaryCommand,
  type KinesisClient,
  ListShardsCommand,
  type Shard,
  SplitShardCommand,
} from '@aws-sdk/client-kinesis';
import { untilActive } from './provision/until-active.ts';

/**
 * Splits one open shard of a stream in the middle of its hash range, and waits until its children take records.
 * @param random chooses the shard; from 0 up to and without 1.
 * @returns the id of the shard that was split; undefined where every open shard has a range too small to split.
 */
export async function splitShard(
  client: KinesisClient,
  StreamName: string,
  random: () => number,
): Promise<string | undefined> {
  const shards: Shard[] = [];
  let NextToken: string | undefined;
  do {
    const page = await client.send(
      new ListShardsCommand(NextToken === undefined ? { StreamName } : { NextToken }),
    );
    shards.push(...(page.Shards ?? []));
    NextToken = page.NextToken;
  } while (NextToken !== undefined);

  const candidates = shards.flatMap(({ ShardId, HashKeyRange, SequenceNumberRange }) => {
    const isOpen = SequenceNumberRange?.EndingSequenceNumber === undefined;
    const from = BigInt(HashKeyRange?.StartingHashKey ?? 0);
    const to = BigInt(HashKeyRange?.EndingHashKey ?? 0);
    return isOpen && ShardId !== undefined && to - from > 1n ? [{ ShardId, middle: (from + to) / 2n }] : [];
  });
  const chosen = candidates[Math.floor(random() * candidates.length)];
  if (chosen === undefined) return undefined;
  await client.send(
    new SplitShardCommand({
      StreamName,
      ShardToSplit: chosen.ShardId,
      NewStartingHashKey: String(chosen.middle),
    }),
  );
  await untilActive(
    `Stream ${StreamName}`,
    async () =>
      (await client.send(new DescribeStreamSummaryCommand({ StreamName }))).StreamDescriptionSummary
        ?.StreamStatus,
  );
  return chosen.ShardId;
}

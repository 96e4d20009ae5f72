import { setTimeout as wait } from 'node:timers/promises';
import {
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type GetRecordsCommandOutput,
  type KinesisClient,
} from '@aws-sdk/client-kinesis';
import type { OutputEnvelope } from '../../shared/output/envelope.ts';
import { KinesisStreamShards } from '../../shared/source/kinesis-stream-shards.ts';
import { inParallel } from '../../shared/state/in-parallel.ts';

const SHARDS_IN_FLIGHT = 8;
/** A shard gives five reads a second to all who read it: others shall have some. */
const PAUSE_MS = 250;
const THROTTLED_PAUSE_MS = 1_000;

/** How long a stream keeps records, milliseconds. */
export async function retentionMs(kinesis: Pick<KinesisClient, 'send'>, stream: string): Promise<number> {
  const { StreamDescriptionSummary } = await kinesis.send(
    new DescribeStreamSummaryCommand({ StreamName: stream }),
  );
  return (StreamDescriptionSummary?.RetentionPeriodHours ?? 24) * 3_600_000;
}

/**
 * Gives the outputs that a stream has taken from one moment to another, shard by shard in their order, repeats included.
 * What is no output of a pipeline is left out.
 * @param fromMs and `untilMs`: milliseconds since the epoch.
 */
export async function readSinkStream(
  kinesis: Pick<KinesisClient, 'send'>,
  stream: string,
  {
    fromMs,
    untilMs,
    signal,
  }: { readonly fromMs: number; readonly untilMs: number; readonly signal: AbortSignal },
  onOutput: (envelope: OutputEnvelope) => void,
): Promise<void> {
  const shards = await new KinesisStreamShards(kinesis).shardsOf(stream);
  await inParallel(shards, SHARDS_IN_FLIGHT, async ({ shardId }) => {
    const opened = await kinesis.send(
      new GetShardIteratorCommand({
        StreamName: stream,
        ShardId: shardId,
        ShardIteratorType: 'AT_TIMESTAMP',
        Timestamp: new Date(fromMs),
      }),
    );
    for (let iterator = opened.ShardIterator; iterator !== undefined;) {
      signal.throwIfAborted();
      const { Records = [], NextShardIterator, MillisBehindLatest } = await nextPage(kinesis, iterator);
      for (const { Data } of Records) {
        const envelope = envelopeOf(Data);
        if (envelope !== undefined) onOutput(envelope);
      }
      const lastMs = Records.at(-1)?.ApproximateArrivalTimestamp?.getTime() ?? 0;
      if (lastMs > untilMs || (Records.length === 0 && MillisBehindLatest === 0)) return;
      iterator = NextShardIterator;
      await wait(PAUSE_MS);
    }
  });
}

async function nextPage(
  kinesis: Pick<KinesisClient, 'send'>,
  iterator: string,
): Promise<GetRecordsCommandOutput> {
  for (;;) {
    try {
      return await kinesis.send(new GetRecordsCommand({ ShardIterator: iterator }));
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'ProvisionedThroughputExceededException') throw error;
      await wait(THROTTLED_PAUSE_MS);
    }
  }
}

function envelopeOf(data: Uint8Array | undefined): OutputEnvelope | undefined {
  try {
    const read = JSON.parse(Buffer.from(data ?? []).toString('utf8')) as Partial<OutputEnvelope> | null;
    const isOurs =
      typeof read?.id === 'string' && typeof read.key === 'string' && typeof read.provenance === 'object';
    return isOurs ? (read as OutputEnvelope) : undefined;
  } catch {
    return undefined;
  }
}

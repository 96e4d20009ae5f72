import type { KinesisClient } from '@aws-sdk/client-kinesis';
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  type ListShardsCommand,
  SplitShardCommand,
} from '@aws-sdk/client-kinesis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LOCAL_ACCOUNT, LOCAL_REGION } from '../../../infra/local/engines/local-account.ts';
import { KinesisShardRanges } from '../../../shared/source/kinesis-shard-ranges.ts';
import {
  hashRange,
  MemoryShardRanges,
  type HashRange,
  type ShardRanges,
} from '../../../shared/source/shard-ranges.ts';
import { startKinesis } from '../../support/kinesis-engine.ts';

const STREAM = 'ranges';
const ARN = `arn:aws:kinesis:${LOCAL_REGION}:${LOCAL_ACCOUNT}:stream/${STREAM}`;
const [PARENT, LOWER, UPPER] = [0, 1, 2].map((shard) => `shardId-00000000000${shard}`) as [
  string,
  string,
  string,
];
const HALF = 2n ** 127n;
const HIGHEST = 2n ** 128n - 1n;

interface Subject {
  readonly ranges: ShardRanges;
  /** Splits the only shard in the middle. */
  split(): Promise<void>;
  stop(): Promise<void>;
}

async function memory(): Promise<Subject> {
  const known = new Map<string, HashRange>([[PARENT, hashRange('0', HIGHEST.toString())]]);
  return {
    ranges: new MemoryShardRanges(known),
    split: async () => {
      known.set(LOWER, hashRange('0', (HALF - 1n).toString()));
      known.set(UPPER, hashRange(HALF.toString(), HIGHEST.toString()));
    },
    stop: async () => undefined,
  };
}

async function kinesisMock(): Promise<Subject> {
  const engine = await startKinesis();
  const { client } = engine;
  const untilActive = async (): Promise<void> => {
    await engine.untilActive(STREAM);
    for (;;) {
      const { StreamDescriptionSummary } = await client.send(
        new DescribeStreamSummaryCommand({ StreamName: STREAM }),
      );
      if (StreamDescriptionSummary?.StreamStatus === 'ACTIVE') return;
    }
  };
  await client.send(new CreateStreamCommand({ StreamName: STREAM, ShardCount: 1 }));
  await untilActive();
  return {
    ranges: new KinesisShardRanges(client),
    split: async () => {
      await client.send(
        new SplitShardCommand({
          StreamName: STREAM,
          ShardToSplit: PARENT,
          NewStartingHashKey: HALF.toString(),
        }),
      );
      await untilActive();
    },
    stop: () => engine.stop(),
  };
}

describe.each([
  ['MemoryShardRanges', memory],
  ['KinesisShardRanges on kinesis-mock', kinesisMock],
])('%s', (_, make) => {
  let subject: Subject;
  beforeAll(async () => {
    subject = await make();
  }, 60_000);
  afterAll(async () => subject.stop());

  it('gives the range of a shard, fails for one that is not there, and finds it once it is', async () => {
    const { ranges } = subject;
    expect(await ranges.rangeOf(ARN, PARENT)).toEqual(hashRange('0', HIGHEST.toString()));
    await expect(ranges.rangeOf(ARN, UPPER)).rejects.toThrow(/lists no shard 'shardId-000000000002'/);
    await subject.split();
    expect(await ranges.rangeOf(ARN, UPPER)).toEqual(hashRange(HALF.toString(), HIGHEST.toString()));
    expect(await ranges.rangeOf(ARN, LOWER)).toEqual(hashRange('0', (HALF - 1n).toString()));
  });

  it('gives the range of a closed shard', async () => {
    const { ranges } = subject;
    expect(await ranges.rangeOf(ARN, PARENT)).toEqual(hashRange('0', HIGHEST.toString()));
  });
});

describe('KinesisShardRanges', () => {
  /** A client that gives the shards one to a page, and fails the first time. */
  function paged(): { readonly client: KinesisClient; readonly sent: unknown[] } {
    const sent: unknown[] = [];
    const send = async ({ input }: ListShardsCommand): Promise<unknown> => {
      sent.push(input);
      if (sent.length === 1) throw new Error('throttled');
      const page = Number(input.NextToken ?? 0);
      const HashKeyRange = { StartingHashKey: String(page), EndingHashKey: String(page) };
      return {
        Shards: [{ ShardId: `shardId-00000000000${page}`, HashKeyRange }],
        ...(page < 2 && { NextToken: String(page + 1) }),
      };
    };
    return { client: { send } as unknown as KinesisClient, sent };
  }

  it('reads all pages once for all who ask, and asks again after a failure', async () => {
    const { client, sent } = paged();
    const ranges = new KinesisShardRanges(client);
    await expect(ranges.rangeOf(ARN, UPPER)).rejects.toThrow('throttled');
    const all = await Promise.all([ranges.rangeOf(ARN, UPPER), ranges.rangeOf(ARN, LOWER)]);
    expect(all).toEqual([hashRange('2', '2'), hashRange('1', '1')]);
    expect(await ranges.rangeOf(ARN, PARENT)).toEqual(hashRange('0', '0'));
    expect(sent.slice(1)).toEqual([{ StreamARN: ARN }, { NextToken: '1' }, { NextToken: '2' }]);
  });
});

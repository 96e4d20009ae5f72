import type { KinesisClient } from '@aws-sdk/client-kinesis';
import { describe, expect, it } from 'vitest';
import { recordsBehind, sumBehind } from '../../../infra/cli/records-behind.ts';
import { throughputBetween } from '../../../infra/cli/throughput.ts';

const SHARD = { stream: 's', shardId: 'shardId-000000000000' };
const NOW_MS = 1_000_000;

interface Page {
  readonly arrivals: readonly number[];
  readonly millisBehind: number;
  readonly isLast?: true;
  readonly fails?: string;
}

/** A shard that gives these pages, and notes what it was asked. */
function shard(pages: readonly Page[]): { kinesis: Pick<KinesisClient, 'send'>; asked: object[] } {
  const asked: object[] = [];
  const send = async ({ input }: { input: { ShardIterator?: string; Limit?: number } }): Promise<object> => {
    asked.push(input);
    if (input.ShardIterator === undefined) return { ShardIterator: '0' };
    const place = Number(input.ShardIterator);
    const { arrivals, millisBehind, isLast, fails } = pages[place] as Page;
    if (fails !== undefined) throw Object.assign(new Error(fails), { name: fails });
    return {
      Records: arrivals
        .slice(0, input.Limit)
        .map((ms) => ({ ApproximateArrivalTimestamp: new Date(NOW_MS - ms) })),
      MillisBehindLatest: millisBehind,
      ...(isLast !== true && { NextShardIterator: String(place + 1) }),
    };
  };
  return { kinesis: { send } as Pick<KinesisClient, 'send'>, asked };
}

const END: Page = { arrivals: [], millisBehind: 0 };

function behind(pages: readonly Page[], most = 1_000): ReturnType<typeof recordsBehind> {
  return recordsBehind(shard(pages).kinesis, SHARD, most, () => NOW_MS);
}

describe('records behind a position', () => {
  it('are counted to the end of the shard, with the age of the oldest', async () => {
    expect(
      await behind([{ arrivals: [500, 400], millisBehind: 0 }, { arrivals: [9], millisBehind: 0 }, END]),
    ).toEqual({
      records: 3,
      isAtLeast: false,
      oldestMs: 500,
    });
    expect(await behind([{ arrivals: [5], millisBehind: 0, isLast: true }])).toEqual({
      records: 1,
      isAtLeast: false,
      oldestMs: 5,
    });
    expect(await behind([END])).toEqual({ records: 0, isAtLeast: false, oldestMs: 0 });
  });

  it('are so many or more where no more are read', async () => {
    const page: Page = { arrivals: Array.from({ length: 1_000 }, () => 7), millisBehind: 60_000 };
    const { kinesis, asked } = shard([page, page, page]);
    const found = await recordsBehind(kinesis, { ...SHARD, sequenceNumber: '5' }, 1_500, () => NOW_MS);
    expect(found).toEqual({ records: 1_500, isAtLeast: true, oldestMs: 7 });
    expect(asked).toMatchObject([
      { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber: '5' },
      { Limit: 1_000 },
      { Limit: 500 },
    ]);
  });

  it('are looked for behind pages without any, for a while', async () => {
    const empty: Page = { arrivals: [], millisBehind: 3 };
    expect(await behind([empty, empty, { arrivals: [1], millisBehind: 0 }, END])).toMatchObject({
      records: 1,
    });
    expect(await behind(Array.from({ length: 30 }, () => empty))).toEqual({ records: 0, isAtLeast: true });
  });

  it('are unknown where Kinesis does not tell, or as many as it told before', async () => {
    const throttled: Page = { ...END, fails: 'ProvisionedThroughputExceededException' };
    expect(await behind([throttled])).toBeUndefined();
    expect(await behind([{ arrivals: [8], millisBehind: 5 }, throttled])).toEqual({
      records: 1,
      isAtLeast: true,
      oldestMs: 8,
    });
    await expect(behind([{ ...END, fails: 'AccessDeniedException' }])).rejects.toThrow('AccessDenied');
  });

  it('are summed up, unknown where one is', () => {
    const [one, more] = [
      { records: 2, isAtLeast: false, oldestMs: 9 },
      { records: 5, isAtLeast: true, oldestMs: 4 },
    ];
    expect(sumBehind([one, more])).toEqual({ records: 7, isAtLeast: true, oldestMs: 9 });
    expect(sumBehind([one, undefined])).toBeUndefined();
    expect(sumBehind([one, { records: 0, isAtLeast: true }])).toEqual({ records: 2, isAtLeast: true });
  });
});

describe('throughput', () => {
  it('is what two readings of one generation tell', () => {
    const before = { generation: 1, records: 100, atMs: 1_000 };
    expect(throughputBetween(before, { generation: 1, records: 350, atMs: 3_000 })).toEqual({
      recordsPerSecond: 125,
      seconds: 2,
    });
    expect(throughputBetween(before, { generation: 2, records: 350, atMs: 3_000 })).toBeUndefined();
    expect(throughputBetween(before, { generation: 1, records: 90, atMs: 3_000 })).toBeUndefined();
    expect(throughputBetween(before, { ...before, records: 101 })).toBeUndefined();
  });
});

import type { KinesisClient } from '@aws-sdk/client-kinesis';
import { CreateStreamCommand, PutRecordCommand } from '@aws-sdk/client-kinesis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKinesisShardReader } from '../../../infra/local/driver/kinesis-shard-reader.ts';
import type { ShardReader } from '../../../infra/local/driver/shard-reader.ts';
import type { ReadFrom } from '../../../shared/mapping/read-from.ts';
import { startKinesis, type KinesisEngine } from '../../support/kinesis-engine.ts';

const STREAM = 'flights';
const SHARD = 'shardId-000000000000';
const { signal } = new AbortController();

describe('a shard reader on kinesis-mock', () => {
  let engine: KinesisEngine;
  let client: KinesisClient;
  let reader: ShardReader;
  let numbers: string[];
  let firstArrivalMs: number;

  beforeAll(async () => {
    engine = await startKinesis();
    ({ client } = engine);
    await client.send(new CreateStreamCommand({ StreamName: STREAM, ShardCount: 1 }));
    await engine.untilActive(STREAM);
    numbers = [];
    for (const text of ['one', 'two', 'three']) {
      const Data = Buffer.from(text);
      const put = await client.send(new PutRecordCommand({ StreamName: STREAM, PartitionKey: 'k', Data }));
      numbers.push(put.SequenceNumber ?? '');
    }
    reader = createKinesisShardReader(client, STREAM);
    const page = await read({ kind: 'trimHorizon' }, 1);
    firstArrivalMs = page.records[0]?.approximateArrivalTimestampMs ?? 0;
  });

  afterAll(() => engine.stop());

  async function read(from: ReadFrom, limit = 10) {
    const opened = await reader.openIterator(SHARD, from, signal);
    if (opened.kind !== 'iterator') throw new Error(`The iterator is ${opened.kind}.`);
    const page = await reader.readPage(opened.iterator, limit, signal);
    if (page.kind !== 'page') throw new Error(`The page is ${page.kind}.`);
    return page;
  }

  it('lists the shards', async () => {
    expect(await reader.listShards(signal)).toEqual([
      { shardId: SHARD, parentShardId: undefined, adjacentParentShardId: undefined },
    ]);
  });

  it('reads from every kind of position', async () => {
    const from = async (position: ReadFrom) =>
      (await read(position)).records.map((each) => each.sequenceNumber);
    expect(await from({ kind: 'trimHorizon' })).toEqual(numbers);
    expect(await from({ kind: 'after', sequenceNumber: numbers[0] ?? '' })).toEqual(numbers.slice(1));
    expect(await from({ kind: 'timestamp', timestampMs: firstArrivalMs })).toEqual(numbers);
    expect(await from({ kind: 'latest' })).toEqual([]);
  });

  it('gives data, keys, arrival and how far it is behind', async () => {
    const page = await read({ kind: 'trimHorizon' }, 1);
    expect(page.records).toMatchObject([{ partitionKey: 'k', sequenceNumber: numbers[0] }]);
    expect(Buffer.from(page.records[0]?.data ?? '').toString()).toBe('one');
    expect(page.millisBehindLatest).toBeGreaterThan(0);
    const next = await reader.readPage(page.nextIterator ?? '', 10, signal);
    expect(next).toMatchObject({ kind: 'page', millisBehindLatest: 0 });
  });

  it('tells a position that the stream does not hold, and a shard that is not there', async () => {
    const unknown = `${numbers[0]?.slice(0, -6)}000000`;
    expect(await reader.openIterator(SHARD, { kind: 'after', sequenceNumber: unknown }, signal)).toEqual({
      kind: 'unknownPosition',
    });
    expect(await reader.openIterator('shardId-000000000009', { kind: 'trimHorizon' }, signal)).toEqual({
      kind: 'shardGone',
    });
  });
});

import type { KinesisClient } from '@aws-sdk/client-kinesis';
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  ExpiredIteratorException,
  GetRecordsCommand,
  GetShardIteratorCommand,
  InvalidArgumentException,
  MergeShardsCommand,
  ProvisionedThroughputExceededException,
  PutRecordCommand,
  ResourceNotFoundException,
} from '@aws-sdk/client-kinesis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { KinesisReplaySource } from '../../../shared/checkpoint/kinesis-replay-source.ts';
import type { ReplayReader, SourceShard } from '../../../shared/checkpoint/replay-source.ts';
import { shardLane } from '../../../shared/source/lane.ts';
import { startKinesis, type KinesisEngine } from '../../support/kinesis-engine.ts';

const STREAM = 'flights';
const INNER = 'flights-by-airport';
const TEXTS = ['one', 'two', 'three', 'four', 'five'];

/** What a fault of the service answers in place of the engine: asked before each request. */
type Fault = (command: unknown) => Error | undefined;

const NO_FAULT: Fault = () => undefined;
const metadata = { $metadata: {}, message: 'simulated' };

describe('the streams of a pipeline, as a replay reads them from Kinesis', () => {
  let engine: KinesisEngine;
  let client: KinesisClient;
  let streamArns: string[];
  let numbers: string[];
  let fault: Fault = NO_FAULT;
  let pauses: number[] = [];

  beforeAll(async () => {
    engine = await startKinesis();
    ({ client } = engine);
    streamArns = [];
    for (const StreamName of [STREAM, INNER]) {
      await client.send(new CreateStreamCommand({ StreamName, ShardCount: 2 }));
      await engine.untilActive(StreamName);
      const { StreamDescriptionSummary } = await client.send(
        new DescribeStreamSummaryCommand({ StreamName }),
      );
      streamArns.push(StreamDescriptionSummary?.StreamARN ?? '');
    }
    numbers = [];
    for (const text of TEXTS) numbers.push(await put(STREAM, text));
    // The shards are closed then, and their child is open.
    await client.send(
      new MergeShardsCommand({ StreamName: STREAM, ShardToMerge: id(0), AdjacentShardToMerge: id(1) }),
    );
    await engine.untilActive(STREAM);
    await put(STREAM, 'behind the merge');
  });
  beforeEach(() => {
    fault = NO_FAULT;
    pauses = [];
  });
  afterAll(() => engine.stop());

  async function put(StreamName: string, text: string): Promise<string> {
    const { SequenceNumber } = await client.send(
      new PutRecordCommand({
        StreamName,
        PartitionKey: 'k',
        ExplicitHashKey: '0',
        Data: Buffer.from(text),
      }),
    );
    return SequenceNumber ?? '';
  }

  function source(repartitioned?: string): KinesisReplaySource {
    const send = (async (command: GetRecordsCommand) => {
      const error = fault(command);
      if (error !== undefined) throw error;
      return client.send(command);
    }) as unknown as KinesisClient['send'];
    return new KinesisReplaySource({
      client: { send },
      streamArns,
      ...(repartitioned !== undefined && { repartitioned }),
      wait: async (ms) => void pauses.push(ms),
    });
  }

  async function shard(number: number, stream = STREAM): Promise<SourceShard> {
    const found = (await source().shards()).find((each) => each.shard === shardLane(stream, id(number)));
    return found ?? expect.fail(`no shard ${number}`);
  }

  it('are listed with their ARNs and the parents of their shards', async () => {
    const found = await source().shards();
    expect(found.map(({ stream, shardId }) => `${stream} ${shardId}`)).toEqual([
      `${STREAM} ${id(0)}`,
      `${STREAM} ${id(1)}`,
      `${STREAM} ${id(2)}`,
      `${INNER} ${id(0)}`,
      `${INNER} ${id(1)}`,
    ]);
    expect(found.map(({ streamArn }) => streamArn)).toEqual([
      ...Array.from({ length: 3 }, () => streamArns[0]),
      ...Array.from({ length: 2 }, () => streamArns[1]),
    ]);
    expect(found[2]?.parents.toSorted()).toEqual([shardLane(STREAM, id(0)), shardLane(STREAM, id(1))]);
    expect(found[0]?.parents).toEqual([]);
  });

  it('tell the shards of a stream that is passed on by their tag', () => {
    const lanes = [shardLane(STREAM, id(0)), shardLane(INNER, id(0))];
    expect(lanes.map((lane) => source(INNER).isRelayed(lane))).toEqual([true, false]);
    expect(lanes.map((lane) => source().isRelayed(lane))).toEqual([false, false]);
  });

  it('are read from a record on, that one included, page by page to the end of a closed shard', async () => {
    const read = await readAll(source().reader(await shard(0), numbers[1]), 2);
    expect(read.pages.slice(0, 2)).toEqual([
      ['two', 'three'],
      ['four', 'five'],
    ]);
    expect(read.texts).toEqual(TEXTS.slice(1));
    expect(await read.reader.next(2)).toEqual({
      kind: 'records',
      records: [],
      isAtEnd: true,
      isClosed: true,
    });
  });

  it('are read from the oldest record on where no place is given', async () => {
    expect((await readAll(source().reader(await shard(0), undefined), 10)).texts).toEqual(TEXTS);
  });

  it('end for now in an open shard, and go on once there is more', async () => {
    const { reader, texts } = await readAll(source().reader(await shard(2), undefined), 10);
    expect(texts).toEqual(['behind the merge']);
    await put(STREAM, 'later');
    expect((await readAll(reader, 10)).texts).toEqual(['later']);
  });

  it.each([
    ['AWS finds fault with', new InvalidArgumentException(metadata)],
    ['kinesis-mock does not find', new ResourceNotFoundException(metadata)],
  ])('begin with what stands behind a record that %s', async (_, refusal) => {
    fault = (command) =>
      command instanceof GetShardIteratorCommand && command.input.StartingSequenceNumber !== undefined
        ? refusal
        : undefined;
    const read = await readAll(source().reader(await shard(0), numbers[2]), 2);
    expect(read.texts).toEqual(TEXTS.slice(2));
  });

  it('go on behind the last record where an iterator has expired', async () => {
    const reader = source().reader(await shard(0), undefined);
    expect(textsOf(await reader.next(2))).toEqual(['one', 'two']);
    let hasExpired = false;
    fault = (command) => {
      if (hasExpired || !(command instanceof GetRecordsCommand)) return undefined;
      hasExpired = true;
      return new ExpiredIteratorException(metadata);
    };
    expect((await readAll(reader, 10)).texts).toEqual(['three', 'four', 'five']);
  });

  it('are asked less often where they throttle, and the reader may look at the clock in between', async () => {
    const reader = source().reader(await shard(0), undefined);
    let times = 7;
    fault = (command) =>
      command instanceof GetRecordsCommand && times-- > 0
        ? new ProvisionedThroughputExceededException(metadata)
        : undefined;
    for (let page = 0; page < 7; page++) {
      expect(await reader.next(10)).toEqual({ kind: 'records', records: [], isAtEnd: false });
    }
    expect(pauses).toEqual([250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
    expect(textsOf(await reader.next(10))).toEqual(TEXTS);
  });

  it('are gone where the shard is, whether a listing had it or not', async () => {
    const known = await shard(0);
    expect(
      await source()
        .reader({ ...known, shardId: id(9) }, numbers[0])
        .next(1),
    ).toEqual({ kind: 'gone' });
    expect(
      await source()
        .reader({ ...known, shardId: '' }, undefined)
        .next(1),
    ).toEqual({ kind: 'gone' });
  });

  it('fail where Kinesis does', async () => {
    fault = () => new Error('no answer');
    const shard = { stream: STREAM, streamArn: '', shardId: id(0), shard: '', parents: [] };
    await expect(source().reader(shard, undefined).next(1)).rejects.toThrow('no answer');
  });
});

function id(number: number): string {
  return `shardId-${String(number).padStart(12, '0')}`;
}

function textsOf(page: Awaited<ReturnType<ReplayReader['next']>>): string[] {
  return page.kind === 'gone' ? [] : page.records.map(({ data }) => Buffer.from(data).toString());
}

/** Up to the end that there is now. */
async function readAll(reader: ReplayReader, limit: number) {
  const pages: string[][] = [];
  for (;;) {
    const page = await reader.next(limit);
    if (page.kind === 'gone') throw new Error('The shard is gone.');
    pages.push(textsOf(page));
    if (page.isAtEnd) return { reader, pages, texts: pages.flat() };
  }
}

import type { KinesisClient, PutRecordsCommand } from '@aws-sdk/client-kinesis';
import { expect, it } from 'vitest';
import { OrderedProducer } from '../../infra/local/producer/ordered-producer.ts';
import { seededRandom } from '../../shared/testing/seeded-random.ts';

/** A stream that takes some records of a request and not others, as PutRecords may. */
class FlakyStream {
  readonly taken: { key: string; data: string }[] = [];
  readonly requests: string[][] = [];
  readonly #random: () => number;
  readonly #failureProbability: number;

  constructor(seed: number, failureProbability: number) {
    this.#random = seededRandom(seed);
    this.#failureProbability = failureProbability;
  }

  readonly client: Pick<KinesisClient, 'send'> = {
    send: async (command: unknown) => {
      const { Records = [] } = (command as PutRecordsCommand).input;
      this.requests.push(Records.map(({ PartitionKey }) => PartitionKey ?? ''));
      await Promise.resolve();
      return {
        Records: Records.map(({ PartitionKey: key = '', Data }) => {
          if (this.#random() < this.#failureProbability)
            return { ErrorCode: 'ProvisionedThroughputExceededException' };
          this.taken.push({ key, data: Buffer.from(Data ?? []).toString() });
          return { ShardId: 'shardId-0', SequenceNumber: String(this.taken.length) };
        }),
      };
    },
  } as Pick<KinesisClient, 'send'>;
}

function producerOn(stream: FlakyStream, isOneLine = false): OrderedProducer {
  const { client } = stream;
  return new OrderedProducer({ client, streamName: 'flights', isOneLine, wait: async () => undefined });
}

it('keeps the order of each partition key although requests fail in part', async () => {
  const stream = new FlakyStream(7, 0.3);
  const producer = producerOn(stream);
  const random = seededRandom(1);
  const sent = new Map<string, string[]>();
  for (let number = 0; number < 3_000; number++) {
    const partitionKey = random() < 0.4 ? 'hot' : `key-${Math.floor(random() * 50)}`;
    sent.set(partitionKey, [...(sent.get(partitionKey) ?? []), String(number)]);
    await producer.send({ data: Buffer.from(String(number)), partitionKey });
  }
  await producer.flush();

  const taken = new Map<string, string[]>();
  for (const { key, data } of stream.taken) taken.set(key, [...(taken.get(key) ?? []), data]);
  expect([...taken].sort()).toEqual([...sent].sort());
  expect({ sent: producer.sent, inOrder: producer.sentInOrder }).toEqual({ sent: 3_000, inOrder: 3_000 });
  expect(producer.lastSent).toEqual(new Map([['shardId-0', '3000']]));
});

it('never puts two records of one partition key into one request', async () => {
  const stream = new FlakyStream(3, 0.1);
  const producer = producerOn(stream);
  for (let number = 0; number < 200; number++)
    await producer.send({ data: Buffer.from('x'), partitionKey: `key-${number % 7}` });
  await producer.flush();
  expect(stream.requests.filter((keys) => new Set(keys).size !== keys.length)).toEqual([]);
});

it('puts all records in one line where that is asked for, but for those that fail in one request', async () => {
  const steady = new FlakyStream(1, 0);
  const producer = producerOn(steady, true);
  const random = seededRandom(2);
  const sent = Array.from({ length: 1_500 }, (_, number) => ({
    key: random() < 0.2 ? 'hot' : `key-${Math.floor(random() * 50)}`,
    data: String(number),
  }));
  for (const { key, data } of sent) await producer.send({ data: Buffer.from(data), partitionKey: key });
  await producer.flush();
  expect(steady.taken).toEqual(sent);
  expect(steady.requests.filter((keys) => new Set(keys).size !== keys.length)).toEqual([]);

  const flaky = new FlakyStream(7, 0.3);
  const again = producerOn(flaky, true);
  for (const { key, data } of sent) await again.send({ data: Buffer.from(data), partitionKey: key });
  await again.flush();
  expect(flaky.taken).toHaveLength(sent.length);
  for (const key of ['hot', 'key-0', 'key-7']) {
    const own = (all: readonly { key: string; data: string }[]) => all.filter((each) => each.key === key);
    expect(own(flaky.taken)).toEqual(own(sent));
  }
});

it('gives up on a record that is refused again and again, with the reason', async () => {
  const producer = producerOn(new FlakyStream(1, 1));
  await producer.send({ data: Buffer.from('x'), partitionKey: 'a' });
  await expect(producer.flush()).rejects.toThrow('ProvisionedThroughputExceededException');
});

it('refuses a record that Kinesis would not take', async () => {
  const producer = producerOn(new FlakyStream(1, 0));
  const data = Buffer.alloc(1024 * 1024);
  await expect(producer.send({ data, partitionKey: 'a' })).rejects.toThrow('Kinesis takes 1048576');
});

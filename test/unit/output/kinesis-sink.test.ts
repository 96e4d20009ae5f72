import type { KinesisClient, PutRecordsCommand, PutRecordsCommandOutput } from '@aws-sdk/client-kinesis';
import { describe, expect, it } from 'vitest';
import { envelopeJson } from '../../../shared/output/envelope.ts';
import { KinesisSinkPort, partitionKeyOf } from '../../../shared/output/kinesis-sink.ts';
import { hashOfKey } from '../../../shared/output/output-id.ts';
import { delivery } from './deliveries.ts';

function portAnswering(answer: Partial<PutRecordsCommandOutput>): {
  port: KinesisSinkPort;
  sent: PutRecordsCommand[];
} {
  const sent: PutRecordsCommand[] = [];
  const client = {
    send: async (command: PutRecordsCommand) => {
      sent.push(command);
      return answer;
    },
  };
  return { port: new KinesisSinkPort(client as unknown as KinesisClient, 'delays', 'flights'), sent };
}

describe('a stream as a sink', () => {
  it('writes each output in its envelope, its destination key as the partition key', async () => {
    const { port, sent } = portAnswering({ Records: [{ SequenceNumber: '1', ShardId: 's' }] });
    expect(await port.deliver([delivery({ destinationKey: 'ORD', json: '{"mean":4}' })])).toEqual([true]);
    const [record] = sent[0]?.input.Records ?? [];
    expect(sent[0]?.input.StreamName).toBe('delays');
    expect(record?.PartitionKey).toBe('ORD');
    expect(JSON.parse(Buffer.from(record?.Data ?? []).toString())).toMatchObject({
      id: 'p/x/0/100/0/0/out/0',
      key: 'ORD',
      value: { mean: 4 },
      provenance: {
        lineage: 'flights',
        lane: 'stream/0',
        sink: 'out',
        destination: hashOfKey('ORD'),
        position: expect.stringMatching(/^[-\w]+\/0\/0$/) as string,
        arrivalMs: 1_800_000_000_000,
      },
    });
  });

  it('tells the arrival at the head of the chain, where the pipeline is chained', () => {
    const text = envelopeJson('p', delivery({}, { originArrivalMs: 1_700_000_000_000 }));
    expect(JSON.parse(text)).toMatchObject({ provenance: { arrivalMs: 1_700_000_000_000 } });
  });

  it('confirms what was put, and nothing else', async () => {
    const { port } = portAnswering({
      FailedRecordCount: 2,
      Records: [
        { SequenceNumber: '1', ShardId: 's' },
        { ErrorCode: 'ProvisionedThroughputExceededException', ErrorMessage: 'slow down' },
        {},
      ],
    });
    const keys = ['a', 'b', 'c', 'd'];
    const results = await port.deliver(keys.map((destinationKey) => delivery({ destinationKey })));
    // The last has no answer at all.
    expect(results).toEqual([true, false, false, false]);
  });

  it('confirms nothing where the answer has no list', async () => {
    const { port } = portAnswering({});
    expect(await port.deliver([delivery()])).toEqual([false]);
  });
});

describe('a partition key', () => {
  it('is the destination key where Kinesis takes it, and its hash where it does not', () => {
    expect(partitionKeyOf('ORD')).toBe('ORD');
    expect(partitionKeyOf('ü'.repeat(256))).toBe('ü'.repeat(256));
    for (const key of ['', 'x'.repeat(257)]) {
      expect(partitionKeyOf(key)).toMatch(/^[\w-]{43}$/);
      expect(partitionKeyOf(key)).toBe(partitionKeyOf(key));
    }
    expect(partitionKeyOf('')).not.toBe(partitionKeyOf('x'.repeat(257)));
  });
});

describe('an envelope', () => {
  it.each(['"', '\\', '\u0000', '\u2028', '__proto__', '😀'])(
    'holds the key %j as it is',
    (destinationKey) => {
      const { key } = JSON.parse(envelopeJson('p', delivery({ destinationKey }))) as { key: string };
      expect(key).toBe(destinationKey);
    },
  );

  it('adds less than a kilobyte to a value and its key', () => {
    const lane = `abcdef/${'9'.repeat(12)}`;
    const position = { sequence: '9'.repeat(129), sub: 999_999 };
    const id = ['p'.repeat(63), lane, position.sequence, position.sub, 99_999, 's'.repeat(63), 99_999].join(
      '/',
    );
    const text = envelopeJson(
      'p'.repeat(63),
      delivery({ id }, { lane, position, element: 99_999, index: 99_999 }),
    );
    expect(text.length).toBeLessThan(1_024);
  });
});

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readAggregate } from '../../../shared/source/aggregate-format.ts';
import { AGGREGATE_RECORDS_LIMIT, unpackAggregates } from '../../../shared/source/aggregate.ts';
import { comparePositions } from '../../../shared/source/position.ts';
import type { RecordBatch, SourceRecord } from '../../../shared/source/record.ts';
import {
  hashKeyDigits,
  hashRange,
  MemoryShardRanges,
  type ShardRanges,
} from '../../../shared/source/shard-ranges.ts';
import {
  aggregate,
  bytesField,
  numberField,
  sealAggregate,
  type RecordToAggregate,
} from '../../../shared/testing/kpl-aggregate.ts';
import type { Capture, SentRecord } from '../../support/kpl/captures.ts';
import { aggregateRecord, recordBatch, shardId, sourceRecord } from '../../support/memory-ports.ts';

const HIGHEST = 2n ** 128n - 1n;
const HALF = 2n ** 127n;
const WHOLE = hashRange('0', HIGHEST.toString());

function rangesOf(starting = 0n, ending = HIGHEST): ShardRanges {
  return new MemoryShardRanges(new Map([[shardId(0), hashRange(starting.toString(), ending.toString())]]));
}

async function unpack(
  records: readonly SourceRecord[],
  { ranges = rangesOf(), isFiltered = true, recordsLimit = 1_000_000 } = {},
): Promise<RecordBatch> {
  return unpackAggregates(recordBatch(0, records), { ranges, isFiltered, recordsLimit });
}

const NEVER: ShardRanges = {
  rangeOf: async () => Promise.reject(new Error('asked for a range')),
};

function packed(bytes: Uint8Array, number = 0): SourceRecord {
  return { ...sourceRecord(0, number, { value: '' }), data: Buffer.from(bytes).toString('base64') };
}

function textsOf({ records }: RecordBatch): string[] {
  return records.map(({ data }) => Buffer.from(data, 'base64').toString());
}

/** A capture's records as the batches of its shards, unpacked. */
async function unpackCapture(name: string, isFiltered: boolean): Promise<RecordBatch[]> {
  const { shards, records } = captureOf(name);
  const ranges = new MemoryShardRanges(
    new Map(
      shards.map((shard) => [shard.shardId, hashRange(shard.startingHashKey, shard.endingHashKey)] as const),
    ),
  );
  return Promise.all(
    shards.map(async (shard) => {
      const own = records
        .filter((record) => record.shardId === shard.shardId)
        .map(({ sequenceNumber, partitionKey, data }): SourceRecord => ({
          position: { sequence: sequenceNumber, sub: 0 },
          partitionKey,
          lane: 'lane',
          data,
          arrivalMs: 0,
        }));
      const batch = { ...recordBatch(0, own), shardId: shard.shardId };
      return unpackAggregates(batch, { ranges, isFiltered });
    }),
  );
}

function captureOf(name: string): Capture {
  const file = new URL(`../../support/kpl/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as Capture;
}

function named({ partitionKey, data }: Pick<SentRecord, 'partitionKey' | 'data'>): string {
  return `${partitionKey} ${data}`;
}

/** What is left of the batches for the pipeline. */
function kept(batches: readonly RecordBatch[]): SourceRecord[] {
  return batches.flatMap(({ records }) => records.filter(({ isForeign }) => isForeign !== true));
}

/** The sent records in the shard that takes their hash key. */
function sentTo({ shards, sent }: Capture, place: number): string[] {
  const shard = shards[place];
  return sent
    .filter(({ partitionKey, explicitHashKey }) => {
      const hash = BigInt(explicitHashKey ?? `0x${createHash('md5').update(partitionKey).digest('hex')}`);
      return BigInt(shard?.startingHashKey ?? 0) <= hash && hash <= BigInt(shard?.endingHashKey ?? 0);
    })
    .map(named);
}

describe('aggregates by the Kinesis Producer Library', () => {
  it('unpack to what was sent, each record in its shard', async () => {
    const capture = captureOf('steady');
    const batches = await unpackCapture('steady', true);
    expect(capture.records.length).toBeLessThan(capture.sent.length / 20);
    expect(batches.flatMap(({ records }) => records.filter(({ isForeign }) => isForeign))).toEqual([]);
    for (const [place, { records }] of batches.entries()) {
      // The library promises no order.
      expect(records.map(named).toSorted()).toEqual(sentTo(capture, place).toSorted());
    }
  });

  it('hold all kinds of keys and data', async () => {
    const records = kept(await unpackCapture('steady', true));
    const data = (key: string) =>
      records.filter(({ partitionKey }) => partitionKey === key).map((each) => each.data);
    expect(data('clé ключ 键 🔑')).toEqual([Buffer.from('données данные 数据 💾').toString('base64')]);
    expect(data('k'.repeat(256))).toHaveLength(1);
    expect(data('key 1')).toContain('');
    expect(data('explicit')).toHaveLength(6);
    expect(Buffer.from(data('large')[0] ?? '', 'base64')).toHaveLength(20_000);
  });

  it.each(['resharded', 'resharded-1.0.7'])(
    'lose nothing while the stream is resharded, and bring no record of another shard (%s)',
    async (name) => {
      const capture = captureOf(name);
      const batches = await unpackCapture(name, true);
      expect(new Set(kept(batches).map(named))).toEqual(new Set(capture.sent.map(named)));
      for (const [place, batch] of batches.entries()) {
        // The parent took the first record, before it was split.
        if (place === 0) continue;
        const own = new Set(sentTo(capture, place));
        for (const record of kept([batch])) expect(own).toContain(named(record));
      }
      // What was in the wrong shard was sent again, and would count twice.
      expect(kept(await unpackCapture(name, false)).length).toBeGreaterThan(kept(batches).length);
    },
  );

  it('would lose records if an aggregate went whole for a record of another shard, as the Client Library has it', async () => {
    const whole = (await unpackCapture('resharded-1.0.7', true)).flatMap(({ records }) => {
      const split = new Set(
        records.filter(({ isForeign }) => isForeign === true).map(({ position }) => position.sequence),
      );
      return records.filter(({ position }) => !split.has(position.sequence));
    });
    expect(new Set(whole.map(named)).size).toBeLessThan(captureOf('resharded-1.0.7').sent.length);
  });
});

describe('aggregates by the Python library of AWS Labs', () => {
  it('unpack to what was sent, also where there is one record', async () => {
    const [batch] = await unpackCapture('labs', true);
    expect(batch?.records.map(named)).toEqual(captureOf('labs').sent.map(named));
    expect(batch?.records[1]?.position.sub).toBe(0);
    expect(batch?.records.at(-1)?.position.sub).toBe(54);
  });
});

describe('a batch with aggregates', () => {
  it('is handed on as it is where there are none, and no range is asked for', async () => {
    const batch = recordBatch(0, [sourceRecord(0, 0, { value: 'plain' })]);
    expect(await unpackAggregates(batch, { ranges: NEVER, isFiltered: true })).toBe(batch);
  });

  it('has their records in their place, each with its own key and the delivery key and arrival of the whole', async () => {
    const { records } = await unpack([
      sourceRecord(0, 0, { value: 'before', partitionKey: 'k' }),
      aggregateRecord(0, 1, [
        { value: 'x', partitionKey: 'k' },
        { value: 'y', partitionKey: 'l' },
      ]),
      sourceRecord(0, 2, { value: 'after' }),
    ]);
    expect(
      records.map(({ position, partitionKey, deliveryKey }) => [position.sub, partitionKey, deliveryKey]),
    ).toEqual([
      [0, 'k', undefined],
      [0, 'k', 'a'],
      [1, 'l', 'a'],
      [0, 'p', undefined],
    ]);
    expect(new Set([records[1]?.arrivalMs, records[2]?.arrivalMs])).toEqual(
      new Set([sourceRecord(0, 1, { value: '' }).arrivalMs]),
    );
  });

  it('drops what lies outside the range of the shard and keeps all positions', async () => {
    const values = [HALF - 1n, HALF, HIGHEST, 0n].map((hashKey, number) => ({
      value: `v${number}`,
      explicitHashKey: hashKey.toString(),
    }));
    const upper = await unpack([aggregateRecord(0, 0, values)], { ranges: rangesOf(HALF) });
    expect(textsOf(upper)).toEqual(['', 'v1', 'v2', '']);
    expect(upper.records.map(({ isForeign }) => isForeign)).toEqual([true, false, false, true]);
    expect(upper.records.map(({ position }) => position.sub)).toEqual([0, 1, 2, 3]);

    const lower = await unpack([aggregateRecord(0, 0, values)], { ranges: rangesOf(0n, HALF - 1n) });
    expect(textsOf(lower)).toEqual(['v0', '', '', 'v3']);
  });

  it('keeps all where the pipeline says so, and asks for no range', async () => {
    const batch = await unpack([aggregateRecord(0, 0, [{ value: 'x', explicitHashKey: '7' }])], {
      ranges: NEVER,
      isFiltered: false,
    });
    expect(textsOf(batch)).toEqual(['x']);
  });

  it('fails where the range of the shard cannot be learnt', async () => {
    const unknown = new MemoryShardRanges(new Map());
    await expect(unpack([aggregateRecord(0, 0, [{ value: 'x' }])], { ranges: unknown })).rejects.toThrow(
      /lists no shard 'shardId-000000000000'.*the batch comes again/,
    );
  });

  it('leaves what is too much for one invocation packed', async () => {
    const three = [{ value: 'x' }, { value: 'y' }, { value: 'z' }];
    const given = [
      aggregateRecord(0, 0, three),
      aggregateRecord(0, 1, three),
      sourceRecord(0, 2, { value: 'p' }),
    ];
    const { records, left } = await unpack(given, { recordsLimit: 4 });
    expect(records).toHaveLength(6);
    expect(left).toEqual([given[2]]);
    expect((await unpack(given, { recordsLimit: 1 })).left).toEqual(given.slice(1));
    expect((await unpack(given, { recordsLimit: 7 })).left).toBeUndefined();
  });

  it('does not look into the records of an aggregate', async () => {
    const inner = aggregate([{ partitionKey: 'k', data: Buffer.from('x') }]);
    const batch = await unpack([packed(aggregate([{ partitionKey: 'k', data: inner }]))]);
    expect(batch.records).toHaveLength(1);
    expect(batch.records[0]?.data).toBe(inner.toString('base64'));
  });

  it('takes a record for an aggregate by all four bytes', async () => {
    const near = packed(Buffer.from([0xf3, 0x89, 0x9a, 0xc1, 1, 2, 3]));
    const nearer = packed(Buffer.from([0xf3, 0x89, 0x9a, 0xc3, 1, 2, 3]), 1);
    const { records } = await unpack([near, nearer, packed(Buffer.from([0xf3, 0x89, 0x9a]), 2)]);
    expect(records.map(({ rejection }) => rejection)).toEqual([undefined, undefined, undefined]);
  });
});

describe('an aggregate that is none', () => {
  const key = bytesField(1, Buffer.from('k'));
  const record = (...fields: Buffer[]): Buffer => bytesField(3, Buffer.concat(fields));
  const good = record(numberField(1, 0), bytesField(3, Buffer.from('x')));
  const whole = aggregate([{ partitionKey: 'k', data: Buffer.from('x') }]);

  it.each([
    ['is only the magic bytes', whole.subarray(0, 4), '4 bytes are too few'],
    ['is shorter than its digest', whole.subarray(0, 19), '19 bytes are too few'],
    ['is cut', whole.subarray(0, -1), 'its digest is not that of its bytes'],
    [
      'is changed',
      Buffer.concat([whole.subarray(0, 6), Buffer.from('?'), whole.subarray(7)]),
      'its digest is not',
    ],
    ['is empty', sealAggregate(Buffer.alloc(0)), 'it holds no records'],
    ['has keys and no records', sealAggregate(key), 'it holds no records'],
    [
      'ends in a record',
      sealAggregate(Buffer.concat([key, good]).subarray(0, -1)),
      'ends in the middle of a field',
    ],
    ['ends in a length', sealAggregate(Buffer.from([0x0a, 0xff])), 'cannot be read'],
    ['has a tag of nothing', sealAggregate(Buffer.from([0])), 'cannot be read (illegal tag'],
    ['has a text for an index', sealAggregate(Buffer.concat([key, record(key, good)])), 'wire type 2, not 0'],
    ['has a number for a record', sealAggregate(numberField(3, 1)), 'wire type 0, not 2'],
    [
      'has a record without key',
      sealAggregate(Buffer.concat([key, record(bytesField(3, key))])),
      'record 0 names no partition key',
    ],
    [
      'has a record without data',
      sealAggregate(Buffer.concat([key, good, record(numberField(1, 0))])),
      'record 1 has no data',
    ],
    [
      'names a key beyond its table',
      sealAggregate(Buffer.concat([key, record(numberField(1, 1), bytesField(3, key))])),
      'record 0 names partition key 1 of 1',
    ],
    [
      'names a key that 32 bits cut to a right one',
      sealAggregate(Buffer.concat([key, record(numberField(1, 2 ** 32), bytesField(3, key))])),
      'names partition key 4294967296 of 1',
    ],
    [
      'names a hash key beyond its table',
      sealAggregate(Buffer.concat([key, record(numberField(1, 0), numberField(2, 0), bytesField(3, key))])),
      'names explicit hash key 0 of 0',
    ],
    [
      'has a hash key that is too large',
      aggregate([{ partitionKey: 'k', explicitHashKey: String(HIGHEST + 1n), data: key }]),
      'not 0 to 2^128 - 1',
    ],
    [
      'has a hash key that is none',
      aggregate([{ partitionKey: 'k', explicitHashKey: '-1', data: key }]),
      'not 0 to 2^128 - 1',
    ],
    [
      'has a key that is no text',
      sealAggregate(Buffer.concat([bytesField(1, Buffer.from([0xff])), good])),
      'a key is not UTF-8',
    ],
    ['nests groups without end', sealAggregate(Buffer.alloc(1_000, 0x23)), 'cannot be read'],
  ])('because it %s becomes one rejected record that says so', async (_, bytes, reason) => {
    const given = packed(bytes);
    const { records } = await unpack([given], { ranges: NEVER });
    expect(records).toEqual([
      { ...given, rejection: { stage: 'decode', reason: expect.any(String) as string } },
    ]);
    expect(records[0]?.rejection?.reason).toContain(reason);
  });

  it('because it holds too many records says so', async () => {
    const many = Buffer.concat([key, ...Array.from({ length: AGGREGATE_RECORDS_LIMIT + 1 }, () => good)]);
    const { records } = await unpack([packed(sealAggregate(many))], { ranges: NEVER });
    expect(records[0]?.rejection?.reason).toContain('more than 200000 records');
  });

  it('does not keep its neighbours', async () => {
    const { records } = await unpack([packed(whole.subarray(0, -1)), packed(whole, 1)]);
    expect(records.map(({ rejection }) => rejection?.stage)).toEqual(['decode', undefined]);
  });
});

describe('the format of aggregates', () => {
  const record: fc.Arbitrary<RecordToAggregate> = fc.record(
    {
      partitionKey: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
      explicitHashKey: fc.bigInt({ min: 0n, max: HIGHEST }).map(String),
      data: fc.uint8Array({ maxLength: 300 }),
    },
    { requiredKeys: ['partitionKey', 'data'] },
  );

  it('gives back what was packed, whatever it is, for any range of the shard', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(record, { minLength: 1, maxLength: 40 }),
        fc.bigInt({ min: 0n, max: HIGHEST }),
        fc.bigInt({ min: 0n, max: HIGHEST }),
        async (given, one, other) => {
          const [starting, ending] = one < other ? [one, other] : [other, one];
          const { records } = await unpack([packed(aggregate(given))], {
            ranges: rangesOf(starting, ending),
          });
          expect(records.map(({ partitionKey }) => partitionKey)).toEqual(
            given.map((each) => each.partitionKey),
          );
          for (const [place, { partitionKey, explicitHashKey, data }] of given.entries()) {
            const hash = BigInt(
              explicitHashKey ?? `0x${createHash('md5').update(partitionKey).digest('hex')}`,
            );
            const isForeign = hash < starting || hash > ending;
            expect(records[place]?.isForeign).toBe(isForeign);
            expect(records[place]?.data).toBe(isForeign ? '' : Buffer.from(data).toString('base64'));
          }
          for (let place = 1; place < records.length; place++) {
            const [a, b] = [records[place - 1] as SourceRecord, records[place] as SourceRecord];
            expect(comparePositions(a.position, b.position)).toBeLessThan(0);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('takes whatever bytes for records or for none, and never breaks', async () => {
    const bytes = aggregate([
      { partitionKey: 'k', explicitHashKey: '5', data: Buffer.from('x') },
      { partitionKey: 'l', data: Buffer.from('y') },
    ]).subarray(4, -16);
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array({ maxLength: 60 }),
          fc
            .tuple(fc.nat(bytes.length - 1), fc.nat(255))
            .map(([at, byte]) => bytes.map((b, i) => (i === at ? byte : b))),
        ),
        async (message) => {
          const { records } = await unpack([packed(sealAggregate(message))]);
          expect(records.length).toBeGreaterThan(0);
          if (records.length > 1) expect(readAggregate(sealAggregate(message))).toHaveLength(records.length);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('hash keys', () => {
  it('are 128 bits, as text in the order of their numbers', () => {
    expect(hashKeyDigits('0')).toBe('0'.repeat(32));
    expect(hashKeyDigits(HIGHEST.toString())).toBe('f'.repeat(32));
    expect(WHOLE).toEqual({ starting: '0'.repeat(32), ending: 'f'.repeat(32) });
    for (const wrong of ['', '-1', '1.5', '0x10', ' 1', (HIGHEST + 1n).toString(), '9'.repeat(40)]) {
      expect(hashKeyDigits(wrong)).toBeUndefined();
    }
    expect(() => hashRange('0', 'much')).toThrow(/'0' to 'much' is no range of hash keys/);
  });
});

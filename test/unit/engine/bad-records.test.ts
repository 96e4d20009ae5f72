import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import * as v from 'valibot';
import { kinesis, pipeline } from '../../../shared/index.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import { sourceRecord, testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { deliver, drain, itemOf, letters, records, stateOf } from './deliver.ts';

const Reading = v.object({ key: v.string(), value: v.pipe(v.number(), v.minValue(0)) });

function summing(): TestWorld {
  return testWorld(
    pipeline('p')
      .from(kinesis('s', { schema: Reading }))
      .keyBy(({ key }) => key)
      .updateStateByKey<number>('sum', ([reading], sum = 0) => sum + (reading?.value ?? 0)),
  );
}

function bytes(number: number, data: Uint8Array): SourceRecord {
  return { ...sourceRecord(0, number, { value: '' }), data: Buffer.from(data).toString('base64') };
}

const GOOD = { key: 'a', value: 1 };

describe('a record that cannot be read', () => {
  it.each([
    ['bytes that are not UTF-8', Buffer.from([0xff, 0xfe, 0x00]), 'decode', /the 3 bytes are not UTF-8/],
    ['nothing at all', Buffer.alloc(0), 'decode', /the 0 characters are not JSON/],
    ['half a JSON text', Buffer.from('{"key":"a","val'), 'decode', /the 15 characters are not JSON/],
    ['a KPL aggregate', Buffer.from('f3899ac20a', 'hex'), 'decode', /begins like an aggregate .* is none/],
    [
      'gzip that is broken',
      gzipSync('{}').subarray(0, 12),
      'decode',
      /begins like gzip and cannot be unpacked/,
    ],
    ['a gzip bomb', gzipSync(Buffer.alloc(40 * 1024 * 1024)), 'decode', /limit 33554432 bytes/],
    ['gzip around no JSON', gzipSync('nothing'), 'decode', /the 7 characters are not JSON/],
    ['what breaks the schema', Buffer.from('{"key":"a","value":-1}'), 'schema', /^value: Invalid value/],
    ['JSON of another type', Buffer.from('null'), 'schema', /Expected Object but received null/],
    ['deep nesting', Buffer.from('['.repeat(100_000) + ']'.repeat(100_000)), 'schema', /Expected/],
  ])('becomes a dead letter, and the next ones are applied: %s', async (_, data, stage, reason) => {
    const world = summing();
    const batch = [bytes(0, Buffer.from(JSON.stringify(GOOD))), bytes(1, data), ...records([GOOD], 2)];
    const { failedFrom, report } = await deliver(world, batch);
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ records: 3, applied: 2, deadLetters: 1, duplicates: 0, unfinished: 0 });
    expect(stateOf(world, 'a', 'sum')).toBe(2);
    expect(letters(world)).toEqual([
      { stage, reason: expect.stringMatching(reason) as string, key: undefined },
    ]);
  });

  it('is stored whole, with where it came from', async () => {
    const world = summing();
    const bad = bytes(0, Buffer.from([0xff, 1, 2]));
    await drain(world, [bad]);
    const [[name, letter] = []] = [...world.letters];
    expect(name).toMatch(/^1\/no-key\/0{10}\/[\w-]{6}\/0\/\d{56}\.0-0\.decode\.json$/);
    expect(letter).toMatchObject({
      pipeline: 'p',
      generation: 1,
      stream: 'input',
      item: `1/d/${bad.lane}`,
      number: 0,
      sequenceNumber: bad.position.sequence,
      subSequenceNumber: 0,
      element: 0,
      partitionKey: 'p',
      arrivalMs: bad.arrivalMs,
      data: bad.data,
    });
  });

  it('is stored again under the same name when it is delivered again, and counts once', async () => {
    const world = summing();
    const batch = [bytes(0, Buffer.from([0xff]))];
    await deliver(world, batch);
    const { report } = await deliver(world, batch);
    expect(report).toMatchObject({ deadLetters: 0, duplicates: 1 });
    expect(world.letters.size).toBe(1);
  });

  it('does not stop the process with ten thousand of its kind in one batch', async () => {
    const world = summing();
    const batch = Array.from({ length: 10_000 }, (_, number) => bytes(number, Buffer.from([0xff])));
    const { failedFrom, report } = await deliver(world, batch);
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ records: 10_000, deadLetters: 10_000, applied: 0 });
    expect(world.letters.size).toBe(10_000);
  });
});

describe('a record that is gzipped', () => {
  it('is unpacked where it is JSON or text, and left alone where it is bytes', async () => {
    const packed = gzipSync(JSON.stringify(GOOD));
    const world = summing();
    await drain(world, [bytes(0, packed)]);
    expect(stateOf(world, 'a', 'sum')).toBe(1);

    const text = testWorld(
      pipeline('p')
        .from(kinesis('s', { codec: 'text' }))
        .keyBy((line) => line),
    );
    await drain(text, [bytes(0, gzipSync('line'))]);
    expect(itemOf(text, 'line')).toBeDefined();

    const raw = testWorld(
      pipeline('p')
        .from(kinesis('s', { codec: 'bytes' }))
        .keyBy(() => 'k')
        .updateStateByKey<Uint8Array>('last', ([data]) => data),
    );
    await drain(raw, [bytes(0, packed)]);
    expect(stateOf(raw, 'k', 'last')).toEqual(new Uint8Array(packed));
  });
});

describe('a schema', () => {
  const handMade: StandardSchemaV1<unknown, { id: string }> = {
    '~standard': {
      version: 1,
      vendor: 'by-hand',
      validate: (value) =>
        typeof value === 'string'
          ? { value: { id: value } }
          : {
              issues: [
                { message: 'no text', path: ['a', { key: 1 }] },
                ...Array.from({ length: 4 }, () => ({ message: 'and more' })),
              ],
            },
    },
  };

  it('of any vendor transforms what it accepts, and its complaints are told in short', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis('s', { schema: handMade }))
        .keyBy(({ id }) => id),
    );
    await drain(world, records(['"x"', 5]));
    expect(itemOf(world, 'x')).toBeDefined();
    expect(letters(world)[0]?.reason).toBe('a.1: no text; and more; and more; and 2 more');
  });

  it('that throws rejects the record', async () => {
    const schema: StandardSchemaV1<unknown, string> = {
      '~standard': {
        version: 1,
        vendor: 'throws',
        validate: () => {
          throw new Error('broken schema');
        },
      },
    };
    const world = testWorld(
      pipeline('p')
        .from(kinesis('s', { schema }))
        .keyBy((id) => id),
    );
    await drain(world, records([1]));
    expect(letters(world)[0]).toMatchObject({ stage: 'stateless', reason: 'Error: broken schema' });
  });

  it('that is asynchronous refuses the batch, also where it fails later, and nothing is acknowledged', async () => {
    const schema: StandardSchemaV1<unknown, string> = {
      '~standard': { version: 1, vendor: 'async', validate: async () => Promise.reject(new Error('later')) },
    };
    const world = testWorld(
      pipeline('p')
        .from(kinesis('s', { schema }))
        .keyBy((id) => id),
    );
    await expect(deliver(world, records([1]))).rejects.toThrow(
      /validates asynchronously, and decoding is synchronous/,
    );
    expect(world.store.items().size).toBe(0);
    expect(world.letters.size).toBe(0);
  });
});

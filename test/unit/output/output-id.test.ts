import type { S3Client } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { deadLetterName, hashOfKey, outputId } from '../../../shared/output/output-id.ts';
import { S3DeadLetterStore } from '../../../shared/output/s3-dead-letters.ts';
import type { DeadLetter } from '../../../shared/output/dead-letter-store.ts';
import type { DeadLetterEntry } from '../../../shared/state/state-item.ts';
import { delivery } from './deliveries.ts';

const LETTER: DeadLetterEntry = {
  kind: 'deadLetter',
  lane: 'stream/0',
  position: { sequence: '100', sub: 0 },
  element: 0,
  stage: 'fold',
  reason: 'no',
};

describe('an output’s id', () => {
  it('is the same with and without parallelization (I4)', () => {
    const { entry } = delivery();
    expect(outputId('p', { ...entry, lane: 'stream/0#hash' })).toBe(outputId('p', entry));
  });

  it('tells apart pipeline, shard, record, sub-record, element, sink and index', () => {
    const { entry } = delivery();
    const others = [
      outputId('p', entry),
      outputId('q', entry),
      outputId('p', { ...entry, lane: 'stream/1' }),
      outputId('p', { ...entry, position: { sequence: '101', sub: 0 } }),
      outputId('p', { ...entry, position: { sequence: '100', sub: 1 } }),
      outputId('p', { ...entry, element: 1 }),
      outputId('p', { ...entry, sink: 'other' }),
      outputId('p', { ...entry, index: 1 }),
    ];
    expect(new Set(others).size).toBe(others.length);
  });
});

describe('a dead letter’s name', () => {
  it('sorts by position, and holds no key as it is', () => {
    const names = ['99', '100', '1000'].map((sequence) =>
      deadLetterName(1, '../secret', { ...LETTER, position: { sequence, sub: 0 } }),
    );
    expect(names.toSorted()).toEqual(names);
    expect(names.join()).not.toContain('secret');
    expect(names[0]).toContain(hashOfKey('../secret'));
  });

  it('tells generations, elements and keys apart', () => {
    const names = [
      deadLetterName(1, 'a', LETTER),
      deadLetterName(2, 'a', LETTER),
      deadLetterName(1, 'b', LETTER),
      deadLetterName(1, undefined, LETTER),
      deadLetterName(1, 'a', { ...LETTER, element: 1 }),
    ];
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('a bucket for dead letters', () => {
  const letter = { pipeline: 'flights', data: 'e30=' } as DeadLetter;

  it('holds each as one JSON object in the pipeline’s own folder', async () => {
    const sent: unknown[] = [];
    const client = { send: async ({ input }: { input: unknown }) => void sent.push(input) };
    await new S3DeadLetterStore(client as unknown as S3Client, 'bucket').put('1/x.json', letter);
    expect(sent).toEqual([
      {
        Bucket: 'bucket',
        Key: 'dead-letters/flights/1/x.json',
        Body: JSON.stringify(letter),
        ContentType: 'application/json',
      },
    ]);
  });

  it('throws where the bucket denies', async () => {
    const client = { send: async () => Promise.reject(new Error('AccessDenied')) };
    await expect(
      new S3DeadLetterStore(client as unknown as S3Client, 'bucket').put('x', letter),
    ).rejects.toThrow('AccessDenied');
  });
});

import { describe, expect, it } from 'vitest';
import { readBatchResponse } from '../../../shared/mapping/batch-response.ts';
import { record, recordsBetween, sequence } from './example-settings.ts';

const BATCH = recordsBetween(1, 5);

function failures(...identifiers: unknown[]) {
  return { batchItemFailures: identifiers.map((itemIdentifier) => ({ itemIdentifier })) };
}

describe('the response of a function that reports batch item failures', () => {
  it.each([
    ['nothing', undefined],
    ['null', null],
    ['an empty text', ''],
    ['an empty list', []],
    ['an empty object', {}],
    ['an object of something else', { statusCode: 200 }],
    ['an empty list of failures', { batchItemFailures: [] }],
    ['null for the failures', { batchItemFailures: null }],
  ])('means success where it is %s', (_, payload) => {
    expect(readBatchResponse(payload, BATCH)).toEqual({ kind: 'succeeded' });
  });

  it.each([
    ['a text', 'done'],
    ['a number', 1],
    ['a list', [1]],
    ['failures that are no list', { batchItemFailures: 'all' }],
    ['an empty identifier', failures('')],
    ['a null identifier', failures(null)],
    ['a number as identifier', failures(3)],
    ['an identifier that is not in the batch', failures(sequence(9))],
    ['a good and a bad identifier', failures(sequence(2), '')],
    ['a misspelt identifier', { batchItemFailures: [{ itemidentifier: sequence(2) }] }],
    ['a failure that is no object', { batchItemFailures: [null] }],
    ['the bare sequence number', { batchItemFailures: [sequence(2)] }],
  ])('fails the whole batch where it holds %s', (_, payload) => {
    expect(readBatchResponse(payload, BATCH)).toMatchObject({ kind: 'failed' });
  });

  it('fails from the lowest sequence number named', () => {
    expect(readBatchResponse(failures(sequence(4), sequence(2), sequence(5)), BATCH)).toEqual({
      kind: 'failedFrom',
      index: 1,
    });
  });

  it('compares sequence numbers as integers', () => {
    const batch = [record(1, { sequenceNumber: '9' }), record(1, { sequenceNumber: '10' })];
    expect(readBatchResponse(failures('10', '9'), batch)).toEqual({ kind: 'failedFrom', index: 0 });
  });
});

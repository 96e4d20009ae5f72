import { describe, expect, it } from 'vitest';
import { compileFilterCriteria } from '../../../shared/mapping/record-filter.ts';
import { record } from './example-settings.ts';

function matches(pattern: unknown, data: unknown, partitionKey = 'FRA-1'): boolean {
  const filter = compileFilterCriteria({ Filters: [{ Pattern: JSON.stringify(pattern) }] });
  if (filter === undefined) throw new Error('The criteria hold a filter.');
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  return filter.matches(record(1, { data: Buffer.from(text), partitionKey }));
}

describe('filter criteria', () => {
  it.each([
    ['equality', { data: { origin: ['FRA', 'JFK'] } }, { origin: 'JFK' }, true],
    ['equality of another type', { data: { delay: ['5'] } }, { delay: 5 }, false],
    ['null', { data: { delay: [null] } }, { delay: null }, true],
    ['an element of a list', { data: { tags: ['late'] } }, { tags: ['early', 'late'] }, true],
    ['a nested field', { data: { a: { b: [true] } } }, { a: { b: true } }, true],
    ['a field of one of several objects', { data: { a: { b: [1] } } }, { a: [{ b: 2 }, { b: 1 }] }, true],
    ['all fields together', { data: { a: [1], b: [2] } }, { a: 1, b: 3 }, false],
    ['prefix', { data: { origin: [{ prefix: 'F' }] } }, { origin: 'FRA' }, true],
    ['prefix of a number', { data: { delay: [{ prefix: '1' }] } }, { delay: 12 }, false],
    ['suffix', { data: { origin: [{ suffix: 'A' }] } }, { origin: 'FRA' }, true],
    [
      'equality whatever the case',
      { data: { origin: [{ 'equals-ignore-case': 'fra' }] } },
      { origin: 'FRA' },
      true,
    ],
    ['numeric inside', { data: { delay: [{ numeric: ['>', 0, '<=', 10] }] } }, { delay: 10 }, true],
    ['numeric outside', { data: { delay: [{ numeric: ['>', 0, '<=', 10] }] } }, { delay: 0 }, false],
    ['numeric of a text', { data: { delay: [{ numeric: ['=', 1] }] } }, { delay: '1' }, false],
    ['exists', { data: { delay: [{ exists: true }] } }, { delay: null }, true],
    ['exists, absent', { data: { delay: [{ exists: true }] } }, {}, false],
    ['exists not', { data: { delay: [{ exists: false }] } }, {}, true],
    ['exists not, present', { data: { delay: [{ exists: false }] } }, { delay: 1 }, false],
    ['anything but', { data: { origin: [{ 'anything-but': ['FRA'] }] } }, { origin: 'JFK' }, true],
    ['anything but, named', { data: { origin: [{ 'anything-but': 'FRA' }] } }, { origin: 'FRA' }, false],
    ['anything but, absent', { data: { origin: [{ 'anything-but': ['FRA'] }] } }, {}, false],
    [
      'anything but a prefix',
      { data: { origin: [{ 'anything-but': { prefix: 'F' } }] } },
      { origin: 'JFK' },
      true,
    ],
    ['one of two alternatives', { data: { $or: [{ a: [1] }, { b: [1] }] } }, { a: 0, b: 1 }, true],
    ['none of two alternatives', { data: { $or: [{ a: [1] }, { b: [1] }] } }, { a: 0, b: 0 }, false],
    ['a key of the prototype', { data: { toString: [{ exists: true }] } }, {}, false],
    ['metadata', { partitionKey: [{ prefix: 'FRA' }] }, 'not JSON', true],
    ['metadata and data', { partitionKey: ['FRA-1'], data: { a: [1] } }, { a: 2 }, false],
    ['alternatives of both', { $or: [{ partitionKey: ['x'] }, { data: { a: [1] } }] }, { a: 1 }, true],
    ['a pattern of fields on data that is not JSON', { data: { a: [{ exists: false }] } }, 'plain', false],
    ['a pattern of fields on a JSON number', { data: { a: [{ exists: false }] } }, '5', false],
    ['a list of texts on plain text', { data: ['plain'] }, 'plain', true],
    ['a list of texts on JSON', { data: [{ exists: true }] }, { a: 1 }, false],
  ])('decides by %s', (_, pattern, data, expected) => {
    expect(matches(pattern, data)).toBe(expected);
  });

  it('passes what one of several filters matches', () => {
    const filter = compileFilterCriteria({
      Filters: [{ Pattern: '{"partitionKey":["x"]}' }, { Pattern: '{"partitionKey":["y"]}' }],
    });
    expect(['x', 'y', 'z'].map((partitionKey) => filter?.matches(record(1, { partitionKey })))).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('reads data that is base64 text, and none that is not UTF-8', () => {
    const filter = compileFilterCriteria({ Filters: [{ Pattern: '{"data":{"a":[1]}}' }] });
    expect(filter?.matches(record(1, { data: Buffer.from('{"a":1}').toString('base64') }))).toBe(true);
    expect(filter?.matches(record(1, { data: new Uint8Array([0xff, 0xfe]) }))).toBe(false);
  });

  it('is absent where there is nothing to filter', () => {
    expect(compileFilterCriteria(undefined)).toBeUndefined();
    expect(compileFilterCriteria({ Filters: [] })).toBeUndefined();
  });

  it.each([
    [{ data: { a: [{ wildcard: 'x*' }] } }, /wildcard.*allowed: prefix/],
    [{ data: { a: [{ prefix: 1 }] } }, /a text behind "prefix"/],
    [{ data: { a: [{ numeric: ['>'] }] } }, /comparisons/],
    [{ data: { a: [] } }, /at least one rule/],
    [{ data: { a: 1 } }, /a list of rules or an object/],
    [{ origin: ['FRA'] }, /at the top of a pattern/],
    [{ $or: [{ origin: ['FRA'] }] }, /at the top of a pattern/],
    [{ data: { a: [{ exists: 'yes' }] } }, /true or false/],
  ])('refuse %j', (pattern, message) => {
    expect(() => compileFilterCriteria({ Filters: [{ Pattern: JSON.stringify(pattern) }] })).toThrow(message);
  });
});

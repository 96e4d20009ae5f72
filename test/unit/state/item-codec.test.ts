import { describe, expect, it } from 'vitest';
import { rowBytes } from '../../../shared/state/attribute-bytes.ts';
import { decodeItem, encodeItem, itemBytes } from '../../../shared/state/item-codec.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';

const POSITION = { sequence: '49590338271490256608559692538361571095921575989136588898', sub: 0 };
const ITEM: StateItem = {
  pk: '1/s/ORD',
  revision: 1_700_000_000,
  marks: new Map([['shardId-000000000000', { position: POSITION, arrivalSeconds: 1_700_000_000 }]]),
  states: new Map([['delays', { count: 1 }]]),
  versions: new Map([['delays', 1]]),
  outbox: [],
};

describe('the row of an item', () => {
  it('is readable, compact, and leaves out what it can', () => {
    expect(encodeItem(ITEM)).toEqual({
      pk: { S: '1/s/ORD' },
      r: { N: '1700000000' },
      m: { M: { 'shardId-000000000000': { S: expect.stringMatching(/^[-\w]{32}@s44we8$/) as string } } },
      s: { M: { delays: { M: { count: { N: '1' } } } } },
    });
  });

  it('has marks of at most 80 bytes, also where they are kept by provenance', () => {
    const longest = {
      position: { sequence: '9'.repeat(56), sub: 4_000, element: 99_999, index: 9_999 },
      arrivalSeconds: 4_102_444_800,
    };
    const plain = { ...ITEM, marks: new Map() };
    const marked = { ...ITEM, marks: new Map([['x'.repeat(16), longest]]) };
    expect(itemBytes(marked) - itemBytes(plain)).toBeLessThanOrEqual(80);
  });

  it('is small enough that a key with a small state and one pending change costs one write unit', () => {
    const written: StateItem = {
      ...ITEM,
      outbox: [
        {
          kind: 'output',
          lane: 'shardId-000000000000',
          position: POSITION,
          element: 0,
          sink: 'airport-delays',
          index: 0,
          destinationKey: 'ORD',
          revision: ITEM.revision,
          isChange: true,
          arrivalMs: 1_700_000_000_123,
          value: { stateOf: 'delays' },
        },
      ],
    };
    expect(itemBytes(written)).toBeLessThan(300);
    expect(itemBytes(written)).toBe(rowBytes(encodeItem(written)));
  });

  it('stores no value of an output whose value is the state', () => {
    const row = encodeItem({
      ...ITEM,
      outbox: [
        {
          kind: 'output',
          lane: 'l',
          position: POSITION,
          element: 0,
          sink: 's',
          index: 0,
          destinationKey: 'k',
          revision: ITEM.revision,
          isChange: true,
          arrivalMs: 5,
          value: { stateOf: 'delays' },
        },
      ],
    });
    expect(Object.keys(row['o']?.L?.[0]?.M ?? {}).sort()).toEqual(['a', 'c', 'd', 'f', 'l', 'p', 's']);
  });

  it('counts its bytes by the rules', () => {
    const tombstone: StateItem = {
      ...ITEM,
      marks: new Map(),
      states: new Map(),
      versions: new Map(),
      expiresAtSeconds: 123,
    };
    // pk and its value, r and 10 digits of which 8 end in zeros, an empty map, x and 3 digits.
    expect(itemBytes(tombstone)).toBe(2 + 7 + (1 + 2) + (1 + 3) + (1 + 3));
  });

  it('reads operators and lanes in the order of their names', () => {
    const row = encodeItem(ITEM);
    const states = { b: { N: '1' }, a: { N: '2' } };
    const marks = { z: { S: '-@0' }, y: { S: '-@0' } };
    const item = decodeItem({ ...row, s: { M: states }, m: { M: marks } });
    expect([...item.states.keys(), ...item.marks.keys(), ...item.versions.keys()]).toEqual([
      'a',
      'b',
      'y',
      'z',
      'a',
      'b',
    ]);
  });

  it('gives version 1 to an operator whose version was not stored', () => {
    const item = decodeItem(encodeItem({ ...ITEM, versions: new Map() }));
    expect(item.versions).toEqual(new Map([['delays', 1]]));
  });

  it('is refused where it is not that of a state item', () => {
    expect(() => decodeItem({ pk: { S: 'c' }, g: { N: '1' } })).toThrow(/Row "c" lacks the attribute "r"/);
    expect(() => decodeItem({ pk: { S: 'x' }, r: { N: '1' }, m: { M: { a: { S: 'no mark' } } } })).toThrow(
      /not a mark/,
    );
    expect(() => decodeItem({ pk: { S: 'x' }, r: { N: '1' }, s: { M: { a: { SS: ['x'] } } } })).toThrow(
      /type SS/,
    );
  });
});

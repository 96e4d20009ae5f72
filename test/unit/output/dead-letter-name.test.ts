import { describe, expect, it } from 'vitest';
import {
  deadLetterName,
  deadLetterNamesOf,
  readDeadLetterName,
} from '../../../shared/output/dead-letter-name.ts';
import { hashOfKey } from '../../../shared/output/output-id.ts';
import type { DeadLetterEntry } from '../../../shared/state/state-item.ts';

const LETTER: DeadLetterEntry = {
  kind: 'deadLetter',
  lane: 'x3Fa_q/0#hash',
  position: { sequence: '100', sub: 0 },
  number: 0,
  element: 0,
  stage: 'fold',
  reason: 'no',
};

describe('a dead letter’s name', () => {
  it('sorts the letters of a key by their numbers, and holds no key as it is', () => {
    const names = [9, 10, 100].map((number) => deadLetterName(1, '../secret', { ...LETTER, number }));
    expect(names.toSorted()).toEqual(names);
    expect(names.join()).not.toContain('secret');
    for (const name of names)
      expect(name.startsWith(deadLetterNamesOf(1, hashOfKey('../secret')))).toBe(true);
  });

  it('tells generations, keys, numbers, shards, positions and elements and stages apart', () => {
    const names = [
      deadLetterName(1, 'a', LETTER),
      deadLetterName(2, 'a', LETTER),
      deadLetterName(1, 'b', LETTER),
      deadLetterName(1, undefined, LETTER),
      deadLetterName(1, 'a', { ...LETTER, number: 1 }),
      deadLetterName(1, 'a', { ...LETTER, lane: 'x3Fa_q/1' }),
      deadLetterName(1, 'a', { ...LETTER, position: { sequence: '101', sub: 0 } }),
      deadLetterName(1, 'a', { ...LETTER, position: { sequence: '100', sub: 1 } }),
      deadLetterName(1, 'a', { ...LETTER, element: 1 }),
      deadLetterName(1, 'a', { ...LETTER, stage: 'parked' }),
    ];
    expect(new Set(names).size).toBe(names.length);
  });

  it('is that of the record, whichever way it came to be rejected', () => {
    const { lane, position } = LETTER;
    const again = {
      ...LETTER,
      lane: 'redrive/x.0',
      position: { sequence: '7', sub: 0 },
      origin: { lane, position },
    };
    expect(deadLetterName(1, 'a', again)).toBe(deadLetterName(1, 'a', LETTER));
  });

  it.each(['a', undefined])('can be read, of the key %j', (key) => {
    const entry = { ...LETTER, number: 12, position: { sequence: '1'.repeat(56), sub: 3 }, element: 4 };
    expect(readDeadLetterName(deadLetterName(7, key, entry))).toEqual({
      generation: 7,
      ...(key !== undefined && { keyHash: hashOfKey(key) }),
      number: 12,
      shard: 'x3Fa_q/0',
      position: entry.position,
      element: 4,
      stage: 'fold',
    });
  });

  it.each(['', '1/x.json', '../1/a/0/b/c/1.0-0.json', '1/a/0/x/0/1.0-0.json.gz'])('is not %j', (name) => {
    expect(readDeadLetterName(name)).toBeUndefined();
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeptLines } from '../../../shared/checkpoint/kept-lines.ts';
import { LINE_HASH_BYTES, LinePool } from '../../../shared/checkpoint/line-pool.ts';

/** Few values for the first word: many lines want one slot, the last of all among them. */
const hash = fc
  .tuple(fc.constantFrom(0, 1, 0x7fffffff, 0xfffffffe, 0xffffffff), fc.nat(3), fc.nat(3))
  .map((words) => {
    const bytes = Buffer.alloc(32, 9);
    for (const [place, word] of words.entries()) bytes.writeUInt32LE(word, place * 4);
    return bytes;
  });

describe('LinePool', () => {
  it('finds the number of every line that it has, whatever slots they want, and of no other', () => {
    fc.assert(
      fc.property(fc.array(fc.array(hash, { maxLength: 20 }), { maxLength: 4 }), hash, (parts, other) => {
        const pool = new LinePool(parts.flat().length);
        const numbers = new Map<string, number[]>();
        let first = 0;
        for (const lines of parts) {
          pool.addPart(first, Buffer.concat(lines.map((each) => each.subarray(0, LINE_HASH_BYTES))));
          for (const each of lines) {
            const text = each.toString('hex');
            numbers.set(text, [...(numbers.get(text) ?? []), first++]);
          }
        }
        for (const each of parts.flat()) expect(numbers.get(each.toString('hex'))).toContain(pool.find(each));
        if (!numbers.has(other.toString('hex'))) expect(pool.find(other)).toBeUndefined();
      }),
    );
  });

  it('finds nothing of a part that was left out, and the others under their numbers', () => {
    const pool = new LinePool(5);
    const line = Buffer.alloc(32, 1);
    pool.addPart(3, line.subarray(0, LINE_HASH_BYTES));
    expect(pool.find(line)).toBe(3);
    expect(pool.find(Buffer.alloc(32, 0))).toBeUndefined();
    expect(new LinePool(0).find(line)).toBeUndefined();
  });
});

describe('KeptLines', () => {
  it('keep what was added, in whatever pieces it was packed', () => {
    const lines = fc.uniqueArray(fc.nat(99));
    fc.assert(
      fc.property(lines, lines, (some, more) => {
        const [one, two, both] = [new KeptLines(100), new KeptLines(100), new KeptLines(100)];
        for (const line of some) one.add(line);
        for (const line of more) two.add(line);
        both.mergePacked(one.pack().packed);
        both.merge(two);
        const expected = new Set([...some, ...more]);
        expect(both.count).toBe(expected.size);
        for (let line = 0; line < 100; line++) expect(both.has(line)).toBe(expected.has(line));
        expect(both.countOf(20, 30)).toBe([...expected].filter((line) => line >= 20 && line < 50).length);
      }),
    );
  });

  it('of another number of lines are refused', () => {
    const { packed } = new KeptLines(17).pack();
    expect(() => new KeptLines(16).mergePacked(packed)).toThrow();
    expect(() => new KeptLines(25).mergePacked(packed)).toThrow('It tells of 24 lines');
  });
});

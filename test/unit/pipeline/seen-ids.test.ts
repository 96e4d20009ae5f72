import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSeenIds, SEEN_ID_BYTES, withNewId } from '../../../shared/pipeline/seen-ids.ts';

const EMPTY = new Uint8Array(0);
const NOON_MS = 1_800_000_000_000;

/** Ids kept, of those that come at these seconds. */
function kept(
  arrivals: readonly (readonly [string, number])[],
  withinSeconds: number,
  limit = 100,
): string[] {
  let seen: Uint8Array = EMPTY;
  return arrivals.flatMap(([id, second]) => {
    const next = withNewId(seen, id, NOON_MS + second * 1_000, withinSeconds, limit);
    if (next === undefined) return [];
    seen = next;
    return [`${id}${second}`];
  });
}

describe('ids that were seen', () => {
  it.each([
    [
      'are known until the time has passed since the one that was kept',
      [
        ['a', 0],
        ['a', 59],
        ['a', 60],
        ['a', 119],
      ],
      ['a0', 'a60'],
    ],
    [
      'are not renewed by a duplicate',
      [
        ['a', 0],
        ['a', 40],
        ['a', 80],
      ],
      ['a0', 'a80'],
    ],
    [
      'are known to a record that arrived before the one that was kept',
      [
        ['a', 30],
        ['a', 0],
      ],
      ['a30'],
    ],
    [
      'are remembered for the whole time where their record arrived long before one that came earlier',
      [
        ['b', 100],
        ['a', 0],
        ['a', 1],
        ['c', 159],
        ['a', 2],
        ['d', 160],
        ['a', 3],
      ],
      ['b100', 'a0', 'c159', 'd160', 'a3'],
    ],
    [
      'go each in its own time',
      [
        ['a', 0],
        ['b', 50],
        ['a', 60],
        ['b', 61],
      ],
      ['a0', 'b50', 'a60'],
    ],
  ] as const)('%s', (_, arrivals, expected) => {
    expect(kept(arrivals, 60)).toEqual(expected);
  });

  it('beyond the limit are forgotten, the oldest first', () => {
    const arrivals = [
      ['a', 0],
      ['b', 1],
      ['c', 2],
      ['b', 3],
      ['a', 4],
      ['c', 5],
      ['b', 6],
    ] as const;
    expect(kept(arrivals, 60, 2)).toEqual(['a0', 'b1', 'c2', 'a4', 'b6']);
  });

  it('are told apart by one, where only one is remembered', () => {
    expect(
      kept(
        [
          ['a', 0],
          ['a', 1],
          ['b', 2],
          ['a', 3],
        ],
        60,
        1,
      ),
    ).toEqual(['a0', 'b2', 'a3']);
  });

  it('take 14 bytes each, and nothing once they are forgotten', () => {
    let seen: Uint8Array = EMPTY;
    for (let n = 0; n < 1_000; n++)
      seen = withNewId(seen, `order-${n}`, NOON_MS + n, 60, 5_000) as Uint8Array;
    expect(seen).toHaveLength(14_000);
    expect(withNewId(seen, 'x', NOON_MS + 61_000, 60, 5_000)).toHaveLength(SEEN_ID_BYTES);
  });

  it('leave what they are given as it was', () => {
    const seen = withNewId(EMPTY, 'a', NOON_MS, 60, 5) as Uint8Array;
    const copy = new Uint8Array(seen);
    withNewId(seen, 'b', NOON_MS, 60, 5);
    withNewId(seen, 'c', NOON_MS + 3_600_000, 60, 5);
    expect(seen).toEqual(copy);
  });

  it('are read from a view into larger memory', () => {
    const seen = withNewId(EMPTY, 'a', NOON_MS, 60, 5) as Uint8Array;
    const larger = new Uint8Array(100);
    larger.set(seen, 7);
    const view = larger.subarray(7, 7 + seen.length);
    expect(withNewId(view, 'a', NOON_MS, 60, 5)).toBeUndefined();
    expect(withNewId(view, 'b', NOON_MS, 60, 5)).toEqual(withNewId(seen, 'b', NOON_MS, 60, 5));
  });

  it.each([
    [EMPTY, true],
    [new Uint8Array(28), true],
    [new Uint8Array(13), false],
    ['text', false],
    [{ count: 1 }, false],
  ])('are told from other states: %j', (state, expected) => {
    expect(isSeenIds(state)).toBe(expected);
  });

  it('are what a list of ids and times would tell, for any arrivals', () => {
    const arrival = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.integer({ min: 0, max: 200 }));
    fc.assert(
      fc.property(
        fc.array(arrival),
        fc.integer({ min: 1, max: 80 }),
        fc.integer({ min: 1, max: 4 }),
        (arrivals, within, limit) => {
          let list: { id: string; at: number }[] = [];
          const expected: string[] = [];
          for (const [id, second] of arrivals) {
            const now = Math.max(second, ...list.map(({ at }) => at));
            const fresh = list.filter(({ at }) => now - at < within);
            if (fresh.some((each) => each.id === id)) continue;
            list = [...fresh, { id, at: now }].slice(-limit);
            expected.push(`${id}${second}`);
          }
          expect(kept(arrivals, within, limit)).toEqual(expected);
        },
      ),
    );
  });
});

import { describe, expect, it } from 'vitest';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';

const MARK = { position: { sequence: '1', sub: 0 }, arrivalSeconds: 1 };

function item(pk: string, lanes = 1): StateItem {
  return {
    pk,
    revision: 1,
    marks: new Map(Array.from({ length: lanes }, (_, lane) => [`lane ${lane}`, MARK])),
    states: new Map(),
    versions: new Map(),
    outbox: [],
  };
}

function kept(cache: ItemCache, count: number): number[] {
  return Array.from({ length: count }, (_, n) => n).filter((n) => cache.get('s', `${n}`) !== undefined);
}

describe('the items that a container keeps', () => {
  it.each([
    ['their number', 1, 0, 25_000, 20_000],
    ['what they hold', 1, 1024 * 1024, 50, 31],
    ['their marks', 256, 0, 2_000, 649],
  ])('are limited by %s, and the oldest go first', (_, lanes, contentBytes, count, limit) => {
    const cache = new ItemCache();
    const marks = item('', lanes).marks;
    for (let n = 0; n < count; n++) cache.put('s', { ...item(`${n}`), marks }, contentBytes);
    const left = kept(cache, count);
    expect(left.length).toBe(limit);
    expect(left[0]).toBe(count - limit);
  });

  it('are forgotten where one was written beside the batches, in whichever shards they are', () => {
    const cache = new ItemCache();
    cache.put('s', item('0'), 0);
    cache.put('s', item('1'), 0);
    cache.put('t', item('0'), 0);
    cache.forget('0');
    expect(kept(cache, 2)).toEqual([1]);
    expect(cache.get('t', '0')).toBeUndefined();
  });

  it('count once where they are put again', () => {
    const cache = new ItemCache();
    for (let n = 0; n < 100; n++) cache.put('s', item('0'), 1024 * 1024);
    cache.put('s', item('1'), 1024 * 1024);
    expect(kept(cache, 2)).toEqual([0, 1]);
  });

  it('are gone once they are deleted, and leave their room to others', () => {
    const cache = new ItemCache();
    cache.put('s', item('0'), 31 * 1024 * 1024);
    cache.delete('s', '0');
    cache.delete('s', '0');
    for (let n = 1; n < 30; n++) cache.put('s', item(`${n}`), 1024 * 1024);
    expect(kept(cache, 30)).toHaveLength(29);
  });
});

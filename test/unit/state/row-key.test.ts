import { describe, expect, it } from 'vitest';
import { itemKey, progressKey, rowKeyProblem, shardItemKey } from '../../../shared/state/row-key.ts';

describe('row keys', () => {
  it('keep generations and kinds of row apart', () => {
    expect([itemKey(3, 'ORD'), shardItemKey(3, 'shard'), progressKey(3, 'shard')]).toEqual([
      '3/s/ORD',
      '3/d/shard',
      '3/p/shard',
    ]);
  });

  it('are refused where DynamoDB cannot take them, with the reason', () => {
    expect(rowKeyProblem(itemKey(1, '\udfff'))).toMatch(/lone surrogate/);
    expect(rowKeyProblem(itemKey(1, 'é'.repeat(1023)))).toMatch(/has 2050 bytes/);
    expect(rowKeyProblem('')).toMatch(/empty/);
  });

  it('are taken up to 2,048 bytes, empty keys and pairs of surrogates included', () => {
    for (const key of ['', '😀', 'x'.repeat(2044)]) expect(rowKeyProblem(itemKey(1, key))).toBeUndefined();
  });
});

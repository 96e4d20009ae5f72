import { describe, expect, it } from 'vitest';
import { partitionLane, shardLane, shardOfLane } from '../../../shared/source/lane.ts';

describe('a lane', () => {
  it('is short, and tells streams and shards apart', () => {
    const lane = shardLane('flights', 'shardId-000000000006');
    expect(lane).toMatch(/^[\w-]{6}\/6$/);
    expect(shardLane('flights', 'shardId-000000000060')).not.toBe(lane);
    expect(shardLane('trains', 'shardId-000000000006')).not.toBe(lane);
    expect(shardLane('flights', 'shardId-000000000000')).toMatch(/\/0$/);
  });

  it('keeps the id of a shard that is named in another way', () => {
    expect(shardLane('flights', 'shard-a')).toMatch(/\/shard-a$/);
  });

  it('of a partition key belongs to its shard', () => {
    const shard = shardLane('flights', 'shardId-000000000006');
    for (const key of ['', 'a#b', '__proto__', 'x'.repeat(256), '\ud800']) {
      const lane = partitionLane(shard, key);
      expect(lane.length).toBe(shard.length + 12);
      expect(shardOfLane(lane)).toBe(shard);
    }
    expect(partitionLane(shard, 'a')).not.toBe(partitionLane(shard, 'b'));
    expect(shardOfLane(shard)).toBe(shard);
  });
});

import { describe, expect, it } from 'vitest';
import { countBatch } from '../../../infra/cost/counted-batch.ts';

describe('a counted batch', () => {
  it('writes each of its keys once, and the attempt and the progress of its shard', async () => {
    const counted = await countBatch({ records: 500, keys: 10, stateBytes: 200 });

    expect(counted).toMatchObject({
      records: 500,
      keys: 10,
      writes: 12,
      wcu: 12,
      // One for the attempt, one for all keys, one for the progress.
      writeRequests: 3,
      published: 10,
      sinkRequests: 1,
      // Attempt, reads, writes, outputs, progress.
      rounds: 5,
    });
  });

  it('reads each of its keys, since it finds none in memory', async () => {
    const few = await countBatch({ records: 500, keys: 10, stateBytes: 200 });
    const many = await countBatch({ records: 500, keys: 20, stateBytes: 200 });

    expect(many.reads - few.reads).toBe(10);
    expect(many.rcu - few.rcu).toBe(10);
  });

  it('pays for each kilobyte of what it writes', async () => {
    const small = await countBatch({ records: 100, keys: 10, stateBytes: 100 });
    const large = await countBatch({ records: 100, keys: 10, stateBytes: 3 * 1_024 });

    expect(large.itemBytes - small.itemBytes).toBeGreaterThan(2_900);
    expect(small.wcu).toBe(12);
    // An item of 3 KB and what is beside its state: 4 units each.
    expect(large.wcu).toBe(42);
  });

  it('has as many different keys as evenly drawn records have', async () => {
    const { keys, recordsOfOneKey } = await countBatch({ records: 500, keys: 500, stateBytes: 100 });

    // 500 · (1 − 1/e)
    expect(keys).toBeGreaterThan(300);
    expect(keys).toBeLessThan(330);
    expect(recordsOfOneKey).toBeGreaterThan(3);
  });

  it('is the same each time', async () => {
    const shape = { records: 50, keys: 40, stateBytes: 100 };
    expect(await countBatch(shape)).toEqual(await countBatch(shape));
  });
});

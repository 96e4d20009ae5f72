import { describe, expect, it } from 'vitest';
import {
  begunMs,
  checkpointId,
  isCheckpointId,
  savepointNameProblem,
} from '../../../shared/checkpoint/checkpoint-id.ts';

describe('the id of a checkpoint', () => {
  it('sorts by time and tells it', () => {
    const times = [0, 1_800_000_000_000, 1_800_000_000_001, 4_000_000_000_999];
    const ids = times.map((time) => checkpointId(time, '4f09ab'));
    expect(ids[1]).toBe('2027-01-15T08-00-00-000Z-4f09ab');
    expect(ids.toSorted()).toEqual(ids);
    expect(ids.map(begunMs)).toEqual(times);
    expect(begunMs('x')).toBeNaN();
    expect(() => checkpointId(0, '../x')).toThrow(RangeError);
  });

  it('cannot be taken for the name of a savepoint', () => {
    const id = checkpointId(0, 'a');
    expect(isCheckpointId(id)).toBe(true);
    expect(isCheckpointId('before-deploy')).toBe(false);
    expect(savepointNameProblem('before-deploy_2.1')).toBeUndefined();
    for (const name of [id, 'latest', '', 'a/b', '.hidden', 'ä', 'x'.repeat(65)]) {
      expect(savepointNameProblem(name)).toContain('cannot be called');
    }
  });
});

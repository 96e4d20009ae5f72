import { expect, it } from 'vitest';
import { checkpointLine, itemOfLine, lineBefore } from '../../../shared/checkpoint/checkpoint-line.ts';
import { shardItemKey } from '../../../shared/state/row-key.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';

it('lists whose letters an item has, and does not say up to where all was settled when it was read', () => {
  const position = { sequence: '7', sub: 0 };
  const item: StateItem = {
    pk: shardItemKey(1, 'tag/0'),
    revision: 1_800_000_000_000,
    marks: new Map([['tag/0', { position, arrivalSeconds: 1 }]]),
    states: new Map(),
    versions: new Map(),
    outbox: [],
    letters: { next: 2, closed: [] },
    rejected: [{ position: { sequence: '9', sub: 1 }, elements: [0, 2] }],
    settled: position,
  };
  const restored = itemOfLine(checkpointLine(item), 1, 2);
  expect(restored.rejected).toEqual(item.rejected);
  expect(restored.marks).toEqual(item.marks);
  expect(restored.settled).toBeUndefined();
  expect(lineBefore(restored, 1)).toBe(checkpointLine(item));
});

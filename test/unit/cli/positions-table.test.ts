import { expect, it } from 'vitest';
import { positionsTable } from '../../../infra/cli/positions.ts';

const SHARD = {
  stream: 'flights',
  shardId: 'shardId-000000000000',
  shard: 'x3Fa_q/0',
  parents: [],
  sequenceNumber: '7',
  arrivalMs: 0,
  records: 3,
  isKnown: true,
};

it('shows event time where a shard has one, an idle one as far as it was lifted', () => {
  expect(positionsTable([SHARD], false)).not.toContain('event time');
  const table = positionsTable(
    [
      { ...SHARD, time: { highestMs: 1_767_182_400_000 } },
      { ...SHARD, time: { highestMs: 1 }, liftedMs: 1_767_182_400_001 },
      SHARD,
    ],
    false,
  );
  expect(table).toContain('event time');
  expect(table.match(/\d{4}-\d\d-\d\dT12:00:00\.\d{3}Z/g)).toEqual([
    '2025-12-31T12:00:00.000Z',
    '2025-12-31T12:00:00.001Z',
  ]);
});

it('says what waits behind a position of now, and where that is not known', () => {
  const table = positionsTable(
    [
      { ...SHARD, behind: { records: 0, isAtLeast: false, oldestMs: 0 } },
      { ...SHARD, behind: { records: 1_000, isAtLeast: true, oldestMs: 61_250 } },
      SHARD,
    ],
    true,
  );
  const [, none, many, unknown] = table.split('\n').filter((line) => line.includes('│'));
  expect(none).toMatch(/│ 0 +│ none waits/);
  expect(many).toMatch(/│ 1,000 or more +│ 61\.3 s/);
  expect(unknown).toMatch(/│ unknown +│ unknown/);
  expect(positionsTable([SHARD], false)).not.toContain('waiting');
});

import { expect, it } from 'vitest';
import { StallWatch } from '../../infra/cli/stall-watch.ts';
import type { ShardStatus } from '../../shared/mapping/mapping-status.ts';

function shard(lastAcknowledged: string, queuedRecords: number): ShardStatus {
  return {
    shardId: 'shardId-000000000000',
    phase: 'reading',
    queuedRecords,
    inFlightRecords: 0,
    inFlightInvocations: 0,
    lastAcknowledged,
    lastRead: '9',
    millisBehindLatest: 0,
    caughtUpAtMs: 0,
  };
}

function watchOf(): { said: string[]; watch: StallWatch } {
  const said: string[] = [];
  return {
    said,
    watch: new StallWatch(
      (text) => said.push(text),
      () => 'too many marks',
    ),
  };
}

it('says that nothing moves, why, and not again at once', () => {
  const { said, watch } = watchOf();
  for (let second = 0; second <= 60; second++) watch.look([shard('5', 3)], second * 1_000);
  expect(said).toEqual([
    'For 20 s nothing was acknowledged while 3 records wait; the function last said: too many marks',
  ]);
});

it('says nothing while records are acknowledged, or none wait', () => {
  const { said, watch } = watchOf();
  for (let second = 0; second <= 60; second++) watch.look([shard(String(second), 3)], second * 1_000);
  for (let second = 61; second <= 120; second++) watch.look([shard('60', 0)], second * 1_000);
  expect(said).toEqual([]);
});

import { describe, expect, it } from 'vitest';
import { Drainage } from '../../../infra/local/drainage.ts';
import type { MappingStatus, ShardStatus } from '../../../shared/mapping/mapping-status.ts';

const IDLE: ShardStatus = {
  shardId: 'shardId-000000000000',
  phase: 'reading',
  queuedRecords: 0,
  inFlightRecords: 0,
  inFlightInvocations: 0,
  lastAcknowledged: '20',
  lastRead: '20',
  millisBehindLatest: 0,
  caughtUpAtMs: 0,
};

function status(shard: Partial<ShardStatus> = {}, listedAtMs = 0): MappingStatus {
  return {
    state: 'Enabled',
    lastProcessingResult: 'OK',
    completedBatches: 0,
    failedInvocations: 0,
    filteredRecords: 0,
    discardedRecords: 0,
    listedAtMs,
    shards: [{ ...IDLE, ...shard }],
  };
}

const SENT = new Map([[IDLE.shardId, '20']]);

describe('one mapping', () => {
  it('is drained once all that was sent is acknowledged', () => {
    expect(new Drainage().isDrained([status({ lastAcknowledged: '19' })], SENT, 0)).toBe(false);
    expect(new Drainage().isDrained([status()], SENT, 0)).toBe(true);
  });

  it.each([{ queuedRecords: 1 }, { inFlightRecords: 1 }, { millisBehindLatest: 5 }])(
    'is not drained with %o',
    (shard) => expect(new Drainage().isDrained([status(shard)], SENT, 0)).toBe(false),
  );

  it('is not drained before its shards are known', () => {
    expect(new Drainage().isDrained([{ ...status(), shards: [] }], new Map(), 0)).toBe(false);
  });
});

describe('mappings that feed each other', () => {
  const upTo = (timeMs: number): MappingStatus => status({ caughtUpAtMs: timeMs }, timeMs);

  it('are drained once each was found empty by a read that began after the one before it was drained', () => {
    const drainage = new Drainage();
    expect(drainage.isDrained([status(), upTo(99), upTo(99)], SENT, 100)).toBe(false);
    expect(drainage.isDrained([status(), upTo(100), upTo(100)], SENT, 110)).toBe(false);
    expect(drainage.isDrained([status(), upTo(101), upTo(101)], SENT, 120)).toBe(false);
    expect(drainage.isDrained([status(), upTo(101), upTo(120)], SENT, 130)).toBe(false);
    expect(drainage.isDrained([status(), upTo(101), upTo(121)], SENT, 140)).toBe(true);
  });

  it('wait again when the first one gets more', () => {
    const drainage = new Drainage();
    expect(drainage.isDrained([status(), upTo(99)], SENT, 100)).toBe(false);
    expect(drainage.isDrained([status({ inFlightRecords: 1 }), upTo(150)], SENT, 150)).toBe(false);
    expect(drainage.isDrained([status(), upTo(199)], SENT, 200)).toBe(false);
    expect(drainage.isDrained([status(), upTo(201)], SENT, 210)).toBe(true);
  });

  it('wait for shards that a split in between made', () => {
    const drainage = new Drainage();
    expect(drainage.isDrained([status(), status({ caughtUpAtMs: 150 }, 90)], SENT, 100)).toBe(false);
    expect(drainage.isDrained([status(), status({ phase: 'done' }, 90)], SENT, 160)).toBe(false);
    expect(drainage.isDrained([status(), status({ phase: 'done' }, 101)], SENT, 160)).toBe(true);
  });
});

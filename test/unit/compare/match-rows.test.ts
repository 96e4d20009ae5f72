import { describe, expect, it } from 'vitest';
import { CommonSpan } from '../../../infra/compare/common-span.ts';
import { judgeTimer, type FiredTimes } from '../../../infra/compare/lone-timers.ts';
import { matchRows, twinKeyOf } from '../../../infra/compare/match-rows.ts';
import type { SinkRow } from '../../../infra/compare/sink-rows.ts';
import { Tally } from '../../../infra/compare/tally.ts';
import { hashOfKey } from '../../../shared/output/output-id.ts';
import { encodePosition } from '../../../shared/source/position.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';

const SHARD = 'stream/0';
const ENDS = { pipelines: { old: 'old', new: 'new' }, sinks: { old: 'rows', new: 'new-rows' } };

function spanTo(sequence: number): CommonSpan {
  const at = (position: number) => [
    {
      stream: 's',
      shardId: SHARD,
      shard: SHARD,
      position: encodePosition({ sequence: String(position), sub: 0 }),
    },
  ];
  return new CommonSpan(at(10), [at(sequence), at(sequence)]);
}
const SPAN = spanTo(50);

function row(pipeline: 'old' | 'new', at: number, value: string, source = 's/k'): SinkRow {
  return { pk: 'k', id: `${pipeline}/${SHARD}/${at}/0/0/${ENDS.sinks[pipeline]}/0`, value, source };
}

function fired(pipeline: 'old' | 'new', dueMs: number, value: string, operator = 0): SinkRow {
  return {
    ...row(pipeline, 0, value),
    id: `${pipeline}/timer/${hashOfKey('k')}/${dueMs}/${operator}/0/rows/0`,
  };
}

function match(old: SinkRow | undefined, now: SinkRow | undefined, isSettled = true) {
  const tally = new Tally(10);
  const judged = matchRows(old, now, ENDS, { span: SPAN, isSettled }, tally);
  const { equal, differing, onlyOld, onlyNew, open } = tally;
  return { judged, counts: [equal, differing, onlyOld, onlyNew, open] };
}

describe('rows of a table that a sink fills', () => {
  it('are found by the other id where they stand under one', () => {
    expect(twinKeyOf(row('old', 20, '1'), 'old', ENDS)).toBe('k');
    const id = `old/${SHARD}/20/0/0/rows/0`;
    const twin = `new/${SHARD}/20/0/0/new-rows/0`;
    expect(twinKeyOf({ ...row('old', 20, '1'), pk: id, id }, 'old', ENDS)).toBe(twin);
    expect(twinKeyOf({ ...row('new', 20, '1'), pk: twin, id: twin }, 'new', ENDS)).toBe(id);
  });

  it('are compared where neither is of a record that one has not come to', () => {
    expect(match(row('old', 20, '1'), row('new', 20, '1')).counts).toEqual([1, 0, 0, 0, 0]);
    expect(match(row('old', 20, '1'), row('new', 20, '2')).counts).toEqual([0, 1, 0, 0, 0]);
    expect(match(row('old', 20, '1'), row('new', 30, '2')).counts).toEqual([0, 1, 0, 0, 0]);
    expect(match(row('old', 20, '1'), undefined).counts).toEqual([0, 0, 1, 0, 0]);
    expect(match(undefined, row('new', 20, '1')).counts).toEqual([0, 0, 0, 1, 0]);
    expect(match(row('old', 60, '1'), row('new', 20, '2'))).toEqual({
      judged: 'apart',
      counts: [0, 0, 0, 0, 0],
    });
    expect(match(undefined, row('new', 60, '2')).judged).toBe('apart');
  });

  it('are none of the fork where they are older than it', () => {
    expect(match(row('old', 5, '1'), undefined)).toEqual({ judged: 'done', counts: [0, 0, 0, 0, 0] });
    expect(match(row('old', 5, '1'), row('new', 20, '2')).counts).toEqual([0, 1, 0, 0, 0]);
  });

  it('are open where several keys of a state write them, or one may be under way', () => {
    expect(match(row('old', 20, '1', 's/a'), row('new', 30, '2', 's/b')).counts).toEqual([0, 0, 0, 0, 1]);
    expect(match(row('old', 20, '1'), undefined, false).counts).toEqual([0, 0, 0, 0, 1]);
  });

  it('are left to the items where a timer made the newer one', () => {
    expect(match(fired('old', 1_000, '1'), fired('new', 1_000, '1', 3)).counts).toEqual([1, 0, 0, 0, 0]);
    const { judged, counts } = match(fired('old', 1_000, '1'), fired('new', 2_000, '2'));
    expect(counts).toEqual([0, 0, 0, 0, 0]);
    expect(judged).toMatchObject({ side: 'new', stateKey: 'k', output: { value: '2' } });
    expect(match(fired('old', 1_000, '1'), undefined).judged).toMatchObject({ side: 'old', stateKey: 'k' });
  });
});

describe('what a timer made in one alone', () => {
  const item = (sequence: number, dueMs?: number): StateItem => ({
    pk: '1/s/k',
    revision: 1,
    marks: new Map([[SHARD, { position: { sequence: String(sequence), sub: 0 }, arrivalSeconds: 1 }]]),
    states: new Map(),
    versions: new Map(),
    outbox: [],
    ...(dueMs !== undefined && { dueMs }),
  });

  function judge(old: StateItem, now: StateItem, firedMs = -Infinity): string {
    const timer = match(fired('old', 1_000, '1'), undefined).judged;
    if (typeof timer === 'string') throw new Error('That was judged already.');
    return judgeTimer(timer, { old, new: now, span: SPAN, inherited: { firedMs } });
  }

  it('is over where the other holds the same records and waits for nothing so early', () => {
    expect(judge(item(20), item(20))).toBe('over');
    expect(judge(item(20), item(20, 2_000))).toBe('over');
  });

  it('may still come where the other waits for it, or is behind', () => {
    expect(judge(item(20), item(20, 1_000))).toBe('open');
    expect(judge(item(60), item(20))).toBe('open');
    // It may have fired with a record of which the outputs are not all published.
    expect(judge(item(60), item(60))).toBe('open');
  });

  it('is older than the fork where its checkpoint had fired it', () => {
    expect(judge(item(20), item(20), 1_000)).toBe('inherited');
    expect(judge(item(20), item(20), 999)).toBe('over');
  });

  it('is judged by what fires and waits by the clock, where a timer of processing time made it', () => {
    const timer = match(fired('old', 1_000, '1'), undefined).judged;
    if (typeof timer === 'string') throw new Error('That was judged already.');
    const { output } = timer;
    const place = { ...output.place, timer: { keyHash: 'h', dueMs: 1_000, domain: 'processing' } as const };
    const byClock = { ...timer, output: { ...output, place } };
    const judgeClock = (now: StateItem, inherited: FiredTimes = {}): string =>
      judgeTimer(byClock, { old: item(20), new: now, span: SPAN, inherited });
    expect(judgeClock(item(20, 500))).toBe('over');
    expect(judgeClock({ ...item(20), processingDueMs: 1_000 })).toBe('open');
    expect(judgeClock({ ...item(20), processingDueMs: 1_001 })).toBe('over');
    // Fired, and not published.
    expect(judgeClock(item(20, 0))).toBe('open');
    expect(judgeClock(item(20), { processingFiredMs: 1_000 })).toBe('inherited');
    expect(judgeClock(item(20), { firedMs: 1_000 })).toBe('over');
  });
});

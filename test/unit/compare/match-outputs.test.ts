import { describe, expect, it } from 'vitest';
import { CommonSpan } from '../../../infra/compare/common-span.ts';
import {
  matchOutputs,
  type LoneTimerOutput,
  type Matching,
  type PublishedOutput,
} from '../../../infra/compare/match-outputs.ts';
import { placeOf } from '../../../infra/compare/output-place.ts';
import { Tally } from '../../../infra/compare/tally.ts';
import { hashOfKey } from '../../../shared/output/output-id.ts';
import { encodePosition } from '../../../shared/source/position.ts';

const SHARD = 'stream/0';
const OTHER_SHARD = 'stream/1';

function standing(shard: string, sequence: number | undefined) {
  return {
    stream: 's',
    shardId: shard,
    shard,
    ...(sequence !== undefined && { position: encodePosition({ sequence: String(sequence), sub: 0 }) }),
  };
}

/** Both have processed the first shard from behind 10 to 90, and the other one to 50. */
const SPAN = new CommonSpan(
  [standing(SHARD, 10), standing(OTHER_SHARD, undefined)],
  [
    [standing(SHARD, 90), standing(OTHER_SHARD, 70)],
    [standing(SHARD, 100), standing(OTHER_SHARD, 50)],
  ],
);

interface Made {
  readonly at?: number;
  readonly shard?: string;
  readonly key?: string;
  readonly value?: unknown;
  readonly index?: number;
  readonly timer?: { readonly dueMs: number; readonly operator: number };
}

function output(
  pipeline: string,
  { at = 0, shard = SHARD, key = 'k', value = at, index = 0, timer }: Made,
): PublishedOutput {
  const made =
    timer === undefined ? `${shard}/${at}/0/0` : `timer/${hashOfKey('k')}/${timer.dueMs}/${timer.operator}/0`;
  const place = placeOf(pipeline, `${pipeline}/${made}/sink/${index}`);
  if (place === undefined) throw new Error('That is no id.');
  return { place, key, value: JSON.stringify(value), arrivalMs: at };
}

function match(
  old: readonly Made[],
  now: readonly Made[],
  matching: Partial<Matching> = {},
): { tally: Tally; lone: LoneTimerOutput[] } {
  const tally = new Tally(100);
  const lone = matchOutputs(
    old.map((each) => output('old', each)),
    now.map((each) => output('new-one', each)),
    { span: SPAN, outputs: 'event', isSettled: true, ...matching },
    tally,
  );
  return { tally, lone };
}

const EMPTY = { equal: 0, differing: 0, onlyOld: 0, onlyNew: 0, superseded: 0, open: 0 };

describe('an output id', () => {
  it('says where it was made, whatever the pipeline and the sink are called', () => {
    expect(placeOf('delays', 'delays/x3Fa_q/6/4950/2/1/out/3')).toEqual({
      tail: 'x3Fa_q/6/4950/2/1/3',
      sink: 'out',
      lane: 'x3Fa_q/6',
      position: { sequence: '4950', sub: 2 },
      element: 1,
      index: 3,
    });
    expect(placeOf('delays', 'delays/timer/hash-_1/-5000/2/0/out/0')).toMatchObject({
      tail: 'timer/hash-_1/-5000/2/0/0',
      timer: { keyHash: 'hash-_1', dueMs: -5_000, domain: 'event' },
    });
    expect(placeOf('delays', 'delays/clock/hash-_1/5000/2/0/out/0')).toMatchObject({
      tail: 'clock/hash-_1/5000/2/0/0',
      timer: { keyHash: 'hash-_1', dueMs: 5_000, domain: 'processing' },
    });
  });

  it('is of the pipeline whose name it begins with, and of no other', () => {
    expect(placeOf('delays', 'delays-2/x/6/4950/0/0/out/0')).toBeUndefined();
    expect(placeOf('delays', 'delays/x/6/4950/0/out/0')).toBeUndefined();
    expect(placeOf('delays', 'something')).toBeUndefined();
  });
});

describe('the records that both have processed', () => {
  it('lie behind the checkpoint of the fork and before where the slower one is, shard by shard', () => {
    const sideOf = (shard: string, sequence: string) => SPAN.sideOf(shard, { sequence, sub: 0 });
    expect(sideOf(SHARD, '10')).toBe('inherited');
    expect(sideOf(SHARD, '11')).toBe('common');
    expect(sideOf(SHARD, '90')).toBe('common');
    expect(sideOf(SHARD, '91')).toBe('beyond');
    // As integers: as text 9 would come behind 50.
    expect(sideOf(OTHER_SHARD, '9')).toBe('common');
    expect(sideOf(OTHER_SHARD, '51')).toBe('beyond');
    expect(sideOf('stream/2', '1')).toBe('beyond');
    expect(SPAN.isEmpty).toBe(false);
  });

  it('are none where one has processed none', () => {
    const at = (sequence: number | undefined) => [standing(SHARD, sequence)];
    expect(new CommonSpan(at(10), [at(90), at(10)]).isEmpty).toBe(true);
    expect(new CommonSpan(at(undefined), [at(90), at(undefined)]).isEmpty).toBe(true);
    expect(new CommonSpan(at(undefined), [at(90), at(1)]).isEmpty).toBe(false);
  });
});

describe('outputs of a pipeline and its fork', () => {
  it('are matched by the record that made them', () => {
    const { tally } = match(
      [{ at: 20 }, { at: 30, value: 'a' }, { at: 40 }],
      [{ at: 20 }, { at: 30, value: 'b' }, { at: 50 }],
    );
    expect(tally).toMatchObject({ ...EMPTY, equal: 1, differing: 1, onlyOld: 1, onlyNew: 1 });
    expect(tally.first).toEqual([
      { kind: 'differing', key: 'k', id: 'stream/0/30/0/0/0', old: '"a"', new: '"b"' },
      { kind: 'onlyOld', key: 'k', id: 'stream/0/40/0/0/0', old: '40' },
      { kind: 'onlyNew', key: 'k', id: 'stream/0/50/0/0/0', new: '50' },
    ]);
  });

  it('are different where they went to other keys, whatever their values', () => {
    expect(match([{ at: 20, value: 'a' }], [{ at: 20, value: 'a', key: 'other' }]).tally).toMatchObject({
      ...EMPTY,
      onlyOld: 1,
      onlyNew: 1,
    });
  });

  it('are left out where the fork inherited them, or one has not come so far', () => {
    const { tally } = match([{ at: 5 }, { at: 95 }, { at: 60, shard: OTHER_SHARD }], [{ at: 99 }]);
    expect(tally).toMatchObject(EMPTY);
  });

  it('count once where they were published again', () => {
    expect(match([{ at: 20 }, { at: 20 }], [{ at: 20 }]).tally).toMatchObject({ ...EMPTY, equal: 1 });
  });

  it('each count where they are events, though a later one of the key is there', () => {
    expect(match([{ at: 20 }, { at: 30 }], [{ at: 30 }]).tally).toMatchObject({
      ...EMPTY,
      equal: 1,
      onlyOld: 1,
    });
  });

  describe('that are changes', () => {
    const matching = { outputs: 'change' } as const;

    it('may be in one alone where the other has a later one of the key, even one beyond what both have', () => {
      expect(match([{ at: 20 }, { at: 30 }], [{ at: 30 }], matching).tally).toMatchObject({
        ...EMPTY,
        equal: 1,
        superseded: 1,
      });
      expect(match([{ at: 20 }], [{ at: 99 }], matching).tally).toMatchObject({ ...EMPTY, superseded: 1 });
      const elsewhere = match([{ at: 20 }], [{ at: 25, shard: OTHER_SHARD }], matching);
      expect(elsewhere.tally).toMatchObject({ superseded: 1, onlyOld: 0 });
    });

    it('may be superseded by what a timer made later, and not by what one made before', () => {
      const timer = { timer: { dueMs: 1_000, operator: 0 } };
      const fired = (at: number) =>
        match([{ at: 20 }, { at: 30 }, { at: 5, ...timer }], [{ at: 20 }, { ...timer, at }], matching).tally;
      expect(fired(40)).toMatchObject({ superseded: 1, onlyOld: 0 });
      expect(fired(5)).toMatchObject({ superseded: 0, onlyOld: 1 });
    });

    it('are missing where the other has only earlier ones, or ones of another key', () => {
      expect(match([{ at: 20 }, { at: 30 }], [{ at: 20 }], matching).tally).toMatchObject({
        ...EMPTY,
        equal: 1,
        onlyOld: 1,
      });
      expect(match([], [{ at: 30 }], matching).tally).toMatchObject({ ...EMPTY, onlyNew: 1 });
      expect(match([{ at: 20 }], [{ at: 30, key: 'other' }], matching).tally).toMatchObject({
        ...EMPTY,
        onlyOld: 1,
        onlyNew: 1,
      });
    });
  });

  it('are open in one alone where what lies below a position may be under way', () => {
    expect(match([{ at: 20 }], [], { isSettled: false }).tally).toMatchObject({ ...EMPTY, open: 1 });
  });

  it('are left out in one alone where the other stream may have lost them, and compared where both have them', () => {
    const timer = { timer: { dueMs: 1_000, operator: 0 } };
    const { tally, lone } = match(
      [{ at: 20 }, { at: 30 }, { at: 35, ...timer }, { at: 35, timer: { dueMs: 2_000, operator: 0 } }],
      [{ at: 30, value: 'other' }, { at: 50 }, { ...timer, at: 45, value: 35 }],
      { sinceMs: 40 },
    );
    expect(tally).toMatchObject({ ...EMPTY, equal: 1, differing: 1, onlyNew: 1 });
    expect(lone).toEqual([]);
  });

  describe('that timers made', () => {
    const timer = (dueMs: number, operator: number) => ({ timer: { dueMs, operator } });

    it('are matched by due time where the operator stands elsewhere', () => {
      const { tally, lone } = match(
        [
          { ...timer(1_000, 0), value: 'x' },
          { ...timer(2_000, 0), value: 'y' },
        ],
        [
          { ...timer(1_000, 2), value: 'x' },
          { ...timer(2_000, 2), value: 'z' },
        ],
      );
      expect(tally).toMatchObject({ ...EMPTY, equal: 1, differing: 1 });
      expect(lone).toEqual([]);
    });

    it('are no difference by themselves where only one has them, and name the key whose timer it was', () => {
      const { tally, lone } = match(
        [
          { ...timer(1_000, 0), key: 'k@noon', value: { key: 'k', value: 1 } },
          { ...timer(2_000, 0), key: 'elsewhere' },
        ],
        [timer(3_000, 0)],
      );
      expect(tally).toMatchObject(EMPTY);
      expect(lone.map(({ side, stateKey }) => [side, stateKey])).toEqual([
        ['old', 'k'],
        ['old', undefined],
        ['new', 'k'],
      ]);
    });
  });

  it('keep the first differences in the order of keys, and count all', () => {
    const tally = new Tally(2);
    for (const key of ['d', 'b', 'e', 'a', 'c', 'f']) tally.compare(key, '1', '2');
    expect(tally.differing).toBe(6);
    expect(tally.first.map(({ key }) => key)).toEqual(['a', 'b']);
  });
});

import { describe, expect, it } from 'vitest';
import { CommonSpan } from '../../../infra/compare/common-span.ts';
import { compareLiveStates, type Items, type StatesReport } from '../../../infra/compare/live-states.ts';
import { encodePosition } from '../../../shared/source/position.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';

const SHARD = 'stream/0';

interface Held {
  /** By lane the sequence number of the mark. */
  readonly marks?: Readonly<Record<string, number>>;
  readonly states?: Readonly<Record<string, number>>;
  readonly firedMs?: number;
  readonly dueMs?: number;
}

function itemOf(key: string, { marks = {}, states = {}, ...times }: Held): StateItem {
  return {
    pk: `1/s/${key}`,
    revision: 1,
    marks: new Map(
      Object.entries(marks).map(([lane, sequence]) => [
        lane,
        { position: { sequence: String(sequence), sub: 0 }, arrivalSeconds: 1 },
      ]),
    ),
    states: new Map(Object.entries(states)),
    versions: new Map(),
    outbox: [],
    ...times,
  };
}

function itemsOf(held: Map<string, Held>): Items {
  return {
    keys: async function* () {
      yield [...held.keys()];
    },
    load: async (keys) =>
      new Map(
        keys.flatMap((key) => {
          const found = held.get(key);
          return found === undefined ? [] : [[key, itemOf(key, found)] as const];
        }),
      ),
    whole: async (item) => item,
  };
}

function spanTo(old: number, now: number, isByPartition = false): CommonSpan {
  const at = (sequence: number) => [
    {
      stream: 's',
      shardId: SHARD,
      shard: SHARD,
      position: encodePosition({ sequence: String(sequence), sub: 0 }),
    },
  ];
  return new CommonSpan(at(10), [at(old), at(now)], isByPartition);
}

type Pairs = Readonly<Record<string, readonly [Held | undefined, Held | undefined]>>;

function held(pairs: Pairs, side: 0 | 1): Map<string, Held> {
  return new Map(
    Object.entries(pairs).flatMap(([key, pair]) => {
      const own = pair[side];
      return own === undefined ? [] : [[key, own] as const];
    }),
  );
}

async function compare(
  pairs: Pairs,
  span = spanTo(90, 50),
  onSpan: (asked: number) => CommonSpan = () => span,
): Promise<StatesReport> {
  let asked = 0;
  return compareLiveStates(itemsOf(held(pairs, 0)), itemsOf(held(pairs, 1)), {
    ignored: [],
    limit: 10,
    span: async () => onSpan(asked++),
    rounds: 2,
    pauseMs: 0,
    isInterrupted: () => false,
  });
}

const at = (sequence: number, state: number): Held => ({
  marks: { [SHARD]: sequence },
  states: { sum: state },
});

describe('states of a pipeline and its fork', () => {
  it('are compared where both items hold the same records, by operator', async () => {
    const report = await compare({
      equal: [at(40, 1), at(40, 1)],
      other: [at(40, 1), at(40, 2)],
      // Beyond what both have processed, and at the same record.
      ahead: [at(70, 1), at(70, 3)],
      untouched: [at(5, 1), at(5, 1)],
    });
    const sum = report.operators.get('sum');
    expect(report).toMatchObject({ keys: 4, touched: 3, apart: 0 });
    expect(sum).toMatchObject({ equal: 2, differing: 2, onlyOld: 0, onlyNew: 0 });
    expect(sum?.first.map(({ key, old, new: now }) => [key, old, now])).toEqual([
      ['ahead', '1', '3'],
      ['other', '1', '2'],
    ]);
  });

  it('are apart, and no difference, where one holds a record that the other has not come to', async () => {
    const report = await compare({
      further: [at(60, 6), at(40, 4)],
      unborn: [at(60, 6), undefined],
      born: [undefined, at(60, 6)],
    });
    expect(report).toMatchObject({ keys: 3, apart: 3 });
    expect(report.operators.size).toBe(0);
  });

  it('differ where both have passed a record that only one has an effect of', async () => {
    const report = await compare({
      filtered: [at(40, 4), at(30, 3)],
      onlyOld: [at(40, 4), undefined],
      onlyNew: [undefined, at(40, 4)],
    });
    expect(report.apart).toBe(0);
    expect(report.operators.get('sum')).toMatchObject({ equal: 0, differing: 1, onlyOld: 1, onlyNew: 1 });
  });

  it('are looked at again until they hold the same records', async () => {
    const pairs = { k: [at(60, 6), at(40, 6)] } as const;
    const report = await compare(pairs, undefined, (asked) =>
      asked === 0 ? spanTo(90, 50) : spanTo(90, 90),
    );
    expect(report.apart).toBe(0);
    expect(report.operators.get('sum')).toMatchObject({ equal: 1, differing: 0 });
  });

  it('are compared at equal marks alone where positions prove nothing', async () => {
    const lane = 'upstream~lane';
    const report = await compare({
      equal: [
        { marks: { [lane]: 40 }, states: { sum: 1 } },
        { marks: { [lane]: 40 }, states: { sum: 2 } },
      ],
      apart: [
        { marks: { [lane]: 40 }, states: { sum: 1 } },
        { marks: { [lane]: 30 }, states: { sum: 2 } },
      ],
    });
    expect(report.apart).toBe(1);
    expect(report.operators.get('sum')).toMatchObject({ equal: 0, differing: 1 });
    const dealt = await compare({ k: [at(40, 4), at(30, 3)] }, spanTo(90, 90, true));
    expect(dealt.apart).toBe(1);
  });

  it('are apart where a timer waits in one that the other has fired', async () => {
    const [fired, waiting] = [
      { ...at(40, 1), firedMs: 1_000 },
      { ...at(40, 2), dueMs: 900 },
    ];
    expect((await compare({ k: [fired, waiting] })).apart).toBe(1);
    expect((await compare({ k: [waiting, fired] })).apart).toBe(1);
    // It waits for what comes later: the same is behind both.
    const later = { ...at(40, 2), dueMs: 1_500 };
    const report = await compare({ k: [fired, later] });
    expect(report.apart).toBe(0);
    expect(report.operators.get('sum')).toMatchObject({ differing: 1 });
  });

  it('do not depend on marks of letters that were redriven', async () => {
    const redriven = { marks: { [SHARD]: 40, 'letter/d/x/0': 7, redriven: 0 }, states: { sum: 5 } };
    const report = await compare({ k: [redriven, at(40, 4)] });
    expect(report.operators.get('sum')).toMatchObject({ differing: 1 });
  });
});

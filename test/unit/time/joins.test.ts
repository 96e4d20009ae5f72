import { describe, expect, it } from 'vitest';
import { kinesis, pipeline, tumbling, type KeyedStream, type Pipeline } from '../../../shared/index.ts';
import { testPipeline } from '../../../shared/testing/index.ts';

interface Order {
  readonly type: 'order';
  readonly id: string;
  readonly at: number;
}
interface Payment {
  readonly type: 'payment';
  readonly id: string;
  readonly at: number;
}
type Event = Order | Payment | { readonly type: 'tick'; readonly id: string; readonly at: number };

const at = (seconds: number): number => seconds * 1_000;
const order = (id: string, seconds: number): Event => ({ type: 'order', id, at: at(seconds) });
const payment = (id: string, seconds: number): Event => ({ type: 'payment', id, at: at(seconds) });
const tick = (seconds: number): Event => ({ type: 'tick', id: 'tick', at: at(seconds) });

const events = () =>
  pipeline('p')
    .from(kinesis<Event>('events'))
    .eventTime((event) => event.at)
    .keyBy(({ id }) => id);
/** An order is paid from five seconds before it to ten behind it. */
const options = {
  left: (event: Event): event is Order => event.type === 'order',
  right: (event: Event): event is Payment => event.type === 'payment',
  within: { before: { seconds: 5 }, after: { seconds: 10 } },
};

const EVENTS = [
  payment('early', 1),
  order('early', 6),
  order('a', 7),
  order('never', 8),
  payment('a', 12),
  payment('stray', 13),
  order('b', 14),
  payment('a', 17),
  payment('a', 18),
  order('b', 19),
  payment('b', 22),
  // It came too late.
  order('b', 21),
  tick(100),
];

async function joined(of: Pipeline): Promise<string[]> {
  const test = testPipeline<Event>(of);
  for (const event of EVENTS) await test.send(event);
  expect(['early', 'a', 'b', 'never', 'stray'].map((id) => test.state(id))).toEqual(Array(5).fill(undefined));
  return test.outputs().map(({ key, value }) => `${key} ${shown(value)}`);
}

function shown(value: unknown): string {
  const one = (event: Event | null): string => (event === null ? '-' : String(event.at / 1_000));
  const pair = value as { readonly left: Event | null; readonly right: Event | null };
  return 'left' in pair ? `${one(pair.left)}+${one(pair.right)}` : one(value as Event);
}

const out = kinesis<unknown>('out');
const PAIRS = ['early 6+1', 'a 7+12', 'a 7+17', 'b 14+22', 'b 19+22'];

describe('joins in event time', () => {
  const kinds: [string, (stream: KeyedStream<Event, true>) => Pipeline, string[]][] = [
    ['inner', (stream) => stream.join('j', options).to(out), PAIRS],
    ['left outer', (stream) => stream.leftOuterJoin('j', options).to(out), [...PAIRS, 'never 8+-']],
    [
      'right outer',
      (stream) => stream.rightOuterJoin('j', options).to(out),
      [...PAIRS, 'stray -+13', 'a -+18'],
    ],
    [
      'full outer',
      (stream) => stream.fullOuterJoin('j', options).to(out),
      [...PAIRS, 'never 8+-', 'stray -+13', 'a -+18'],
    ],
    ['left semi', (stream) => stream.leftSemiJoin('j', options).to(out), ['early 6', 'a 7', 'b 14', 'b 19']],
  ];

  it.each(kinds)(
    '%s: gives what is near enough, once, and keeps nothing when its time is over',
    async (_, of, expected) => {
      expect((await joined(of(events()))).toSorted()).toEqual(expected.toSorted());
    },
  );

  it('give what nothing joins when nothing can any more, and not before', async () => {
    const test = testPipeline<Event>(events().leftOuterJoin('j', options).to(out));
    await test.send(order('a', 10), tick(20));
    expect(test.outputs()).toEqual([]);
    await test.send(tick(20.001));
    expect(test.outputs().map(({ value }) => shown(value))).toEqual(['10+-']);
  });

  it('take results of windows, whose last millisecond is over when they come', async () => {
    interface Total {
      readonly side: 'l' | 'r';
      readonly sum: number;
    }
    const test = testPipeline<Event>(
      events()
        .window(tumbling({ seconds: 10 }))
        .count('totals')
        .map(({ window, value }): Total => ({ side: window.start % 20_000 === 0 ? 'l' : 'r', sum: value }))
        .fullOuterJoin('j', {
          left: (each: Total): each is Total & { side: 'l' } => each.side === 'l',
          right: (each: Total): each is Total & { side: 'r' } => each.side === 'r',
          within: { after: { seconds: 10 } },
        })
        .to(out),
    );
    // Together at both ends of the bound, alone, and with the window in front of it out of reach.
    await test.send(order('a', 1), order('b', 1), order('a', 11), order('a', 12), order('c', 11), tick(22));
    await test.send(order('c', 23), tick(100));
    const shown = test.outputs().map(({ key, value }) => {
      const { left, right } = value as { left: Total | null; right: Total | null };
      return `${key} ${left?.sum ?? '-'}+${right?.sum ?? '-'}`;
    });
    expect(shown.filter((each) => !each.startsWith('tick')).toSorted()).toEqual([
      'a 1+2',
      'b 1+-',
      'c -+1',
      'c 1+-',
    ]);
  });

  it('join a late value with what is there, where that is asked for, or make it a dead letter', async () => {
    const accepting = testPipeline<Event>(
      events()
        .fullOuterJoin('j', { ...options, late: 'accept' })
        .to(out),
    );
    await accepting.send(order('a', 10), tick(15), payment('a', 12), payment('b', 3));
    expect(accepting.outputs().map(({ value }) => shown(value))).toEqual(['10+12', '-+3']);
    const rejecting = testPipeline<Event>(
      events()
        .join('j', { ...options, late: 'deadLetter' })
        .to(out),
    );
    await rejecting.send(order('a', 10), tick(15), payment('a', 12));
    expect(rejecting.deadLetters()).toMatchObject([{ stage: 'late', key: 'a' }]);
  });

  it('need a bound', () => {
    expect(() => events().join('j', { ...options, within: {} })).toThrow(/for ever/);
    expect(() => events().join('j', { ...options, late: 'x' as 'drop' })).toThrow(/'late' of operator 'j'/);
  });
});

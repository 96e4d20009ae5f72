import { describe, expect, it } from 'vitest';
import { kinesis, pipeline } from '../../../shared/index.ts';
import { testPipeline } from '../../../shared/testing/index.ts';
import { click, clicksByUser, type Click } from './clicks.ts';

const seconds = (count: number) => ({ seconds: count });
const out = kinesis<unknown>('out');
const values = (test: { outputs(): readonly { readonly value: unknown }[] }): unknown[] =>
  test.outputs().map(({ value }) => value);

describe('process', () => {
  /** Tells how many clicks came until a user was silent for ten seconds. */
  const silence = () =>
    clicksByUser()
      .process<number, string>('silence', {
        onRecord: (_, context) => {
          context.update((context.get() ?? 0) + 1);
          context.timers.set('silent', context.eventMs + 10_000);
        },
        onTimer: (timer, context) => {
          context.emit(`${context.key} ${timer} at ${context.eventMs / 1_000} after ${context.get()}`);
          context.remove();
        },
      })
      .to(out);

  it('calls a timer once, when event time has come to it, before any value that is behind', async () => {
    const test = testPipeline<Click>(silence());
    await test.send(click('a', 1), click('a', 5), click('b', 6), click('a', 16), click('a', 17));
    // Event time is over up to 15 before it, and the timer of 16 moves in time.
    await test.send(click('b', 18));
    expect(values(test)).toEqual([]);
    // And up to 33 before it: the timers of 27 and 28 come first.
    await test.send(click('c', 35), click('b', 36));
    expect((values(test) as string[]).toSorted()).toEqual([
      'a silent at 27 after 4',
      'b silent at 28 after 2',
    ]);
    expect(test.state('b')).toEqual({ silence: { v: 1, t: { silent: 46_000 } } });
    expect(test.state('a')).toBeUndefined();
  });

  it('moves, clears and tells timers, and brings what is over already as soon as it can', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .process<null, string>('p', {
          onRecord: ({ n = 0 }, { timers, eventMs, emit }) => {
            emit(`was ${timers.get('t')}`);
            if (n === 0) timers.clear('t');
            else timers.set('t', eventMs + n * 1_000);
          },
          onTimer: (timer, { emit, eventMs }) => emit(`${timer} ${eventMs / 1_000}`),
        })
        .to(out),
    );
    await test.send(
      click('a', 1, 5),
      click('a', 2, 30),
      click('a', 3, 0),
      click('a', 20, -15),
      click('b', 30),
    );
    // A timer that was over when it was set has come next to the value, at its own time.
    expect(values(test)).toEqual([
      'was undefined',
      'was 6000',
      'was 32000',
      'was undefined',
      't 5',
      'was undefined',
    ]);
  });

  it('keeps a timer that throws, and goes on with the values', async () => {
    let isBroken = true;
    const test = testPipeline<Click>(
      clicksByUser()
        .process<number, string>('p', {
          onRecord: (_, context) => {
            context.update((context.get() ?? 0) + 1);
            if (context.timers.get('t') === undefined) context.timers.set('t', context.eventMs + 1_000);
          },
          onTimer: (_, { emit, get }) => {
            if (isBroken) throw new Error('not yet');
            emit(`${get()}`);
          },
        })
        .to(out),
    );
    await test.send(click('a', 1), click('a', 10), click('a', 11));
    expect(values(test)).toEqual([]);
    expect(test.deadLetters()).toEqual([]);
    expect(test.state('a')).toEqual({ p: { v: 3, t: { t: 2_000 } } });
    isBroken = false;
    await test.advance(seconds(60));
    expect(values(test)).toEqual(['3']);
  });

  it('rejects a value that sets a timer to no time', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .process<null, never>('p', { onRecord: (_, { timers }) => timers.set('t', Number.NaN) })
        .to(out),
    );
    await test.send(click('a', 1));
    expect(test.deadLetters()).toMatchObject(
      [{ stage: 'fold', reason: /sets the timer 't' to a time that is none/ }].map(({ stage, reason }) => ({
        stage,
        reason: expect.stringMatching(reason) as string,
      })),
    );
  });
});

describe('mapWithState with a timeout', () => {
  const counted = () =>
    clicksByUser()
      .mapWithState<number, string>(
        'count',
        (_, state, key) => {
          state.update((state.get() ?? 0) + 1);
          return `${key} ${state.get()}`;
        },
        { timeout: seconds(10), onTimeout: (state, key) => `${key} ends with ${state}` },
      )
      .to(out);

  it('makes a last call for a key for which nothing came, and forgets its state', async () => {
    const test = testPipeline<Click>(counted());
    await test.send(click('a', 1), click('a', 8), click('b', 9), click('b', 20), click('b', 21));
    // What came at 21 was the first to be behind 19 in the lane.
    expect(values(test)).toEqual(['a 1', 'a 2', 'b 1', 'b 2', 'a ends with 2', 'b 3']);
    await test.send(click('c', 60));
    expect(values(test).slice(6)).toEqual(['c 1', 'b ends with 3']);
    expect(test.state('a')).toBeUndefined();
  });

  it('needs a time', () => {
    const untimed = pipeline('p')
      .from(kinesis<Click>('c'))
      .keyBy(({ user }) => user);
    expect(() => untimed.mapWithState('m', () => undefined, { timeout: seconds(1) })).toThrow(/no time/);
  });
});

describe('batches', () => {
  const batches = () =>
    pipeline('p')
      .from(kinesis<Click>('c'))
      .arrivalTime()
      .batchInterval(seconds(1))
      .keyBy(({ user }) => user);

  it('are the records that arrive in one interval, however Lambda cuts them', async () => {
    const test = testPipeline<Click>(
      batches()
        .perBatch()
        .count('n')
        .map(({ key, value }) => `${key} ${value}`)
        .to(out),
    );
    await test.send(click('a', 0), click('a', 0), click('b', 0));
    await test.advance(seconds(1));
    await test.send(click('a', 0));
    await test.advance(seconds(30));
    expect((values(test) as string[]).toSorted()).toEqual(['a 1', 'a 2', 'b 1']);
  });

  it('update every key that has a state, with and without values', async () => {
    const test = testPipeline<Click>(
      batches()
        .updateStateByBatch<number>('s', (clicks, sum = 0) =>
          clicks.length === 0 && sum > 1 ? undefined : sum + clicks.length,
        )
        .to(out),
    );
    await test.send(click('a', 0), click('a', 0));
    await test.advance(seconds(30));
    expect(values(test)).toEqual([2]);
    expect(test.state('a')).toBeUndefined();
  });

  it('need an interval', () => {
    expect(() => clicksByUser().perBatch()).toThrow(/batchInterval/);
  });
});

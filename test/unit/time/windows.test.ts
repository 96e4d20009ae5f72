import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collect, kinesis, pipeline, session, sliding, tumbling } from '../../../shared/index.ts';
import { testPipeline } from '../../../shared/testing/index.ts';
import { click, clicksByUser, shown, type Click } from './clicks.ts';

const seconds = (count: number) => ({ seconds: count });
const out = kinesis('out');

describe('tumbling windows', () => {
  const pipelineOf = () =>
    clicksByUser()
      .window(tumbling(seconds(10)))
      .count('w')
      .to(out);

  it('give one result each once event time is the lateness beyond their end', async () => {
    const test = testPipeline<Click>(pipelineOf());
    await test.send(click('a', 1), click('a', 9), click('b', 5), click('a', 11.999));
    expect(test.outputs()).toEqual([]);
    await test.send(click('a', 3), click('a', 12));
    expect(shown(test.outputs())).toEqual(['a 0-10 3', 'b 0-10 1']);
    expect(test.state('b')).toBeUndefined();
  });

  it('drop what comes when its lane is beyond their end, also of a key that had nothing', async () => {
    const test = testPipeline<Click>(pipelineOf());
    await test.send(click('a', 12), click('a', 9.999), click('c', 3), click('a', 30));
    expect(shown(test.outputs())).toEqual(['a 10-20 1']);
  });

  it('are published under a key of their own, with the id of their due time', async () => {
    const test = testPipeline<Click>(pipelineOf());
    await test.send(click('a', 1), click('a', 20));
    const [result] = test.outputs();
    expect(result?.key).toBe('a@1970-01-01T00:00:00.000Z');
    expect(result?.id).toMatch(/^clicks\/timer\/.{16}\/10000\/0\/0\/out\/0$/);
  });

  it('make a late value a dead letter, or a result of its own, where that is asked for', async () => {
    const late = (policy: 'deadLetter' | 'accept') =>
      clicksByUser()
        .window(tumbling(seconds(10)), { late: policy })
        .count('w')
        .to(out);
    const rejecting = testPipeline<Click>(late('deadLetter'));
    await rejecting.send(click('a', 1), click('a', 12), click('a', 2));
    expect(rejecting.deadLetters()).toMatchObject([{ stage: 'late', key: 'a' }]);
    const accepting = testPipeline<Click>(late('accept'));
    await accepting.send(click('a', 1), click('a', 12), click('a', 2));
    expect(shown(accepting.outputs())).toEqual(['a 0-10 1', 'a 0-10 1']);
  });

  it('give what they have so far with every value, where that is asked for', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .window(tumbling(seconds(10)), { emit: 'onUpdate' })
        .count('w')
        .to(out),
    );
    await test.send(
      click('a', 1),
      click('a', 2),
      click('a', 11),
      click('a', 3),
      click('a', 12),
      click('a', 4),
    );
    expect(shown(test.outputs())).toEqual(['a 0-10 1', 'a 0-10 2', 'a 0-10 3', 'a 10-20 1', 'a 10-20 2']);
    expect(test.outputs().every(({ isChange }) => isChange)).toBe(true);
    expect(test.state('a')).toEqual({ w: { '10000': 2 } });
  });

  it('take values behind their end for the lateness that they allow, each with a new result', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .window(tumbling(seconds(10)), { allowedLateness: seconds(5) })
        .count('w')
        .to(out),
    );
    await test.send(
      click('a', 1),
      click('a', 12),
      click('a', 2),
      click('b', 3),
      click('a', 16),
      click('a', 4),
    );
    expect(shown(test.outputs())).toEqual(['a 0-10 1', 'a 0-10 2', 'a 0-10 3', 'b 0-10 1']);
    await test.send(click('a', 17), click('a', 5));
    expect(test.outputs()).toHaveLength(4);
    expect(test.state('a')).toEqual({ w: { '10000': 3 } });
  });

  it('begin where the offset says', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .window(tumbling(seconds(10), { offset: seconds(3) }))
        .count('w')
        .to(out),
    );
    await test.send(click('a', 2), click('a', 3), click('a', 12.9), click('a', 15));
    expect(shown(test.outputs())).toEqual(['a -7-3 1', 'a 3-13 2']);
  });
});

describe('sliding windows', () => {
  it('have each value in all windows that it is in', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .window(sliding(seconds(10), seconds(5)))
        .count('w')
        .to(out),
    );
    for (let at = 0; at < 22; at++) await test.send(click('a', at));
    expect(shown(test.outputs())).toEqual(['a -5-5 5', 'a 0-10 10', 'a 5-15 10']);
  });

  it('leave out what lies between them', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .window(sliding(seconds(2), seconds(5)))
        .count('w')
        .to(out),
    );
    for (let at = 0; at < 20; at++) await test.send(click('a', at));
    expect(shown(test.outputs())).toEqual(['a 0-2 2', 'a 5-7 2', 'a 10-12 2', 'a 15-17 2']);
  });

  it('need not be a multiple of their slide, and add up each value once', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .window(sliding(seconds(7), seconds(3)))
        .count('w')
        .to(out),
    );
    for (let at = 0; at < 14; at++) await test.send(click('a', at));
    expect(shown(test.outputs())).toEqual(['a -6-1 1', 'a -3-4 4', 'a 0-7 7', 'a 3-10 7']);
  });

  it('keep a value out of the windows for which it is late, and in those for which it is not', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .window(sliding(seconds(10), seconds(5)))
        .aggregate('w', collect<Click>({ limit: 10 }))
        .map(({ value, ...rest }) => ({ ...rest, value: value.map(({ n }) => n) }))
        .to(out),
    );
    await test.send(click('a', 6, 1), click('b', 12, 2), click('a', 7, 3), click('a', 30, 4));
    // 7 is in time for 5-15 and too late for 0-10, which was over at 12.
    expect(shown(test.outputs()).filter((line) => line.startsWith('a'))).toEqual([
      'a 0-10 [1]',
      'a 5-15 [1,3]',
    ]);
  });
});

describe('early results', () => {
  const early = (size: number, slide = size) =>
    clicksByUser()
      .window(sliding(seconds(size), seconds(slide)), { early: { every: seconds(10) } })
      .count('w')
      .map(({ isEarly, value, ...rest }) => ({
        ...rest,
        value: isEarly === true ? `${value} so far` : value,
      }))
      .to(out);

  it('come at whole intervals of event time, of windows that have something new, and the last one as ever', async () => {
    const test = testPipeline<Click>(early(60));
    await test.send(click('a', 1), click('a', 5), click('b', 3), click('a', 13));
    // Nothing new comes of b.
    await test.send(click('a', 33), click('a', 65));
    expect(shown(test.outputs())).toEqual([
      'a 0-60 "3 so far"',
      'a 0-60 "4 so far"',
      'a 0-60 4',
      'b 0-60 "1 so far"',
      'b 0-60 1',
    ]);
    expect(test.outputs().every(({ isChange }) => !isChange)).toBe(true);
  });

  it('are of all windows that a value is in and that are not over', async () => {
    const test = testPipeline<Click>(early(30, 15));
    await test.send(click('a', 16), click('b', 23), click('b', 50));
    expect(shown(test.outputs()).filter((line) => line.startsWith('a'))).toEqual([
      'a 0-30 "1 so far"',
      'a 0-30 1',
      'a 15-45 "1 so far"',
      'a 15-45 1',
    ]);
  });

  it('are refused where nothing would take them back, or none would be early', () => {
    const every = { early: { every: seconds(10) } };
    expect(() => clicksByUser().window(session(seconds(5)), every)).toThrow(
      /'early' .* a session may become/,
    );
    expect(() => clicksByUser().window(tumbling(seconds(60)), { ...every, emit: 'onUpdate' })).toThrow(
      /'onUpdate' gives a result with every value/,
    );
    expect(() =>
      clicksByUser()
        .window(tumbling(seconds(60)), every)
        .reduce('w', (a) => a, { inverse: (a) => a }),
    ).toThrow(/neither 'early' nor 'allowedLateness'/);
  });
});

describe('a sliding window with an inverse', () => {
  const reduced = (filter?: (value: Click) => boolean) =>
    clicksByUser()
      .window(sliding(seconds(10), seconds(5)))
      .reduce('w', (a, b) => ({ ...a, n: (a.n ?? 0) + (b.n ?? 0) }), {
        inverse: (a, b) => ({ ...a, n: (a.n ?? 0) - (b.n ?? 0) }),
        ...(filter && { filter }),
      })
      .map(({ value, ...rest }) => ({ ...rest, value: value.n }))
      .to(out);

  it('goes on for every key that ever had a value', async () => {
    const test = testPipeline<Click>(reduced());
    await test.send(click('a', 1, 3), click('a', 6, 4), click('b', 27));
    expect(shown(test.outputs()).filter((line) => line.startsWith('a'))).toEqual([
      'a -5-5 3',
      'a 0-10 7',
      'a 5-15 4',
      'a 10-20 0',
      'a 15-25 0',
    ]);
  });

  it('ends for a key that the filter drops', async () => {
    const test = testPipeline<Click>(reduced(({ n }) => n !== 0));
    await test.send(click('a', 1, 3), click('b', 42), click('a', 43, 5), click('b', 60));
    expect(shown(test.outputs()).filter((line) => line.startsWith('a'))).toEqual([
      'a -5-5 3',
      'a 0-10 3',
      'a 35-45 5',
      'a 40-50 5',
    ]);
    expect(test.state('a')).toBeUndefined();
  });

  it('has in later windows what came too late for the first of its windows', async () => {
    const test = testPipeline<Click>(reduced(({ n }) => n !== 0));
    await test.send(click('b', 13), click('a', 7, 3), click('b', 14), click('a', 8, 4), click('b', 30));
    expect(shown(test.outputs()).filter((line) => line.startsWith('a'))).toEqual(['a 5-15 7']);
    expect(test.state('a')).toBeUndefined();
  });

  it('gives what the windows give that are made anew, whatever comes late', async () => {
    const windows = sliding(seconds(20), seconds(5));
    const anew = clicksByUser()
      .window(windows)
      .reduce('w', (a, b) => ({ ...a, n: (a.n ?? 0) + (b.n ?? 0) }))
      .map(({ value, ...rest }) => ({ ...rest, value: value.n }))
      .to(out);
    const fromBefore = clicksByUser()
      .window(windows)
      .reduce('w', (a, b) => ({ ...a, n: (a.n ?? 0) + (b.n ?? 0) }), {
        inverse: (a, b) => ({ ...a, n: (a.n ?? 0) - (b.n ?? 0) }),
        filter: ({ n }) => n !== 0,
      })
      .map(({ value, ...rest }) => ({ ...rest, value: value.n }))
      .to(out);
    const clicks = fc.array(
      fc.record({
        user: fc.constantFrom('a', 'b'),
        at: fc.integer({ min: 0, max: 90 }),
        n: fc.integer({ min: 1, max: 9 }),
      }),
      { maxLength: 25 },
    );
    await fc.assert(
      fc.asyncProperty(clicks, async (given) => {
        const [one, other] = [testPipeline<Click>(anew), testPipeline<Click>(fromBefore)];
        // In no order, but not so that most are late for all windows.
        const sent = given.map(({ user, at, n }, place) => click(user, at / 3 + place * 4, n));
        for (const test of [one, other]) await test.send(...sent, click('z', 1_000));
        expect(shown(other.outputs())).toEqual(shown(one.outputs()));
      }),
      { numRuns: 60 },
    );
  });

  it('is refused where it cannot go from window to window', () => {
    const options = { inverse: (a: Click) => a };
    const by = clicksByUser();
    expect(() => by.window(session(seconds(1))).reduce('w', (a) => a, options)).toThrow(
      /tumbling or sliding/,
    );
    expect(() =>
      by.window(tumbling(seconds(1)), { emit: 'onUpdate' }).reduce('w', (a) => a, options),
    ).toThrow(/'onClose'/);
    expect(() => by.window(tumbling(seconds(1))).reduce('w', (a) => a, { filter: () => true })).toThrow(
      /no 'inverse'/,
    );
  });
});

describe('sessions', () => {
  it('grow, merge where a value bridges them, and close a gap behind their last value', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .window(session(seconds(5)))
        .count('w')
        .to(out),
    );
    for (const at of [10, 16, 12, 14, 30, 100]) await test.send(click('a', at));
    expect(shown(test.outputs())).toEqual(['a 10-21 4', 'a 30-35 1']);
    expect(test.state('a')).toEqual({ w: { '100000': [105_000, 1] } });
  });

  it('take each value’s own gap, and no value without one', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .window(session<Click>(({ n = 0 }) => n * 1_000))
        .count('w')
        .to(out),
    );
    await test.send(
      click('a', 1, 3),
      click('a', 3, 1),
      click('a', 4, 0),
      click('a', 5, -1),
      click('a', 30, 1),
    );
    expect(shown(test.outputs())).toEqual(['a 1-4 2']);
  });

  it('refuse what they cannot do', () => {
    expect(() => clicksByUser().window(session(seconds(1)), { emit: 'onUpdate' })).toThrow(/'onUpdate'/);
    expect(() => clicksByUser().window(session(seconds(1)), { allowedLateness: seconds(1) })).toThrow(
      /'allowedLateness'/,
    );
  });
});

describe('windows in a row', () => {
  it('go by the time of the window before', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .window(tumbling(seconds(10)))
        .count('tens')
        .window(tumbling(seconds(30)))
        .aggregate('thirties', collect({ limit: 10 }))
        .map(({ value, ...rest }) => ({ ...rest, value: value.map((each) => each.value) }))
        .to(out),
    );
    for (const at of [1, 2, 11, 25, 29, 31, 40, 62, 99]) await test.send(click('a', at));
    expect(shown(test.outputs())).toEqual(['a 0-30 [2,1,2]', 'a 30-60 [1,1]', 'a 60-90 [1]']);
  });
});

describe('bad input', () => {
  it('is refused when the pipeline is written', () => {
    const by = clicksByUser();
    expect(() => by.window(tumbling(seconds(1)), { emit: 'never' as 'onClose' })).toThrow(
      /'onClose' or 'onUpdate'/,
    );
    expect(() => by.window(tumbling(seconds(1)), { late: 'lose' as 'drop' })).toThrow(
      /'drop', 'deadLetter', 'accept'/,
    );
    expect(() => tumbling(seconds(0))).toThrow(/at least one/);
    expect(() => tumbling(seconds(5), { offset: seconds(5) })).toThrow(/less than the slide/);
    expect(() => sliding(seconds(5_000), seconds(1))).toThrow(/the limit is 1000/);
    expect(() =>
      pipeline('p')
        .from(kinesis<Click>('c'))
        .eventTime(({ at }) => at)
        .arrivalTime(),
    ).toThrow(/a time twice/);
    expect(() =>
      // @ts-expect-error its time would be known in the order of other shards
      pipeline('p')
        .from(kinesis<Click>('c'))
        .eventTime(({ at }) => at)
        .repartition('again', ({ user }) => user),
    ).toThrow(/behind the repartition/);
  });

  it('has no time, where what waits for it is refused when the pipeline is written', () => {
    const untimed = pipeline('p')
      .from(kinesis<Click>('c'))
      .keyBy(({ user }) => user) as unknown as ReturnType<typeof clicksByUser>;
    expect(() => untimed.window(tumbling(seconds(1))).count('w')).toThrow(
      "Operator 'w' waits for time, and pipeline 'p' has no time",
    );
    expect(() => untimed.process('p', { onRecord: () => undefined })).toThrow(/no time/);
  });

  it('makes a record without a time a dead letter', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .window(tumbling(seconds(10)))
        .count('w')
        .to(out),
    );
    await test.send({ user: 'a', at: Number.NaN }, click('a', -1), click('a', 5), click('a', 12));
    expect(test.deadLetters().map(({ stage, reason }) => [stage, reason])).toEqual([
      ['stateless', expect.stringMatching(/eventTime gave a value of type null/)],
      ['stateless', expect.stringMatching(/eventTime gave -1000/)],
    ]);
    expect(shown(test.outputs())).toEqual(['a 0-10 1']);
  });
});

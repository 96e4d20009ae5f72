import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { count, kinesis, pipeline, tumbling } from '../../../shared/index.ts';
import { testPipeline } from '../../../shared/testing/index.ts';
import { click, clicksByUser, type Click } from './clicks.ts';

const out = kinesis<unknown>('out');
const byNumber = ({ n }: Click): string => String(n);
/** Clicks are the same where their number is; what is kept shows as `number at second`. */
const kept = (limit?: number) =>
  clicksByUser()
    .dedupeBy(byNumber, limit === undefined ? {} : { limit })
    .map(({ n, at }) => `${n} at ${at / 1_000}`)
    .to(out);
const values = (test: { outputs(): readonly { readonly value: unknown }[] }): unknown[] =>
  test.outputs().map(({ value }) => value);
const idsOf = (state: unknown): number =>
  ((state as { dedupe?: Uint8Array } | undefined)?.dedupe?.length ?? 0) / 18;

describe('dedupeBy within the watermark', () => {
  it('drops what comes again within the lateness, in either order of event time', async () => {
    const test = testPipeline<Click>(kept());
    await test.send(click('a', 10, 1), click('a', 12, 1), click('a', 11, 2));
    await test.send(click('a', 9, 2), click('b', 12, 1));
    expect((values(test) as string[]).toSorted()).toEqual(['1 at 10', '1 at 12', '2 at 11']);
  });

  it('keeps what comes again beyond it, also while the id is not removed', async () => {
    const test = testPipeline<Click>(kept());
    await test.send(click('a', 10, 1), click('a', 13, 1), click('a', 15, 1));
    expect(values(test)).toEqual(['1 at 10', '1 at 13']);
  });

  it('does not remember an id longer for its duplicates', async () => {
    const test = testPipeline<Click>(kept());
    await test.send(click('a', 10, 1), click('a', 12, 1), click('a', 13, 1));
    expect(values(test)).toEqual(['1 at 10', '1 at 13']);
  });

  it('drops and forgets what is late', async () => {
    const test = testPipeline<Click>(kept());
    await test.send(click('a', 10, 1), click('a', 20, 2), click('a', 17, 3), click('a', 19, 4));
    expect(values(test)).toEqual(['1 at 10', '2 at 20', '4 at 19']);
    expect(idsOf(test.state('a'))).toBe(2);
  });

  it('leaves no state once event time is over for all ids of the key', async () => {
    const test = testPipeline<Click>(kept());
    await test.send(click('a', 10, 1), click('a', 11, 2));
    expect(idsOf(test.state('a'))).toBe(2);
    await test.send(click('b', 14.5, 1), click('b', 14.5, 2));
    expect(idsOf(test.state('a'))).toBe(1);
    await test.send(click('b', 16, 1));
    expect(test.state('a')).toBeUndefined();
  });

  it('forgets beyond its limit what would be forgotten first', async () => {
    const test = testPipeline<Click>(kept(2));
    await test.send(
      click('a', 12, 1),
      click('a', 11, 2),
      click('a', 12, 3),
      click('a', 12, 1),
      click('a', 12, 2),
    );
    expect(values(test)).toEqual(['1 at 12', '2 at 11', '3 at 12', '2 at 12']);
  });

  it('takes results of windows', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .window(tumbling({ seconds: 1 }))
        .aggregate('n', count())
        .dedupeBy(({ value }) => String(value))
        .map(({ window }) => window.start / 1_000)
        .to(out),
    );
    await test.send(...[1, 2, 3, 4, 5, 6, 7, 20].map((at) => click('a', at)));
    // The first stands for those within two seconds behind it, and so on.
    expect(values(test)).toEqual([1, 4, 7]);
  });

  it('rejects a value whose id is none', async () => {
    const test = testPipeline<Click>(
      clicksByUser()
        .dedupeBy(() => '')
        .to(out),
    );
    await test.send(click('a', 1));
    expect(test.deadLetters()).toMatchObject([{ stage: 'fold', key: 'a' }]);
  });

  it('is refused without a lateness, and with a limit that is none', () => {
    const untimed = pipeline('p').from(kinesis<Click>('s'));
    const withoutLateness = untimed.eventTime(({ at }) => at).keyBy(({ user }) => user);
    expect(() => withoutLateness.dedupeBy(byNumber)).toThrow(/has no watermark that bounds how long ids/);
    expect(() => kept(0)).toThrow(/'limit' of dedupeBy 'dedupe' is 0/);
  });

  it('keeps what the times of the records alone say, however they are cut (I10)', async () => {
    const clicks = fc.array(fc.tuple(fc.integer({ min: 0, max: 12 }), fc.constantFrom(1, 2, 3)), {
      maxLength: 20,
    });
    await fc.assert(
      fc.asyncProperty(clicks, fc.integer({ min: 1, max: 5 }), async (drawn, size) => {
        const expected: string[] = [];
        const until = new Map<number, number>();
        let highest = -Infinity;
        for (const [at, n] of drawn) {
          const isLate = at < highest - 2;
          highest = Math.max(highest, at);
          if (isLate || at <= (until.get(n) ?? -Infinity)) continue;
          until.set(n, at + 2);
          expected.push(`${n} at ${at}`);
        }
        const test = testPipeline<Click>(kept());
        const all = drawn.map(([at, n]) => click('a', at, n));
        for (let from = 0; from < all.length; from += size) await test.send(...all.slice(from, from + size));
        expect(values(test)).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });
});

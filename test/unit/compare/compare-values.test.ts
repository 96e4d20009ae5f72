import { describe, expect, it } from 'vitest';
import { comparableText } from '../../../infra/compare/comparable-text.ts';
import { OutputBuckets } from '../../../infra/compare/output-buckets.ts';
import { pairSinks } from '../../../infra/compare/paired-sinks.ts';
import type { SinkKind } from '../../../infra/cli/pipeline-access.ts';

describe('the text by which values are compared', () => {
  it('does not depend on the order of fields', () => {
    expect(comparableText({ b: [{ d: 1, c: 2 }], a: null })).toBe(
      comparableText({ a: null, b: [{ c: 2, d: 1 }] }),
    );
    expect(comparableText([1, 2])).not.toBe(comparableText([2, 1]));
    expect(comparableText('1')).not.toBe(comparableText(1));
    expect(comparableText(12n)).not.toBe(comparableText(12));
  });

  it('leaves out fields, inside lists and objects too', () => {
    const ignored = [['at'], ['window', 'start'], ['rows', 'at']];
    const text = comparableText({ at: 1, window: { start: 2, at: 3 }, rows: [{ at: 4, x: 5 }] }, ignored);
    expect(text).toBe('{"rows":[{"x":5}],"window":{"at":3}}');
  });
});

describe('the sinks of a pipeline and its fork', () => {
  const stream: SinkKind = { kind: 'stream', outputs: 'change' };
  const table: SinkKind = { kind: 'table', outputs: 'event' };
  const kinds = (all: Record<string, SinkKind>) => new Map(Object.entries(all));

  it('go together by name, and where each has one of a kind left', () => {
    const { pairs, alone } = pairSinks(
      kinds({ rows: table, delays: stream }),
      kinds({ canary: { ...stream, outputs: 'event' }, rows: table }),
      new Map(),
    );
    expect(pairs).toEqual([
      { old: 'rows', new: 'rows', kind: 'table', outputs: 'event' },
      { old: 'delays', new: 'canary', kind: 'stream', outputs: 'change' },
    ]);
    expect(alone).toEqual({ old: [], new: [] });
  });

  it('are left alone where it could be any, unless it is said', () => {
    const [old, now] = [kinds({ a: stream, b: stream }), kinds({ c: stream, d: stream })];
    expect(pairSinks(old, now, new Map())).toEqual({
      pairs: [],
      alone: { old: ['a', 'b'], new: ['c', 'd'] },
    });
    // The other pair is the only one left then.
    expect(pairSinks(old, now, new Map([['a', 'd']])).pairs.map((pair) => [pair.old, pair.new])).toEqual([
      ['a', 'd'],
      ['b', 'c'],
    ]);
  });

  it('are refused where there are no such, or they are of two kinds', () => {
    const [old, now] = [kinds({ a: stream }), kinds({ t: table })];
    expect(() => pairSinks(old, now, new Map([['x', 't']]))).toThrow('has no sink x; its sinks are a');
    expect(() => pairSinks(old, now, new Map([['a', 'x']]))).toThrow('has no sink x; its sinks are t');
    expect(() => pairSinks(old, now, new Map([['a', 't']]))).toThrow('Sink a is a stream, and t a table');
  });
});

describe('the buckets of outputs', () => {
  it('give back each key whole and in order, on disk or not, and leave nothing', () => {
    const buckets = new OutputBuckets();
    // Some are beyond what is held in memory.
    const value = JSON.stringify('x'.repeat(10_000));
    for (let at = 0; at < 40; at++) {
      for (const key of ['one', 'another']) {
        buckets.add('old', `p/s/0/${at}/0/0/out/0`, { key, value, arrivalMs: at });
      }
    }
    buckets.add('new', 'q/s/0/7/0/0/out/0', { key: 'one', value, arrivalMs: 7 });
    const found = [...buckets.all({ old: 'p', new: 'q' })];
    buckets.remove();
    for (const key of ['one', 'another']) {
      const own = found.filter(({ old }) => old.some((output) => output.key === key));
      expect(own).toHaveLength(1);
      const positions = own[0]?.old
        .filter((output) => output.key === key)
        .map(({ place }) => place.position.sequence);
      expect(positions).toEqual(Array.from({ length: 40 }, (_, at) => String(at)));
    }
    expect(found.flatMap((each) => each.new).map(({ place }) => place.tail)).toEqual(['s/0/7/0/0/0']);
    expect(buckets.counts).toEqual({ old: 80, new: 1 });
  });
});

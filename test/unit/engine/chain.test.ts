import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import { kinesis, outputs, pipeline, type Pipeline } from '../../../shared/index.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import { sourceRecord, START_MS, testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { envelopeOf, put, type Upstream } from './chained.ts';
import { deliver, drain, itemOf, letters, stateOf } from './deliver.ts';

const HOUR_MS = 3_600_000;

/** Every value that came, in order, under one key: it keys more coarsely than any destination key. */
const seen: Pipeline = pipeline('second')
  .from(outputs<string>('between', { upstreamRetentionHours: 24 }))
  .keyBy(() => 'k')
  .updateStateByKey<string[]>('seen', ([value], list = []) => [...list, value ?? '']);

function cold(world: TestWorld): TestWorld['runtime'] {
  return { ...world.runtime, cache: new ItemCache(), generation: undefined };
}

/** Records of shard 0 with these outputs, numbered from `from`. */
function stream(upstream: readonly Upstream[], from = 0): SourceRecord[] {
  return upstream.map((each, place) => put(0, from + place, each));
}

const a1: Upstream = { of: 1, destination: 'a', value: 'a1' };
const a2: Upstream = { of: 2, destination: 'a', value: 'a2' };
const a3: Upstream = { of: 4, destination: 'a', value: 'a3' };
const b1: Upstream = { of: 3, destination: 'b', value: 'b1' };

describe('a chained pipeline', () => {
  it('folds the value of an envelope, and counts an output once that stands twice in a batch', async () => {
    const world = testWorld(seen);
    const { failedFrom, report } = await deliver(world, stream([a1, a2, a1, a2, a3, a3]));
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ applied: 3, duplicates: 3 });
    expect(stateOf(world, 'k', 'seen')).toEqual(['a1', 'a2', 'a3']);
  });

  it('counts an output once that comes again in a later batch, behind others of its lane too', async () => {
    const world = testWorld(seen);
    await drain(world, stream([a1, b1, a2]));
    await drain(world, stream([a1, a2, a3], 3), { runtime: cold(world) });
    expect(stateOf(world, 'k', 'seen')).toEqual(['a1', 'b1', 'a2', 'a3']);
  });

  it('counts an output once that was put before and after a split of the stream between', async () => {
    const world = testWorld(seen);
    await drain(world, [put(0, 0, a1), put(0, 1, a2)]);
    await drain(world, [put(1, 0, a2), put(1, 1, a3)], { shard: 1 });
    expect(stateOf(world, 'k', 'seen')).toEqual(['a1', 'a2', 'a3']);
  });

  it('counts an output once that two shards hold and two invocations take at the same moment', async () => {
    const world = testWorld(seen);
    await Promise.all([
      drain(world, [put(0, 0, a1), put(0, 1, a2)]),
      drain(world, [put(1, 0, a1), put(1, 1, a2)], { shard: 1, runtime: cold(world) }),
    ]);
    expect(stateOf(world, 'k', 'seen')).toEqual(['a1', 'a2']);
  });

  it('takes what comes later from an earlier record, where its destination is another', async () => {
    const world = testWorld(seen);
    await drain(world, stream([a3, b1, a3]));
    expect(stateOf(world, 'k', 'seen')).toEqual(['a3', 'b1']);
  });

  it.each<[string, Partial<Upstream>]>([
    ['sink', { sink: 'other' }],
    ['lane', { lane: 'first/1' }],
    ['lane of a partition key', { lane: 'first/0#x' }],
    ['lineage', { lineage: 'other' }],
  ])('does not take the output of another %s for one it has seen', async (_, other) => {
    const world = testWorld(seen);
    await drain(world, stream([a2, { ...a1, ...other, value: 'other' }, a2]));
    expect(stateOf(world, 'k', 'seen')).toEqual(['a2', 'other']);
  });

  it('tells the outputs of one record apart by element and index, in their order', async () => {
    const world = testWorld(seen);
    const several: Upstream[] = [
      { ...a1, element: 0, index: 1, value: '0/1' },
      { ...a1, element: 2, index: 0, value: '2/0' },
      { ...a1, element: 2, index: 10, value: '2/10' },
      { ...a1, element: 10, index: 0, value: '10/0' },
    ];
    for (const [number, each] of several.entries()) await drain(world, [put(0, number, each)]);
    await drain(world, stream(several, several.length), { runtime: cold(world) });
    expect(stateOf(world, 'k', 'seen')).toEqual(['0/1', '2/0', '2/10', '10/0']);
  });

  it('gives each output its effect once, in the order of its lane, however it is repeated and cut', async () => {
    const lane = fc.record({
      lane: fc.constantFrom('first/0', 'first/1#p'),
      sink: fc.constantFrom('out', 'other'),
      destination: fc.constantFrom('a', 'b', 'c'),
    });
    /** How many outputs of a lane are put, and from which one it begins again. */
    const puts = fc.array(fc.tuple(lane, fc.nat(4), fc.integer({ min: 1, max: 4 })), { maxLength: 12 });
    const cuts = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(puts, cuts, fc.integer({ min: 0, max: 40 }), async (rounds, sizes, splitAt) => {
        const made = new Map<string, number>();
        const all: Upstream[] = [];
        for (const [where, back, more] of rounds) {
          const name = JSON.stringify(where);
          const last = made.get(name) ?? 0;
          const to = last + more;
          for (let of = Math.max(1, last - back + 1); of <= to; of++) {
            all.push({ ...where, of, value: `${name} ${of}` });
          }
          made.set(name, to);
        }
        const shards = [all.slice(0, splitAt), all.slice(splitAt)];
        const world = testWorld(seen);
        for (const [shard, part] of shards.entries()) {
          const records = part.map((each, number) => put(shard, number, each));
          for (let at = 0, cut = 0; at < records.length; cut++) {
            const size = sizes[cut % sizes.length] as number;
            // Each batch comes twice, the first time longer: what Lambda does where an answer is lost.
            await deliver(world, records.slice(at, at + 2 * size), { shard });
            await drain(world, records.slice(at, at + size), { shard, runtime: cold(world) });
            at += size;
          }
        }
        const expected: string[] = [];
        for (const { value } of all) if (!expected.includes(value as string)) expected.push(value as string);
        expect(stateOf(world, 'k', 'seen') ?? []).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it('still knows what it took while its source was a plain one', async () => {
    const plain = pipeline('second')
      .from(kinesis<{ value: string }>('between'))
      .map(({ value }) => value)
      .keyBy(() => 'k')
      .updateStateByKey<string[]>('seen', ([value], list = []) => [...list, value ?? '']);
    const before = testWorld(plain);
    const batch = stream([a1, a2]);
    await drain(before, batch);
    const world = testWorld(seen, { store: before.store });
    await drain(world, [...batch, put(0, 2, a3)]);
    expect(stateOf(before, 'k', 'seen')).toEqual(['a1', 'a2', 'a3']);
  });

  it('with parallelization counts each output once', async () => {
    const world = testWorld(seen, { parallelizationFactor: 2 });
    const of = (number: number, upstream: Upstream): SourceRecord =>
      sourceRecord(0, number, { value: envelopeOf(upstream), partitionKey: upstream.destination ?? '' }, 2);
    await drain(world, [of(1, b1), of(3, b1)]);
    await drain(world, [of(0, a1), of(2, a2), of(4, a1)]);
    expect(stateOf(world, 'k', 'seen')).toEqual(['b1', 'a1', 'a2']);
  });
});

describe('an item of a chained pipeline', () => {
  const many = (count: number, from = 0): SourceRecord[] =>
    Array.from({ length: count }, (_, n) =>
      put(0, from + n, { of: 1, destination: `d${from + n}`, value: '' }),
    );

  it('that too many destination keys feed stops its shard, with the advice to key the outputs alike', async () => {
    const world = testWorld(seen);
    const batch = many(260);
    const { failedFrom } = await deliver(world, batch);
    expect(failedFrom).toEqual(batch[256]?.position);
    expect(world.logged.at(-1)).toMatch(
      /marks of 256 lanes, the limit.*publish under the key by which this pipeline keys/,
    );
    // What is there already is no new lane.
    await drain(
      world,
      many(10, 300).map((record, n) => ({ ...record, data: (many(10)[n] as SourceRecord).data })),
    );
    expect(stateOf(world, 'k', 'seen')).toHaveLength(256);
  });

  it('keeps a mark for the retentions of all streams and two hours, and drops it then (I9)', async () => {
    const three = pipeline('third')
      .from(outputs<string>('between', { retentionHours: 36, upstreamRetentionHours: 72 }))
      .keyBy(() => 'k')
      .updateStateByKey<number>('n', (_, n = 0) => n + 1);
    const at = (number: number, upstream: Upstream, hours: number): SourceRecord =>
      put(0, number, upstream, { arrivalMs: START_MS + hours * HOUR_MS });
    const world = testWorld(three);
    await drain(world, [at(0, { ...a1, arrivalMs: START_MS - 72 * HOUR_MS }, 0)]);
    await drain(world, [at(1, b1, 110), at(2, a1, 110)]);
    expect(stateOf(world, 'k', 'n')).toBe(2);
    expect(itemOf(world, 'k')?.marks.size).toBe(2);
    await drain(world, [at(3, { ...b1, of: 9 }, 110.1)]);
    expect(itemOf(world, 'k')?.marks.size).toBe(1);
  });

  it('without state expires once the put that comes last cannot be handed in any more', async () => {
    const removing = pipeline('second')
      .from(outputs<string>('between', { upstreamRetentionHours: 48 }))
      .keyBy(() => 'k')
      .mapWithState<number, number>('n', (_, state) => void state.remove());
    const world = testWorld(removing);
    await drain(world, stream([a1]));
    expect(itemOf(world, 'k')?.expiresAtSeconds).toBe(world.nowMs / 1_000 + (48 + 24 + 1 + 24) * 3_600);
  });
});

describe('the outputs of a chained pipeline', () => {
  const counting = pipeline('second')
    .from(outputs<string>('between', { upstreamRetentionHours: 24 }))
    .keyBy(() => 'k')
    .mapWithState<number, number>('n', (value, state) => {
      if (value === 'bad') throw new Error('bad');
      state.update((state.get() ?? 0) + 1);
      return state.get();
    })
    .to(kinesis('events'))
    .reduceByKey('sum', (a, b) => a + b)
    .to(kinesis('changes'));

  it('have their own shard and positions, and the arrival at the head of the chain', async () => {
    const world = testWorld(counting);
    const record = put(0, 7, { ...a1, arrivalMs: START_MS - HOUR_MS });
    await drain(world, [record]);
    for (const name of ['events', 'changes']) {
      const [delivered] = world.sinks.get(name)?.delivered ?? [];
      expect(delivered?.id).toBe(`second/${record.lane}/${record.position.sequence}/0/0/${name}/0`);
      expect(delivered?.entry).toMatchObject({
        lane: record.lane,
        position: record.position,
        arrivalMs: record.arrivalMs,
        originArrivalMs: START_MS - HOUR_MS,
      });
    }
  });

  it('are published again where the process died before, and not for another put of the same output', async () => {
    const world = testWorld(counting);
    const dying = {
      maximumDeliveries: 500,
      maximumBytes: 5_000_000,
      deliver: () => Promise.reject(new Error()),
    };
    const batch = stream([a1, a2]);
    await deliver(world, batch, {
      runtime: {
        ...cold(world),
        sinks: new Map([
          ['events', dying],
          ['changes', dying],
        ]),
      },
    });
    // The repeat stands in a shard of its own: its batch may not publish what belongs to another.
    await drain(world, [put(1, 0, a1)], { shard: 1, runtime: cold(world) });
    expect(world.sinks.get('events')?.delivered).toEqual([]);
    await drain(world, batch, { runtime: cold(world) });
    expect(world.sinks.get('events')?.values()).toEqual([1, 2]);
    expect(world.sinks.get('changes')?.values()).toEqual([3]);
    expect(stateOf(world, 'k', 'n')).toBe(2);
  });

  it('and its dead letters leave the outbox once their record cannot be handed in any more', async () => {
    const world = testWorld(counting);
    const late = START_MS + 26.1 * HOUR_MS;
    await drain(world, [put(1, 0, a1), put(1, 1, { ...a2, value: 'bad' })], { shard: 1 });
    expect(itemOf(world, 'k')?.outbox).toHaveLength(3);
    await drain(world, [put(0, 0, a3, { arrivalMs: late })]);
    const lanes = itemOf(world, 'k')?.outbox.map(({ lane }) => lane);
    expect(new Set(lanes)).toEqual(new Set([put(0, 0, a3).lane]));
    // The marks stay: upstream may put again for longer.
    await drain(world, [put(0, 1, a2, { arrivalMs: late })]);
    expect(stateOf(world, 'k', 'n')).toBe(2);
  });
});

describe('a record of the stream between', () => {
  const good = JSON.parse(envelopeOf(a1)) as { provenance: Record<string, unknown> };
  const without = (name: string): unknown => ({
    ...good,
    provenance: Object.fromEntries(Object.entries(good.provenance).filter(([each]) => each !== name)),
  });

  it.each<[string, unknown, RegExp]>([
    ['is text', '"text"', /it is no object/],
    ['is null', null, /it is no object/],
    ['is an array', [1], /it has no 'value'/],
    ['has no value', { provenance: good.provenance }, /it has no 'value'/],
    ['has no provenance', { value: 1 }, /it has no 'provenance'/],
    ['has no key', { ...good, key: 7 }, /no text 'key'/],
    ['has no lineage', without('lineage'), /no text 'lineage'/],
    ['has no lane', without('lane'), /no text 'lane'/],
    ['has no sink', without('sink'), /no text 'sink'/],
    ['has no destination', without('destination'), /no text 'destination'/],
    [
      'has a position that is none',
      { ...good, provenance: { ...good.provenance, position: '7' } },
      /'position' is none/,
    ],
    ['has no arrival', without('arrivalMs'), /'arrivalMs' is no time/],
  ])('that %s is a dead letter, whole, and the shard goes on', async (_, value, reason) => {
    const world = testWorld(seen);
    await drain(world, [sourceRecord(0, 0, { value }), put(0, 1, a1)]);
    expect(letters(world)).toEqual([
      { stage: 'decode', reason: expect.stringMatching(reason) as string, key: undefined },
    ]);
    expect([...world.letters.values()][0]?.data).toBe(sourceRecord(0, 0, { value }).data);
    expect(stateOf(world, 'k', 'seen')).toEqual(['a1']);
  });

  it('comes with the key under which it was published, where asked for', async () => {
    const world = testWorld(
      pipeline('second')
        .from(outputs<string>('between', { upstreamRetentionHours: 24, withKey: true }))
        .keyBy(({ key }) => key)
        .updateStateByKey<string>('last', ([output]) => output?.value),
    );
    await drain(world, [put(0, 0, { ...a1, destination: 'ATL' })]);
    expect(stateOf(world, 'ATL', 'last')).toBe('a1');
  });

  it('whose value the schema refuses is one dead letter, however often it was put', async () => {
    const world = testWorld(
      pipeline('second')
        .from(outputs('between', { schema: v.object({ n: v.number() }), upstreamRetentionHours: 24 }))
        .keyBy(() => 'k')
        .updateStateByKey<number>('sum', ([value], sum = 0) => sum + (value?.n ?? 0)),
    );
    await drain(world, [put(0, 0, { ...a1, value: { n: 'x' } }), put(0, 1, { ...a2, value: { n: 5 } })]);
    await drain(world, [put(1, 0, { ...a1, value: { n: 'x' } })], { shard: 1 });
    expect(letters(world)).toMatchObject([{ stage: 'schema', key: undefined }]);
    expect(stateOf(world, 'k', 'sum')).toBe(5);
  });

  it('that user code rejects is one dead letter, with the envelope as it came', async () => {
    const world = testWorld(
      pipeline('second')
        .from(outputs<string>('between', { upstreamRetentionHours: 24 }))
        .keyBy(() => 'k')
        .updateStateByKey<string>('s', () => {
          throw new Error('no');
        }),
    );
    const record = put(0, 0, a1);
    await drain(world, [record, put(0, 1, a1)]);
    expect([...world.letters.values()]).toMatchObject([{ stage: 'fold', key: 'k', data: record.data }]);
  });
});

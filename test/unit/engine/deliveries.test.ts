import { describe, expect, it } from 'vitest';
import { MemoryDeadLetterStore } from '../../../shared/output/memory-dead-letters.ts';
import { kinesis, pipeline, type Pipeline } from '../../../shared/index.ts';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import type { Delivery, SinkPort } from '../../../shared/output/sink-port.ts';
import { sourceRecord, testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { deliver, drain, GRANTED_MS, itemOf, letters, records, rest, stateOf } from './deliver.ts';

interface Value {
  readonly key: string;
  readonly to?: string;
  readonly bad?: boolean;
}

/** An event per record, to a destination of the record's own, and a change per key. */
const subject: Pipeline = pipeline('p')
  .from(kinesis<Value>('s'))
  .keyBy(({ key }) => key)
  .mapWithState<number, { to: string; n: number }>('n', ({ to = 'd', bad }, state) => {
    if (bad === true) throw new Error('bad');
    const n = (state.get() ?? 0) + 1;
    state.update(n);
    return { to, n };
  })
  .to(kinesis('events', { key: ({ to }: { to: string }) => to }));

const A: Value = { key: 'a' };
const B: Value = { key: 'b' };

/** A container that starts anew: on the same store, sinks and letters, with nothing in its memory. */
function cold(world: TestWorld): TestWorld['runtime'] {
  return { ...world.runtime, cache: new ItemCache(), generation: undefined };
}

function ids(world: TestWorld): string[] {
  return world.sinks.get('events')?.delivered.map(({ id }) => id) ?? [];
}

describe('a batch', () => {
  it('of ten thousand records is applied whole, and published in order', async () => {
    const world = testWorld(subject);
    const batch = records(
      Array.from({ length: 10_000 }, (_, n) => ({ key: `k${n % 100}`, to: `k${n % 100}` })),
    );
    const { failedFrom, report } = await deliver(world, batch);
    expect(failedFrom).toBeUndefined();
    expect(report).toEqual({
      records: 10_000,
      applied: 10_000,
      duplicates: 0,
      deadLetters: 0,
      conflicts: 0,
      late: 0,
      keys: 100,
      outsideShard: 0,
      published: 10_000,
      unfinished: 0,
    });
    expect(stateOf(world, 'k42', 'n')).toBe(100);
  });

  it('of 6 MB in six records is applied whole', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis<{ text: string }>('s'))
        .keyBy(() => 'k')
        .updateStateByKey<number>('characters', ([value], sum = 0) => sum + (value?.text.length ?? 0)),
    );
    const { failedFrom } = await deliver(world, records(Array(6).fill({ text: 'x'.repeat(1_000_000) })));
    expect(failedFrom).toBeUndefined();
    expect(stateOf(world, 'k', 'characters')).toBe(6_000_000);
  });

  it('whose sequence numbers grow by a digit is in order (they compare as integers)', async () => {
    const world = testWorld(subject);
    const batch = records(Array(10).fill(A));
    expect(new Set(batch.map(({ position }) => position.sequence.length)).size).toBe(2);
    for (const record of batch) await drain(world, [record]);
    expect(stateOf(world, 'a', 'n')).toBe(10);
    const { report } = await deliver(world, batch);
    expect(report).toMatchObject({ applied: 0, duplicates: 10 });
  });

  it('that comes again below its progress is done, whatever the code makes of it now (I5)', async () => {
    const world = testWorld(subject);
    const batch = records([A, B, A]);
    await deliver(world, batch);
    const { failedFrom, report } = await deliver(world, batch, { runtime: cold(world) });
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ applied: 0, duplicates: 3, published: 0 });
    expect(stateOf(world, 'a', 'n')).toBe(2);
  });

  it('that comes twice is applied once, and published again under the same ids', async () => {
    const world = testWorld(subject);
    const batch = records([A, B, A]);
    const store = new Proxy(world.store, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (name === 'advance') return () => Promise.reject(new Error('The table cannot be reached.'));
        return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      },
    });
    await expect(deliver(world, batch, { runtime: { ...world.runtime, store } })).rejects.toThrow('reached');
    const { failedFrom, report } = await deliver(world, batch, { runtime: cold(world) });
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ applied: 0, duplicates: 3, published: 3 });
    expect(stateOf(world, 'a', 'n')).toBe(2);
    expect(ids(world).slice(3)).toEqual(ids(world).slice(0, 3));
  });

  it('of which half comes again is applied once', async () => {
    const world = testWorld(subject);
    const batch = records([A, A, A, A]);
    await drain(world, batch.slice(0, 2));
    const { report } = await deliver(world, batch);
    expect(report).toMatchObject({ applied: 2, duplicates: 2 });
    await deliver(world, batch.slice(1, 3));
    expect(stateOf(world, 'a', 'n')).toBe(4);
  });

  it('that comes long after others moves no progress back (I2)', async () => {
    const world = testWorld(subject);
    const batch = records([A, A, A]);
    await drain(world, batch);
    await deliver(world, batch.slice(0, 1));
    expect(world.store.progress(1, batch[0]?.lane ?? '')?.position).toEqual(batch[2]?.position);
  });

  it('that two invocations take at once is applied once, whoever wins', async () => {
    const world = testWorld(subject);
    const batch = records([A, B, A, B, A]);
    const results = await Promise.all([
      deliver(world, batch),
      deliver(world, batch, { runtime: cold(world) }),
      deliver(world, batch.slice(0, 3), { runtime: cold(world) }),
    ]);
    expect(results.map(({ failedFrom }) => failedFrom)).toEqual([undefined, undefined, undefined]);
    expect(stateOf(world, 'a', 'n')).toBe(3);
    expect(stateOf(world, 'b', 'n')).toBe(2);
    expect(new Set(ids(world)).size).toBe(5);
    expect(results.reduce((sum, { report }) => sum + report.conflicts, 0)).toBeGreaterThan(0);
  });

  it('has the ids of its outputs also with parallelization', async () => {
    const [one, many] = [testWorld(subject), testWorld(subject, { parallelizationFactor: 4 })];
    await drain(one, records([A, B]));
    await drain(
      many,
      [A, B].map((value, number) => sourceRecord(0, number, { value }, 4)),
    );
    expect(ids(many)).toEqual(ids(one));
  });

  it('with parallelization is not applied again once the factor is 1, nor the other way round', async () => {
    const world = testWorld(subject, { parallelizationFactor: 2 });
    const sharded = [A, A].map((value, number) =>
      sourceRecord(0, number, { value, partitionKey: `p${number}` }, 2),
    );
    await drain(world, sharded);
    const single = [A, A].map((value, number) =>
      sourceRecord(0, number, { value, partitionKey: `p${number}` }),
    );
    const { report } = await deliver(world, single, {
      runtime: { ...cold(world), parallelizationFactor: 1 },
    });
    expect(report).toMatchObject({ applied: 0, duplicates: 2 });
    const third = sourceRecord(0, 2, { value: A });
    await drain(world, [third], { runtime: { ...cold(world), parallelizationFactor: 1 } });
    const back = await deliver(world, [sourceRecord(0, 2, { value: A }, 2)], { runtime: cold(world) });
    expect(back.report).toMatchObject({ applied: 0, duplicates: 1 });
    expect(stateOf(world, 'a', 'n')).toBe(3);
  });

  it('whose records are filtered out counts as applied, and as duplicates when it comes again', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis('s'))
        .filter(() => false)
        .keyBy(() => 'k'),
    );
    const batch = records([1, 2]);
    expect((await deliver(world, batch)).report).toMatchObject({ applied: 2, duplicates: 0, keys: 0 });
    expect((await deliver(world, batch)).report).toMatchObject({ applied: 0, duplicates: 2, keys: 0 });
  });
});

describe('a table that throttles', () => {
  function throttling(world: TestWorld, pk: string, times: number): TestWorld['runtime'] {
    let left = times;
    const { store } = world;
    const commit = store.commit.bind(store);
    store.commit = async (writes) =>
      Promise.all(
        writes.map(async (write) => {
          if (write.item.pk === pk && left-- > 0) return 'failed';
          return (await commit([write]))[0] ?? 'failed';
        }),
      );
    return world.runtime;
  }

  it('for a while delays nothing but that key, within one invocation', async () => {
    const world = testWorld(subject);
    const runtime = throttling(world, '1/s/a', 2);
    const { failedFrom, report } = await deliver(world, records([A, B, A]), { runtime });
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ applied: 3, conflicts: 0, published: 3 });
  });

  it('one key for ever holds its shard in front of that key’s first record, and others are not applied twice', async () => {
    const world = testWorld(subject);
    throttling(world, '1/s/a', Number.POSITIVE_INFINITY);
    const batch = records([B, A, B]);
    for (let count = 0; count < 3; count++) {
      const result = await deliver(world, batch);
      expect(result.failedFrom).toEqual(batch[1]?.position);
      expect(result.report.unfinished).toBe(2);
    }
    expect(stateOf(world, 'b', 'n')).toBe(2);
    expect(stateOf(world, 'a', 'n')).toBeUndefined();
    // Nothing above what could not be committed is published.
    expect(
      new Set(
        world.sinks
          .get('events')
          ?.values()
          .map((value) => (value as { n: number }).n),
      ),
    ).toEqual(new Set([1]));
    expect(world.logged).toContain('Items could not be committed; their records come again');
  });

  it('when it is read fails the invocation, and nothing is acknowledged', async () => {
    const world = testWorld(subject);
    const store = Object.assign(Object.create(world.store) as typeof world.store, {
      load: async () => Promise.reject(new Error('ProvisionedThroughputExceeded')),
      beginAttempt: world.store.beginAttempt.bind(world.store),
      readControl: world.store.readControl.bind(world.store),
      createProgress: world.store.createProgress.bind(world.store),
      advance: world.store.advance.bind(world.store),
    });
    const batch = records([A]);
    await expect(deliver(world, batch, { runtime: { ...world.runtime, store } })).rejects.toThrow(
      'Throughput',
    );
    const row = world.store.progress(1, batch[0]?.lane ?? '');
    expect(row?.position).toBeUndefined();
    expect(row?.attempts.size).toBe(0);
    await drain(world, batch);
    expect(stateOf(world, 'a', 'n')).toBe(1);
  });
});

describe('a bucket that denies', () => {
  it('dead letters holds the record back, and takes the letter once it works', async () => {
    const world = testWorld(subject);
    const denying = {
      ...world.runtime,
      deadLetters: Object.assign(new MemoryDeadLetterStore(() => 0), {
        put: async () => Promise.reject(new Error('AccessDenied')),
      }),
    };
    const batch = records([A, { ...A, bad: true }, A]);
    const result = await deliver(world, batch, { runtime: denying });
    expect(result.failedFrom).toEqual(batch[1]?.position);
    expect(result.report).toMatchObject({ applied: 2, deadLetters: 1, unfinished: 2 });
    expect(world.letters.size).toBe(0);

    const again = await deliver(world, rest(batch, result));
    expect(again.failedFrom).toBeUndefined();
    expect(again.report).toMatchObject({ applied: 0, deadLetters: 0, duplicates: 2 });
    expect(letters(world)).toHaveLength(1);
    expect([...world.letters.values()][0]?.data).toBe(batch[1]?.data);
    expect(stateOf(world, 'a', 'n')).toBe(2);
  });
});

describe('a sink', () => {
  /** Fails for these destination keys, as long as they are in the set. */
  function picky(world: TestWorld, refused: ReadonlySet<string>): TestWorld['runtime'] {
    const sink = world.sinks.get('events') as SinkPort;
    const port: SinkPort = {
      maximumDeliveries: 2,
      maximumBytes: 10_000,
      deliver: async (deliveries: readonly Delivery[]) =>
        Promise.all(
          deliveries.map(
            async (each) => !refused.has(each.destinationKey) && ((await sink.deliver([each]))[0] ?? false),
          ),
        ),
    };
    return { ...world.runtime, sinks: new Map([['events', port]]) };
  }

  it('that fails for one destination key gets the others, and the answer names the first that it did not get', async () => {
    const world = testWorld(subject);
    const refused = new Set(['x']);
    const to = (destination: string): Value => ({ key: 'a', to: destination });
    const batch = records([to('y'), to('x'), to('y'), to('x'), to('z')]);
    const result = await deliver(world, batch, { runtime: picky(world, refused) });
    expect(result.failedFrom).toEqual(batch[1]?.position);
    expect(result.report).toMatchObject({ applied: 5, published: 3, unfinished: 4 });
    expect(world.sinks.get('events')?.values()).toEqual([
      { to: 'y', n: 1 },
      { to: 'z', n: 5 },
      { to: 'y', n: 3 },
    ]);
    refused.clear();
    const again = await deliver(world, rest(batch, result), { runtime: picky(world, refused) });
    expect(again.failedFrom).toBeUndefined();
    const ofX = world.sinks.get('events')?.delivered.filter(({ destinationKey }) => destinationKey === 'x');
    expect(ofX?.map(({ json }) => (JSON.parse(json) as { n: number }).n)).toEqual([2, 4]);
  });

  it('that throws gets everything again, under the same ids', async () => {
    const world = testWorld(subject);
    let calls = 0;
    const sink = world.sinks.get('events') as SinkPort;
    const flaky: SinkPort = {
      ...{ maximumDeliveries: 500, maximumBytes: 10_000 },
      deliver: async (deliveries) => {
        const results = await sink.deliver(deliveries);
        if (calls++ === 0) throw new Error('the answer was lost');
        return results;
      },
    };
    const { failedFrom } = await deliver(world, records([A]), {
      runtime: { ...world.runtime, sinks: new Map([['events', flaky]]) },
    });
    expect(failedFrom).toBeUndefined();
    expect(ids(world)).toHaveLength(2);
    expect(new Set(ids(world)).size).toBe(1);
  });

  it('that is the user’s own call which throws holds the shard back, and what it said is not logged', async () => {
    const said: string[] = [];
    let isBroken = true;
    const world = testWorld(
      pipeline('p')
        .from(kinesis<Value>('s'))
        .keyBy(({ key }) => key)
        .forEach('call', ({ key }) => {
          if (isBroken) throw new RangeError('secret');
          said.push(key);
        }),
    );
    const { ForEachSinkPort } = await import('../../../shared/output/for-each-sink.ts');
    const sink = world.runtime.program.sinks.get('call');
    if (sink?.kind !== 'forEach') throw new Error('no call');
    const details: unknown[] = [];
    const runtime = {
      ...world.runtime,
      sinks: new Map([['call', new ForEachSinkPort(sink.call)]]),
      log: {
        warn: (...args: unknown[]) => void details.push(args),
        error: (...args: unknown[]) => void details.push(args),
      },
    };
    const batch = records([A, B]);
    expect((await deliver(world, batch, { runtime })).failedFrom).toEqual(batch[0]?.position);
    expect(JSON.stringify(details)).toContain('the call threw RangeError');
    expect(JSON.stringify(details)).not.toContain('secret');
    isBroken = false;
    expect((await deliver(world, batch, { runtime })).failedFrom).toBeUndefined();
    expect(said).toEqual(['a', 'b']);
  });
});

describe('time that runs out', () => {
  it.each([3, 5, 8, 13, 21, 34, 55, 89])(
    'after %d looks at the clock leaves an answer that names the first unfinished record, and nothing is lost',
    async (looks) => {
      const world = testWorld(subject);
      const batch = records(
        Array.from({ length: 200 }, (_, n) => ({ key: `k${n % 7}`, to: `d${n % 5}`, bad: n % 50 === 49 })),
      );
      const results: (string | undefined)[] = [];
      let left: typeof batch = batch;
      for (let count = 0; left.length > 0; count++) {
        expect(count).toBeLessThan(300);
        // Each look at the clock costs time; a later invocation has more of it.
        const stepMs = GRANTED_MS / (looks * (1 + count));
        const runtime = {
          ...cold(world),
          clock: { nowMs: () => (world.nowMs += stepMs) },
          wait: async () => undefined,
        };
        const result = await deliver(world, left, { runtime });
        results.push(result.failedFrom?.sequence);
        left = [...rest(left, result)];
        const progress = world.store.progress(1, batch[0]?.lane ?? '')?.position?.sequence;
        const at = batch.findIndex(({ position }) => position.sequence === result.failedFrom?.sequence);
        const last = batch.at(at === -1 ? -1 : at - 1)?.position.sequence;
        expect(progress).toBe(at === 0 ? undefined : last);
      }
      const sum = Array.from({ length: 7 }, (_, n) => stateOf(world, `k${n}`, 'n') as number);
      expect(sum.reduce((a, b) => a + b)).toBe(196);
      expect(world.letters.size).toBe(4);
      expect(new Set(ids(world)).size).toBe(196);
      expect(results.length).toBeGreaterThan(1);
    },
  );

  it('while records are decoded leaves time to fold, write and publish what was decoded', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis<Value>('s'))
        .map((value) => {
          // Slow user code: a hundred records of it take more than an invocation has.
          world.nowMs += 1_000;
          return value;
        })
        .keyBy(({ key }) => key)
        .updateStateByKey<number>('n', (_, n = 0) => n + 1),
    );
    const batch = records(Array(100).fill(A));
    const { failedFrom } = await deliver(world, batch);
    expect(failedFrom).toEqual(batch[32]?.position);
    expect(stateOf(world, 'a', 'n')).toBe(32);
    expect(await drain(world, batch.slice(32))).toBe(3);
    expect(stateOf(world, 'a', 'n')).toBe(100);
  });
});

describe('a policy that stops', () => {
  it('stops in front of the record, acknowledges nothing behind it, and goes on once the code is mended', async () => {
    let isMended = false;
    const details: unknown[] = [];
    const world = testWorld(
      pipeline('p', { onRecordError: 'stop' })
        .from(kinesis<Value>('s'))
        .keyBy(({ key }) => key)
        .updateStateByKey<number>('n', ([value], n = 0) => {
          if (value?.bad === true && !isMended) throw new TypeError('secret');
          return n + 1;
        })
        .to(kinesis('events')),
      { log: { warn: () => undefined, error: (...args) => void details.push(args) } },
    );
    const batch = records([A, B, { ...A, bad: true }, B, A]);
    const result = await deliver(world, batch);
    expect(result.failedFrom).toEqual(batch[2]?.position);
    expect(result.report).toMatchObject({ deadLetters: 0, unfinished: 3 });
    expect(world.letters.size).toBe(0);
    expect(
      world.sinks
        .get('events')
        ?.delivered.every(({ entry }) => entry.position.sequence < (batch[2]?.position.sequence ?? '')),
    ).toBe(true);
    expect(details).toEqual([
      [
        expect.stringMatching(/^The shard waits in front of a record: fold: user code threw TypeError/),
        { shard: batch[0]?.lane, sequenceNumber: batch[2]?.position.sequence, element: 0, cause: 'policy' },
      ],
    ]);
    expect(JSON.stringify(details)).not.toContain('secret');

    isMended = true;
    const again = await deliver(world, rest(batch, result));
    expect(again.failedFrom).toBeUndefined();
    expect(stateOf(world, 'a', 'n')).toBe(3);
    expect(stateOf(world, 'b', 'n')).toBe(2);
  });

  it('stops also in front of what cannot be decoded', async () => {
    const world = testWorld(
      pipeline('p', { onRecordError: 'stop' })
        .from(kinesis('s'))
        .keyBy(() => 'k'),
    );
    const batch = records([1, 'no json', 2]);
    expect((await deliver(world, batch)).failedFrom).toEqual(batch[1]?.position);
    expect(world.letters.size).toBe(0);
  });
});

describe('a batch that is done', () => {
  it('is acknowledged also where attempts at it have died again and again', async () => {
    const world = testWorld(subject);
    const batch = records([A, A]);
    await drain(world, batch);
    const first = batch[0];
    if (first === undefined) return;
    for (let death = 0; death < 5; death++) await world.store.beginAttempt(1, first.lane, first.position);
    const { failedFrom, report } = await deliver(world, batch);
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ duplicates: 2, unfinished: 0 });
  });
});

describe('a generation', () => {
  it('whose progress row is sealed acknowledges nothing (I7)', async () => {
    const world = testWorld(subject);
    const batch = records([A, A]);
    await drain(world, batch);
    const shard = batch[0]?.lane ?? '';
    world.store.seal(1, shard);
    const next = records([A], 2);
    const result = await deliver(world, next);
    expect(result.failedFrom).toEqual(next[0]?.position);
    expect(result.report).toMatchObject({ unfinished: 1, applied: 0 });
    expect(stateOf(world, 'a', 'n')).toBe(2);
    expect(world.logged.at(-1)).toContain('the shard is sealed: a rewind is under way');
  });

  it('that is sealed while a batch is under way acknowledges nothing of it (I7)', async () => {
    const world = testWorld(subject);
    const { store } = world;
    const commit = store.commit.bind(store);
    const batch = records([A, A]);
    store.commit = async (writes) => {
      const results = await commit(writes);
      store.seal(1, batch[0]?.lane ?? '');
      return results;
    };
    const result = await deliver(world, batch);
    expect(result.failedFrom).toEqual(batch[0]?.position);
    expect(result.report.unfinished).toBe(2);
  });

  it('that is switched is left, with all that the container remembered of it', async () => {
    const world = testWorld(subject);
    const batch = records([A, A]);
    await drain(world, batch);
    world.store.seal(1, batch[0]?.lane ?? '');
    world.store.setControl({ generation: 2, nextGeneration: 3, phase: 'live' });
    const { failedFrom, report } = await deliver(world, batch);
    expect(failedFrom).toBeUndefined();
    expect(report).toMatchObject({ applied: 2, duplicates: 0 });
    expect(world.runtime.generation).toBe(2);
    expect(world.store.items().get('2/s/a')?.states.get('n')).toBe(2);
    expect(stateOf(world, 'a', 'n')).toBe(2);
  });

  it('that replays refuses live events, also where its rows are there already', async () => {
    const world = testWorld(subject);
    world.store.setControl({ generation: 2, nextGeneration: 3, phase: 'replay' });
    const batch = records([A]);
    const result = await deliver(world, batch);
    expect(result.failedFrom).toEqual(batch[0]?.position);
    expect(world.logged.at(-1)).toContain("the pipeline is in phase 'replay'");
    expect(world.store.items().size).toBe(0);
    world.store.setControl({ generation: 2, nextGeneration: 3, phase: 'live' });
    expect(await drain(world, batch)).toBe(1);
    expect(world.store.items().get('2/s/a')?.states.get('n')).toBe(1);
  });
});

describe('marks', () => {
  const HOUR_MS = 3_600_000;
  const of = (shard: number, number: number, arrivalMs: number) =>
    sourceRecord(shard, number, { value: A, arrivalMs });

  it('are dropped beyond the horizon with what is pending of their lane, which can never be published (I9)', async () => {
    const world = testWorld(subject);
    const start = 1_800_000_000_000;
    const lanes = (): string[] => [...new Set(itemOf(world, 'a')?.outbox.map(({ lane }) => lane))];
    await drain(world, [of(1, 0, start)], { shard: 1 });
    await drain(world, [of(0, 0, start + 26 * HOUR_MS)]);
    expect(itemOf(world, 'a')?.marks.size).toBe(2);
    // Published, but its shard has not come again, which alone would prove it.
    expect(lanes()).toContain(of(1, 0, start).lane);
    await drain(world, [of(0, 1, start + 26 * HOUR_MS + 1_000)]);
    expect(itemOf(world, 'a')?.marks.size).toBe(1);
    expect(lanes()).not.toContain(of(1, 0, start).lane);
  });

  it('are kept until the horizon and an hour have passed, and dropped then (I9)', async () => {
    const quiet = pipeline('p')
      .from(kinesis<Value>('s'))
      .keyBy(({ key }) => key)
      .updateStateByKey<number>('n', (_, n = 0) => n + 1);
    for (const [hours, expected] of [
      [26, 2],
      [26.1, 1],
    ] as const) {
      const world = testWorld(quiet);
      const start = 1_800_000_000_000;
      await drain(world, [of(1, 0, start)], { shard: 1 });
      await drain(world, [of(0, 0, start + hours * HOUR_MS)]);
      expect(itemOf(world, 'a')?.marks.size).toBe(expected);
    }
  });

  it('are limited: a key that too many lanes feed stops its shard, with advice', async () => {
    const world = testWorld(
      pipeline('p')
        .from(kinesis<Value>('s'))
        .keyBy(() => 'k')
        .updateStateByKey<number>('n', (_, n = 0) => n + 1),
      { parallelizationFactor: 2 },
    );
    const batch = Array.from({ length: 300 }, (_, number) =>
      sourceRecord(0, number, { value: A, partitionKey: `p${number}` }, 2),
    );
    const { failedFrom } = await deliver(world, batch);
    expect(failedFrom).toEqual(batch[256]?.position);
    expect(world.logged.at(-1)).toMatch(/marks of 256 lanes, the limit.*partition key/);
    expect(stateOf(world, 'k', 'n')).toBe(256);
  });
});

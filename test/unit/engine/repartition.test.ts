import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import { relayProgramOf, type Program } from '../../../shared/engine/program.ts';
import { kinesis, outputs, pipeline } from '../../../shared/index.ts';
import { envelopeJson } from '../../../shared/output/envelope.ts';
import type { Delivery, SinkPort } from '../../../shared/output/sink-port.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import { sourceRecord, testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { deliver, drain, letters, rest, stateOf } from './deliver.ts';
import { dying, gated, MOMENTS, outcomes, pausing, redrive } from './redriving.ts';

interface Flight {
  readonly from: string;
  readonly to: string;
  readonly number: number;
}

const arrivals = pipeline('arrivals')
  .from(kinesis<{ readonly flights: readonly Flight[] }>('flights'))
  .flatMap(({ flights }) => flights)
  .repartition('by-destination', ({ to }) => to)
  .keyBy(({ to }) => to)
  .updateStateByKey<number[]>('numbers', ([flight], numbers = []) => [...numbers, (flight as Flight).number]);

/** The internal stream of one shard; puts fail and take effect as a test says. */
class InternalStream implements SinkPort {
  readonly maximumDeliveries = 500;
  readonly maximumBytes = 5_000_000;
  readonly records: SourceRecord[] = [];
  readonly requests: (readonly string[])[] = [];
  readonly #outcome: (delivery: Delivery) => 'put' | 'refused' | 'put and refused';

  constructor(outcome: (delivery: Delivery) => 'put' | 'refused' | 'put and refused' = () => 'put') {
    this.#outcome = outcome;
  }

  async deliver(deliveries: readonly Delivery[]): Promise<readonly boolean[]> {
    this.requests.push(deliveries.map(({ destinationKey }) => destinationKey));
    return deliveries.map((delivery) => {
      const outcome = this.#outcome(delivery);
      if (outcome !== 'refused') {
        const value = envelopeJson('arrivals', delivery);
        this.records.push(
          sourceRecord(9, this.records.length, { value, partitionKey: delivery.destinationKey }),
        );
      }
      return outcome === 'put';
    });
  }
}

/** A world whose runtime is that of the front. */
function frontWorld(stream: SinkPort, of = arrivals): TestWorld {
  return testWorld(of, {
    program: relayProgramOf(of.definition) as Program,
    sinks: new Map([['by-destination', stream]]),
  });
}

function flights(shard: number, from: number, ...each: readonly (readonly Flight[])[]): SourceRecord[] {
  return each.map((list, place) => sourceRecord(shard, from + place, { value: { flights: list } }));
}

function flight(to: string, number: number): Flight {
  return { from: 'X', to, number };
}

/** What the back half makes of the internal stream, read in batches of `size`. */
async function stateBehind(stream: InternalStream, to: string, size = 3): Promise<unknown> {
  const world = testWorld(arrivals);
  for (let from = 0; from < stream.records.length; from += size) {
    await drain(world, stream.records.slice(from, from + size), { shard: 9 });
  }
  return stateOf(world, to, 'numbers');
}

describe('the front of a repartition', () => {
  it('puts each value under its key, in order per key, never two of one key in a request', async () => {
    const stream = new InternalStream();
    const world = frontWorld(stream);
    await drain(world, flights(0, 0, [flight('A', 1), flight('B', 2)], [flight('A', 3)], []));

    expect(stream.requests).toEqual([['A', 'B'], ['A']]);
    expect(stream.records.map(({ partitionKey }) => partitionKey)).toEqual(['A', 'B', 'A']);
    expect(await stateBehind(stream, 'A')).toEqual([1, 3]);
  });

  it('keeps no item and writes none: a batch takes two rows of progress and one read, whatever the keys', async () => {
    const stream = new InternalStream();
    const world = frontWorld(stream);
    const batch = flights(0, 0, ...Array.from({ length: 100 }, (_, n) => [flight(`K${n}`, n)]));
    await drain(world, batch);
    const before = world.store.costs();
    await drain(world, flights(0, 100, ...Array.from({ length: 100 }, (_, n) => [flight(`K${n}`, n)])));
    const after = world.store.costs();

    expect(world.store.items().size).toBe(0);
    expect(after.writes - before.writes).toBe(2);
    expect(after.wcu - before.wcu).toBe(2);
    expect(after.reads - before.reads).toBe(1);
    expect(stream.requests).toHaveLength(2);
  });

  it('counts nothing as applied: what it passes on is applied behind it', async () => {
    const { report } = await deliver(frontWorld(new InternalStream()), flights(0, 0, [flight('A', 1)]));

    expect(report).toMatchObject({ records: 1, applied: 0, duplicates: 0, published: 1, unfinished: 0 });
  });

  it('acknowledges nothing at or above a value that is not put, and puts nothing behind it for its key', async () => {
    const stream = new InternalStream(({ json }) => (json.includes('"number":2') ? 'refused' : 'put'));
    const world = frontWorld(stream);
    const batch = flights(0, 0, [flight('A', 1)], [flight('A', 2)], [flight('A', 3), flight('B', 4)]);
    const { failedFrom } = await deliver(world, batch);

    expect(failedFrom).toEqual(batch[1]?.position);
    const put = stream.records.map(
      ({ data }) => JSON.parse(Buffer.from(data, 'base64').toString()) as object,
    );
    expect(put).toMatchObject([{ value: { number: 1 } }, { value: { number: 4 } }]);
  });

  it('that died between put and acknowledgement puts again, and the back half counts once', async () => {
    const stream = new InternalStream();
    const batch = flights(0, 0, [flight('A', 1), flight('A', 2)], [flight('B', 3), flight('A', 4)]);
    const dying = frontWorld(stream);
    dying.store.advance = () => Promise.reject(new Error('died'));
    await expect(deliver(dying, batch)).rejects.toThrow('died');
    await drain(frontWorld(stream), batch);

    expect(stream.records).toHaveLength(8);
    expect(await stateBehind(stream, 'A')).toEqual([1, 2, 4]);
    expect(await stateBehind(stream, 'B')).toEqual([3]);
  });

  it('stores what cannot be decoded, has no key, or is not JSON as dead letters, once, and goes on', async () => {
    const odd = pipeline('arrivals')
      .from(kinesis<Flight>('flights'))
      .map((each): Flight => (each.number === 3 ? { ...each, number: NaN } : each))
      .repartition('by-destination', ({ to }) => to)
      .keyBy(({ to }) => to)
      .aggregateByKey(
        'count',
        () => 0,
        (count) => count + 1,
      );
    const stream = new InternalStream();
    const world = frontWorld(stream, odd as never);
    const batch = [
      'no json',
      flight('A', 1),
      { ...flight('A', 2), to: 7 },
      flight('A', 3),
      flight('B', 4),
    ].map((value, number) => sourceRecord(0, number, { value }));
    await drain(world, batch);
    await drain(world, batch);

    expect(letters(world)).toEqual([
      { stage: 'decode', reason: expect.stringContaining('are not JSON') as string, key: undefined },
      { stage: 'key', reason: expect.stringContaining('a key is a string') as string, key: undefined },
      {
        stage: 'output',
        reason:
          "repartition 'by-destination': value.number is no finite number, which JSON does not give back as it was; " +
          'map it to text or numbers before',
        key: undefined,
      },
    ]);
    expect(stream.records.map(({ partitionKey }) => partitionKey)).toEqual(['A', 'B']);
  });

  it('goes by the shard as its lane, although lanes behind it are by partition key', async () => {
    const stream = new InternalStream();
    const batch = flights(0, 0, [flight('A', 1)], [flight('A', 2)]);
    const early = frontWorld(stream);
    early.store.advance = () => Promise.reject(new Error('died'));
    await expect(deliver(early, batch)).rejects.toThrow('died');
    const late = frontWorld(stream);
    await late.store.readControl(true);
    await drain(late, batch);

    expect(stream.records).toHaveLength(4);
    expect(await stateBehind(stream, 'A')).toEqual([1, 2]);
  });

  it('that is to stop at a bad record puts nothing at or above it', async () => {
    const strict = pipeline('arrivals', { onRecordError: 'stop' })
      .from(kinesis<Flight>('flights'))
      .repartition('by-destination', ({ to }) => to)
      .keyBy(({ to }) => to);
    const stream = new InternalStream();
    const batch = [flight('A', 1), 'no json', flight('B', 2)].map((value, number) =>
      sourceRecord(0, number, { value }),
    );
    const { failedFrom } = await deliver(frontWorld(stream, strict as never), batch);

    expect(failedFrom).toEqual(batch[1]?.position);
    expect(stream.records.map(({ partitionKey }) => partitionKey)).toEqual(['A']);
  });

  it('finds the record that kills its process, rejects it alone, and puts the others', async () => {
    let die: () => void = () => undefined;
    const deadly = pipeline('arrivals')
      .from(kinesis<Flight>('flights'))
      .map((each) => {
        if (each.number === 2) die();
        return each;
      })
      .repartition('by-destination', ({ to }) => to)
      .keyBy(({ to }) => to);
    const stream = new InternalStream();
    const world = frontWorld(stream, deadly as never);
    let left: readonly SourceRecord[] = [1, 2, 3].map((number) =>
      sourceRecord(0, number, { value: flight('A', number) }),
    );
    for (let attempt = 0; attempt < 20 && left.length > 0; attempt++) {
      let isDead = false;
      const death = new Promise<'died'>((resolve) => {
        die = () => {
          isDead = true;
          resolve('died');
        };
      });
      const mortal = <Port extends object>(port: Port): Port =>
        new Proxy(port, {
          get: (target, name) => {
            const member = Reflect.get(target, name) as unknown;
            if (typeof member !== 'function') return member;
            return (...args: unknown[]) =>
              isDead ? new Promise(() => undefined) : (Reflect.apply(member, target, args) as unknown);
          },
        });
      const runtime = {
        ...world.runtime,
        store: mortal(world.store),
        sinks: new Map([['by-destination', mortal(stream)]]),
        cache: new ItemCache(),
      };
      const ended = await Promise.race([deliver(world, left, { runtime }), death]);
      if (ended !== 'died') left = rest(left, ended);
      world.nowMs += 120_000;
    }

    expect(left).toEqual([]);
    expect(letters(world)).toMatchObject([{ stage: 'killed', key: undefined }]);
    const put = stream.records.map(({ data }) => Buffer.from(data, 'base64').toString());
    expect(put.some((text) => text.includes('"number":2'))).toBe(false);
    for (const number of [1, 3]) expect(put.some((text) => text.includes(`"number":${number}`))).toBe(true);
  });
});

describe('a redrive of what the front of a repartition rejected', () => {
  const arrivalsBy = (isMended: boolean) =>
    pipeline('arrivals')
      .from(kinesis<{ readonly flights: readonly Flight[] }>('flights'))
      .flatMap(({ flights }) => {
        if (!isMended && flights.some(({ number }) => number === 2)) throw new Error('bad');
        return flights;
      })
      .repartition('by-destination', (each) => {
        if (!isMended && each.number === 4) throw new Error('bad');
        return each.to;
      })
      .keyBy(({ to }) => to);

  const mixed = flights(
    0,
    0,
    [flight('A', 1)],
    [flight('A', 2), flight('B', 3)],
    [flight('A', 4), flight('A', 5)],
  );

  function idsIn({ records }: InternalStream): string[] {
    return records.map(
      ({ data }) => (JSON.parse(Buffer.from(data, 'base64').toString()) as { readonly id: string }).id,
    );
  }

  /** A world of the old code in which a whole record and one element of another are rejected; and then of the new. */
  async function mendedWorld(stream: SinkPort): Promise<TestWorld> {
    const old = frontWorld(stream, arrivalsBy(false) as never);
    await drain(old, mixed);
    const program = relayProgramOf(arrivalsBy(true).definition) as Program;
    return { ...old, runtime: { ...old.runtime, program, cache: new ItemCache() } };
  }

  it('puts it into the internal stream, under the ids that it would have had', async () => {
    const stream = new InternalStream();
    const world = await mendedWorld(stream);
    expect(letters(world).map(({ stage }) => stage)).toEqual(['stateless', 'key']);

    expect(await outcomes(world)).toEqual(['redriven', 'redriven']);
    expect(world.letters.size).toBe(0);
    const never = new InternalStream();
    await drain(frontWorld(never, arrivalsBy(true) as never), mixed);
    expect(idsIn(stream).toSorted()).toEqual(idsIn(never).toSorted());
    expect(await stateBehind(stream, 'A')).toEqual([1, 5, 2, 4]);
    expect(await stateBehind(stream, 'B')).toEqual([3]);
    expect([...world.store.items().values()]).toMatchObject([{ outbox: [], letters: { next: 2 } }]);
  });

  it('gives it its effect once, wherever the process dies', async () => {
    for (const when of MOMENTS) {
      for (let at = 1; ; at++) {
        const stream = new InternalStream();
        const world = await mendedWorld(stream);
        const gate = dying(at, when);
        await redrive(
          world,
          {},
          gated({ ...world.runtime, sinks: new Map([['by-destination', stream]]) }, gate),
        ).catch(() => undefined);
        await redrive(world);

        expect(world.letters.size).toBe(0);
        expect(await stateBehind(stream, 'A'), `dies ${when} call ${at}`).toEqual([1, 5, 2, 4]);
        expect(await stateBehind(stream, 'B')).toEqual([3]);
        if (gate.calls.length < at) break;
      }
    }
  });

  it('gives it its effect once, although two do it at once', async () => {
    for (const when of MOMENTS) {
      for (let at = 1; ; at++) {
        const stream = new InternalStream();
        const world = await mendedWorld(stream);
        const gate = pausing(at, when, () => redrive(world));
        await redrive(world, {}, gated(world.runtime, gate));
        await redrive(world);

        expect(world.letters.size).toBe(0);
        expect(await stateBehind(stream, 'A'), `another comes ${when} call ${at}`).toEqual([1, 5, 2, 4]);
        if (gate.calls.length < at) break;
      }
    }
  });

  it('holds what it could not put, without a time to expire, and puts it when it is redriven again', async () => {
    let isRefused = false;
    const stream = new InternalStream(() => (isRefused ? 'refused' : 'put'));
    const world = await mendedWorld(stream);
    isRefused = true;
    const [first, second] = [...world.letters.keys()].toSorted() as [string, string];
    expect(await outcomes(world, { names: [first] })).toEqual(['unfinished']);
    expect(await outcomes(world, { names: [second], action: 'drop' })).toEqual(['unfinished']);
    const [item] = world.store.items().values();
    expect(item?.outbox.map(({ kind }) => kind)).toEqual(['output', 'output']);
    expect(item?.expiresAtSeconds).toBeUndefined();

    isRefused = false;
    expect(await outcomes(world)).toEqual(['alreadyDone', 'alreadyDone']);
    expect(await stateBehind(stream, 'A')).toEqual([1, 5, 2]);
  });

  it('is rejected again by code that is not mended, and then dropped', async () => {
    const stream = new InternalStream();
    const { runtime, ...world } = await mendedWorld(stream);
    const old = {
      ...world,
      runtime: { ...runtime, program: relayProgramOf(arrivalsBy(false).definition) as Program },
    };
    expect(await outcomes(old)).toEqual(['rejected', 'rejected']);
    expect(await outcomes(old, { action: 'drop' })).toEqual(['dropped', 'dropped']);
    expect(old.letters.size).toBe(0);
    expect(await stateBehind(stream, 'A')).toEqual([1, 5]);
  });

  it('is refused where an item cannot hold what becomes of it', async () => {
    const stream = new InternalStream();
    const world = frontWorld(stream, arrivalsBy(false) as never);
    const many = Array.from({ length: 2_500 }, (_, place) => flight(`K${place}`.padEnd(80, 'x'), 2));
    await drain(world, flights(0, 0, many));
    const program = relayProgramOf(arrivalsBy(true).definition) as Program;
    const [result] = await redrive({ ...world, runtime: { ...world.runtime, program } });

    expect(result).toMatchObject({ outcome: 'rejected' });
    expect(result?.reason).toContain('let the producer send it again');
    expect(stream.records).toEqual([]);
  });
});

describe('a repartition', () => {
  it('gives each value its effect once, in the order of its source shard, whatever fails and however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(1), fc.array(fc.constantFrom('A', 'B', 'C'), { maxLength: 4 })), {
          minLength: 1,
          maxLength: 12,
        }),
        fc.array(fc.constantFrom('put', 'put', 'refused', 'put and refused'), {
          minLength: 1,
          maxLength: 40,
        }),
        fc.array(fc.nat(99), { minLength: 1, maxLength: 20 }),
        async (made, outcomes, chances) => {
          let put = 0;
          let drawn = 0;
          const chance = () => (chances[drawn++ % chances.length] as number) / 100;
          const stream = new InternalStream(() =>
            put < 60 ? (outcomes[put++ % outcomes.length] as 'put') : 'put',
          );
          const world = frontWorld(stream);
          const expected = new Map<string, Map<number, number[]>>();
          const shards: SourceRecord[][] = [[], []];
          for (const [number, [shard, keys]] of made.entries()) {
            const list = keys.map((to, place) => flight(to, 100 * number + place));
            for (const { to, number: value } of list) {
              const byShard = expected.get(to) ?? new Map<number, number[]>();
              byShard.set(shard, [...(byShard.get(shard) ?? []), value]);
              expected.set(to, byShard);
            }
            const records = shards[shard] as SourceRecord[];
            records.push(...flights(shard, records.length, list));
          }
          for (const [shard, records] of shards.entries()) {
            let left: readonly SourceRecord[] = records;
            for (let attempt = 0; left.length > 0; attempt++) {
              if (attempt > 100) throw new Error('The front does not get on.');
              const cut = left.slice(0, 1 + Math.floor(chance() * left.length));
              const diesLate = attempt < 5 && chance() < 0.4;
              const runtime = { ...world.runtime, store: diesLate ? withoutAdvance(world) : world.store };
              const result = await deliver(world, cut, { shard, runtime }).catch(() => undefined);
              if (result === undefined) continue;
              left = [...rest(cut, result), ...left.slice(cut.length)];
            }
          }
          for (const [to, byShard] of expected) {
            const found = (await stateBehind(stream, to, 1 + Math.floor(chance() * 5))) as number[];
            for (const [shard, numbers] of byShard) {
              expect(found.filter((number) => made[Math.floor(number / 100)]?.[0] === shard)).toEqual(
                numbers,
              );
            }
            expect(found).toHaveLength([...byShard.values()].flat().length);
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  it('is not made twice, nor behind the outputs of another pipeline, nor under the name of a sink', () => {
    const once = pipeline('p')
      .from(kinesis<Flight>('s'))
      .repartition('r', ({ to }) => to);
    expect(() => once.repartition('again', ({ to }) => to)).toThrow(
      "Pipeline 'p' has the repartitions 'r' and 'again'; a pipeline takes one.",
    );
    expect(() => once.keyBy(({ to }) => to).to(kinesis('r'))).toThrow("Pipeline 'p' has two sinks named 'r'");
    expect(() => once.keyBy(({ to }) => to).to(kinesis('R'))).toThrow('share one environment variable');
    expect(() =>
      pipeline('p')
        .from(outputs<Flight>('s', { upstreamRetentionHours: 24 }))
        .repartition('r', ({ to }) => to),
    ).toThrow('let the sink that puts them there publish under this key');
    expect(() => pipeline('p').from(kinesis<Flight>('s')).repartition('a b', String)).toThrow(
      'repartition name',
    );
  });

  it('keeps marks for the retentions of both streams', () => {
    const { definition } = pipeline('p')
      .from(kinesis<Flight>('s', { retentionHours: 48 }))
      .repartition('r', ({ to }) => to, { retentionHours: 36 })
      .keyBy(({ to }) => to);

    expect(testWorld({ definition }).runtime.program.horizonSeconds).toBe((48 + 36 + 1) * 3_600);
  });
});

/** The world's store for an invocation that dies before it can tell how far it came. */
function withoutAdvance({ store }: TestWorld): TestWorld['store'] {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'advance') return () => Promise.reject(new Error('died'));
      const member = Reflect.get(target, name) as unknown;
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

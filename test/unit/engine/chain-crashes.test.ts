import { describe, expect, it } from 'vitest';
import { ItemCache } from '../../../shared/engine/item-cache.ts';
import { processBatch } from '../../../shared/engine/process-batch.ts';
import type { Runtime } from '../../../shared/engine/runtime.ts';
import { kinesis, outputsOf, pipeline, type Pipeline } from '../../../shared/index.ts';
import { envelopeJson } from '../../../shared/output/envelope.ts';
import type { SinkPort } from '../../../shared/output/sink-port.ts';
import { comparePositions } from '../../../shared/source/position.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import type { StateStore } from '../../../shared/state/state-store.ts';
import { seededRandom } from '../../../shared/testing/seeded-random.ts';
import { recordBatch, sourceRecord, testWorld, type TestWorld } from '../../support/memory-ports.ts';
import { GRANTED_MS } from './deliver.ts';

interface Reading {
  readonly id: string;
  readonly room: string;
  readonly sensor: string;
}
interface Published {
  readonly id: string;
  readonly room: string;
  /** The sink, and the key under which it published. */
  readonly under: string;
}

/** Two sinks into one stream: an event per record under its sensor, and another under its room. */
const first = pipeline('first')
  .from(kinesis<Reading>('readings'))
  .keyBy(({ room }) => room)
  .mapWithState<number, Reading>('count', (reading, state) => {
    state.update((state.get() ?? 0) + 1);
    return reading;
  })
  .map(({ id, room, sensor }): Published & { sensor: string } => ({
    id,
    room,
    sensor,
    under: `sensor ${sensor}`,
  }))
  .to(kinesis('between', { name: 'by-sensor', key: ({ sensor }) => sensor }))
  .map(({ id, room }): Published => ({ id, room, under: `room ${room}` }))
  .to(kinesis('between', { name: 'by-room', key: ({ room }) => room }));

/** Keys more coarsely than either sink. */
const second = pipeline('second')
  .from(outputsOf<Published>(first, 'by-sensor'))
  .keyBy(({ room }) => room.slice(0, 1))
  .updateStateByKey<[under: string, id: string][]>('seen', ([value], seen = []) =>
    value === undefined ? seen : [...seen, [value.under, value.id]],
  );

const ROOMS = ['a1', 'a2', 'b1'];
const READINGS = 40;

/** Partition keys fall into buckets, of which each open shard has some. */
const BUCKETS = 8;

interface Shard {
  readonly records: SourceRecord[];
  readonly parents: readonly number[];
  readonly buckets: readonly number[];
  /** How many of the records are acknowledged. */
  done: number;
}

/** A stream's shards; a child is read once its parents have been. */
class Shards {
  readonly #shards: Shard[] = [];
  #open: readonly number[];

  constructor(count: number) {
    const buckets = Array.from({ length: BUCKETS }, (_, bucket) => bucket);
    this.#open = Array.from({ length: count }, (_, shard) =>
      this.#begin(
        [],
        buckets.filter((bucket) => bucket % count === shard),
      ),
    );
  }

  put(partitionKey: string, value: string): void {
    const bucket = [...partitionKey].reduce((sum, letter) => 31 * sum + letter.charCodeAt(0), 0) % BUCKETS;
    const shard = this.#open.find((each) => this.#shard(each).buckets.includes(bucket)) as number;
    const { records } = this.#shard(shard);
    records.push(sourceRecord(shard, records.length, { value, partitionKey }));
  }

  /** Splits the shard that has most, or merges two. */
  reshard(isSplit: boolean): void {
    const open = this.#open.toSorted((a, b) => this.#shard(b).buckets.length - this.#shard(a).buckets.length);
    const buckets = (shards: readonly number[]): number[] =>
      shards.flatMap((each) => this.#shard(each).buckets);
    if (isSplit) {
      const parents = open.slice(0, 1);
      const [low, high] = [0, 1].map((half) => buckets(parents).filter((_, place) => place % 2 === half));
      this.#open = [...open.slice(1), this.#begin(parents, low ?? []), this.#begin(parents, high ?? [])];
    } else if (open.length > 1) {
      const parents = open.slice(-2);
      this.#open = [...open.slice(0, -2), this.#begin(parents, buckets(parents))];
    }
  }

  /** Shards that have something to hand in. */
  ready(): number[] {
    return this.#shards.flatMap(({ records, done, parents }, shard) =>
      done < records.length && parents.every((parent) => this.#isRead(parent)) ? [shard] : [],
    );
  }

  /** Also a shard that never had a record is read only once its parents are. */
  #isRead(shard: number): boolean {
    const { records, done, parents } = this.#shard(shard);
    return done === records.length && parents.every((parent) => this.#isRead(parent));
  }

  /** A batch from where the shard is, or from somewhere before it: a duplicate, or what a zombie still holds. */
  batch(shard: number, size: number, back: number): readonly SourceRecord[] {
    const { records, done } = this.#shard(shard);
    const from = Math.max(0, done - back);
    return records.slice(from, from + size);
  }

  /** Lambda goes on in front of the failed record; a duplicate's answer moves nothing. */
  acknowledge(
    shard: number,
    batch: readonly SourceRecord[],
    failedFrom: SourceRecord['position'] | undefined,
  ): void {
    const state = this.#shard(shard);
    if (batch[0] !== state.records[state.done]) return;
    state.done += batch.filter(
      ({ position }) => failedFrom === undefined || comparePositions(position, failedFrom) < 0,
    ).length;
  }

  #shard(shard: number): Shard {
    return this.#shards[shard] as Shard;
  }

  #begin(parents: readonly number[], buckets: readonly number[]): number {
    return this.#shards.push({ records: [], parents, buckets, done: 0 }) - 1;
  }
}

/** Chance and faults of one run. */
class Trouble {
  readonly #random: () => number;
  isOver = false;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  upTo(count: number): number {
    return Math.floor(this.#random() * count);
  }

  strikes(probability: number): boolean {
    return !this.isOver && this.#random() < probability;
  }

  /** Lets others go first. */
  async pause(): Promise<void> {
    for (let turns = this.isOver ? 0 : this.upTo(12); turns > 0; turns--) await Promise.resolve();
  }

  /** An invocation that dies before or behind a request, or is told that what took effect did not. */
  async request<T>(send: () => Promise<T>): Promise<T> {
    await this.pause();
    if (this.strikes(0.04)) throw new Error('died before');
    const answer = await send();
    await this.pause();
    if (this.strikes(0.06)) throw new Error('died behind');
    return answer;
  }
}

/** What a container does with its ports, in trouble. */
function runtimeOf(world: TestWorld, trouble: Trouble, sinks: ReadonlyMap<string, SinkPort>): Runtime {
  const { store } = world;
  const troubled = new Proxy(store, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      const call = member.bind(target) as (...args: unknown[]) => unknown;
      if (name === 'costs') return call;
      return (...args: unknown[]) => trouble.request(async () => call(...args));
    },
  }) satisfies StateStore;
  return { ...world.runtime, store: troubled, sinks, cache: new ItemCache(), generation: undefined };
}

/** A stream that takes what is put, says so or not, or takes it and is not heard. */
function streamSink(lineage: string, to: Shards, trouble: Trouble): SinkPort {
  return {
    maximumDeliveries: 3,
    maximumBytes: 1_000_000,
    deliver: (deliveries) =>
      trouble.request(async () =>
        deliveries.map((delivery) => {
          if (trouble.strikes(0.1)) return false;
          to.put(delivery.destinationKey, envelopeJson(lineage, delivery));
          return !trouble.strikes(0.15);
        }),
      ),
  };
}

async function invoke(world: TestWorld, runtime: Runtime, shards: Shards, trouble: Trouble): Promise<void> {
  const ready = shards.ready();
  if (ready.length === 0) return;
  const shard = ready[trouble.upTo(ready.length)] as number;
  const batch = shards.batch(shard, 1 + trouble.upTo(8), trouble.strikes(0.3) ? trouble.upTo(10) : 0);
  if (batch.length === 0) return;
  try {
    const { failedFrom } = await processBatch(runtime, recordBatch(shard, batch), world.nowMs + GRANTED_MS);
    shards.acknowledge(shard, batch, failedFrom);
  } catch (error) {
    if (trouble.isOver) throw error;
  }
}

async function run(seed: number, head: Pipeline, next: Pipeline): Promise<unknown[]> {
  const trouble = new Trouble(seed);
  const [readings, between] = [new Shards(2), new Shards(1 + trouble.upTo(3))];
  const [firstWorld, secondWorld] = [testWorld(head), testWorld(next)];
  const sink = streamSink('first', between, trouble);
  const sinks = new Map([...firstWorld.sinks.keys()].map((name) => [name, sink]));
  for (let number = 0; number < READINGS; number++) {
    const room = ROOMS[trouble.upTo(ROOMS.length)] as string;
    const reading: Reading = {
      id: String(number).padStart(2, '0'),
      room,
      sensor: `${room}/${trouble.upTo(2)}`,
    };
    readings.put(room, JSON.stringify(reading));
  }
  const step = async (): Promise<void> => {
    const upstream = (): Promise<void> =>
      invoke(firstWorld, runtimeOf(firstWorld, trouble, sinks), readings, trouble);
    const downstream = (): Promise<void> =>
      invoke(secondWorld, runtimeOf(secondWorld, trouble, secondWorld.sinks), between, trouble);
    await (trouble.isOver
      ? upstream().then(downstream)
      : Promise.all([upstream(), upstream(), downstream(), downstream()]));
  };
  for (let steps = 0; steps < 25; steps++) {
    await step();
    if (trouble.strikes(0.15)) between.reshard(trouble.strikes(0.7));
  }
  trouble.isOver = true;
  for (let steps = 0; readings.ready().length + between.ready().length > 0; steps++) {
    if (steps > 2_000) throw new Error('it does not drain');
    await step();
  }
  return ['a', 'b'].flatMap((key) => secondWorld.store.items().get(`1/s/${key}`)?.states.get('seen') ?? []);
}

describe('a chain of two pipelines', () => {
  it.each(Array.from({ length: 16 }, (_, seed) => seed))(
    'whose invocations die, overlap and repeat applies each output once, in order (seed %d)',
    async (seed) => {
      const seen = (await run(seed, first, second)) as [under: string, id: string][];
      const expected = Array.from({ length: READINGS }, (_, number) => String(number).padStart(2, '0'));
      for (const sink of ['sensor', 'room']) {
        const ids = seen.filter(([under]) => under.startsWith(sink)).map(([, id]) => id);
        expect(ids.toSorted()).toEqual(expected);
      }
      for (const key of new Set(seen.map(([under]) => under))) {
        const ids = seen.filter(([under]) => under === key).map(([, id]) => id);
        expect(ids).toEqual(ids.toSorted());
      }
    },
  );
});

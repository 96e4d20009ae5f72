import { kinesis, pipeline } from '../../shared/index.ts';
import { comparePositions } from '../../shared/source/position.ts';
import { shardOfLane } from '../../shared/source/lane.ts';
import { envelopeJson, type OutputEnvelope } from '../../shared/output/envelope.ts';
import type { Delivery } from '../../shared/output/sink-port.ts';
import type { TestRecord } from '../support/memory-ports.ts';
import { seededRandom } from '../../shared/testing/seeded-random.ts';
import { World } from './world.ts';

interface Value {
  /** Names the record: shard and number. */
  readonly id: string;
  readonly key: string;
  readonly destination: string;
  /** Rejected by user code. */
  readonly poison: boolean;
  /** A second element under this key. */
  readonly other?: string;
  touched?: number;
}

function isIgnored({ id }: Pick<Value, 'id'>): boolean {
  return id.endsWith('3');
}

interface Keyed {
  readonly value: Value;
  readonly key: string;
}

/** Order-sensitive state with removal, a change per record, and an event per record, in place on purpose. */
const subject = pipeline('subject')
  .from(kinesis<Value>(`input`))
  .flatMap((value): Keyed[] => [
    { value, key: value.key },
    ...(value.other === undefined ? [] : [{ value, key: value.other }]),
  ])
  .keyBy(({ key }) => key)
  .mapWithState<
    { count: number; ids: string[] },
    { id: string; key: string; count: number; destination: string; touched: number }
  >('counted', ({ value, key }, state) => {
    const current = state.get() ?? { count: 0, ids: [] };
    current.count += 1;
    current.ids.push(value.id);
    // What is done to a value must not be seen by the next fold of it, nor by another key's.
    value.touched = (value.touched ?? 0) + 1;
    // A change in place that is never given to `update` is none.
    if (isIgnored(value)) return undefined;
    if (value.poison) throw new Error('poison');
    state.update(current);
    return {
      id: value.id,
      key,
      count: current.count,
      destination: value.destination,
      touched: value.touched,
    };
  })
  .to(kinesis<{ destination: string }>('events', { key: ({ destination }) => destination }))
  .updateStateByKey<string[]>('list', ([event], list = []) => {
    const { id } = event as { id: string };
    if (id.endsWith('7')) return undefined;
    list.push(id);
    return list;
  })
  .to(kinesis('changes'));

/** A world drawn from a seed, and every violation that its run shows. */
export async function simulate(seed: number): Promise<{ violations: string[]; story: readonly string[] }> {
  const random = seededRandom(seed);
  const upTo = (limit: number): number => Math.floor(random() * (limit + 1));
  const shardCount = 1 + upTo(1);
  const parallelizationFactor = random() < 0.3 ? 2 : 1;
  const lowersFactor = parallelizationFactor > 1 && random() < 0.5;
  const hasPoison = random() < 0.3;
  const shards = Array.from({ length: shardCount }, (_, shard) =>
    Array.from({ length: 4 + upTo(8) }, (__, number): TestRecord => {
      const key = `k${upTo(2)}`;
      const value: Value = {
        id: `${shard}:${number}`,
        key,
        destination: `d${upTo(1)}`,
        poison: hasPoison && random() < 0.2,
        ...(random() < 0.2 && { other: key === 'k0' ? 'k1' : 'k0' }),
      };
      return { value, partitionKey: `p${upTo(2)}` };
    }),
  );
  const faults = {
    crashes: upTo(2),
    zombies: upTo(2),
    duplicates: upTo(2),
    writeFaults: upTo(3),
    sinkFaults: random() < 0.2 ? 12 : upTo(3),
    throttledItems: upTo(2),
    throttledKeys: upTo(2),
  };
  const world = new World({ pipeline: subject, shards, parallelizationFactor, lowersFactor, faults, random });
  const violations: string[] = [];
  try {
    await world.run();
    check(world, shards, parallelizationFactor, violations);
  } catch (error) {
    violations.push(String(error));
  }
  return { violations, story: world.story };
}

function check(
  world: World,
  shards: readonly (readonly TestRecord[])[],
  parallelizationFactor: number,
  violations: string[],
): void {
  const records = shards.flatMap((shard) => shard.map(({ value }) => value as Value));
  const expected = new Map<string, string[]>();
  const rejected = new Set<string>();
  for (const value of records) {
    for (const key of [value.key, ...(value.other === undefined ? [] : [value.other])]) {
      if (isIgnored(value)) continue;
      if (value.poison) rejected.add(`${value.id} ${key}`);
      else expected.set(key, [...(expected.get(key) ?? []), value.id]);
    }
  }
  for (const [key, ids] of expected) {
    const item = world.store.items().get(`1/s/${key}`);
    const counted = item?.states.get('counted') as { count: number; ids: string[] } | undefined;
    const found = counted?.ids ?? [];
    if (found.toSorted().join() !== ids.toSorted().join()) {
      violations.push(`I1 state of ${key}: ${found.join()} instead of ${ids.join()}`);
    }
    if (counted?.count !== ids.length) violations.push(`I1 count of ${key}: ${counted?.count}`);
    if (parallelizationFactor === 1) {
      for (const shard of shards.keys()) {
        const inShard = found.filter((id) => id.startsWith(`${shard}:`));
        const inOrder = ids.filter((id) => id.startsWith(`${shard}:`));
        if (inShard.join() !== inOrder.join()) violations.push(`I1 order of ${key}: ${inShard.join()}`);
      }
    }
    const list = tail(found);
    const held = item?.states.get('list');
    if ((held === undefined ? '' : (held as string[]).join()) !== list.join()) {
      violations.push(`I1 second operator of ${key}: ${JSON.stringify(held)} instead of ${list.join()}`);
    }
    const shown = lastChange(world.deliveries.get('changes') ?? [], key);
    if (list.length > 0 && JSON.stringify(shown) !== JSON.stringify(list)) {
      violations.push(`I4 last change of ${key}: ${JSON.stringify(shown)} instead of ${list.join()}`);
    }
  }
  checkEvents(world.deliveries.get('events') ?? [], expected, violations);
  const letters = new Set(
    [...world.letters.values()].map(({ data, key }) => {
      const { id } = JSON.parse(Buffer.from(data, 'base64').toString()) as Value;
      return `${id} ${key}`;
    }),
  );
  if ([...letters].toSorted().join() !== [...rejected].toSorted().join()) {
    violations.push(`I6 dead letters: ${[...letters].join()} instead of ${[...rejected].join()}`);
  }
}

/** What follows the last removal. */
function tail(ids: readonly string[]): string[] {
  return ids.slice(ids.findLastIndex((id) => id.endsWith('7')) + 1);
}

/** A consumer that skips what its marks cover: per lane and destination key, as the next pipeline does. */
function consumed(deliveries: readonly Delivery[]): Delivery[] {
  const marks = new Map<string, Delivery>();
  return deliveries.filter((delivery) => {
    const lane = `${delivery.entry.lane} ${delivery.destinationKey}`;
    const mark = marks.get(lane);
    if (mark !== undefined && order(delivery, mark) <= 0) return false;
    marks.set(lane, delivery);
    return true;
  });
}

function order(a: Delivery, b: Delivery): number {
  return (
    comparePositions(a.entry.position, b.entry.position) ||
    a.entry.element - b.entry.element ||
    a.entry.index - b.entry.index
  );
}

/** What a consumer ends with that reads the envelopes and keeps, of each source, the highest revision. */
function lastChange(deliveries: readonly Delivery[], key: string): unknown {
  const newest = new Map<string, OutputEnvelope>();
  let last: OutputEnvelope | undefined;
  for (const delivery of deliveries) {
    if (delivery.destinationKey !== key) continue;
    const envelope = JSON.parse(envelopeJson('subject', delivery)) as OutputEnvelope;
    const { source, revision } = envelope.provenance;
    if (revision < (newest.get(source)?.provenance.revision ?? 0)) continue;
    newest.set(source, envelope);
    last = envelope;
  }
  return last?.value;
}

function checkEvents(
  deliveries: readonly Delivery[],
  expected: ReadonlyMap<string, readonly string[]>,
  violations: string[],
): void {
  const contents = new Map<string, string>();
  for (const { id, json } of deliveries) {
    const before = contents.get(id);
    if (before !== undefined && before !== json) violations.push(`I4 id ${id} has two contents`);
    contents.set(id, json);
  }
  const got = consumed(deliveries).map(({ json }) => {
    const { id, key } = JSON.parse(json) as { id: string; key: string };
    return `${id} ${key}`;
  });
  const wanted = [...expected].flatMap(([key, ids]) => ids.map((id) => `${id} ${key}`));
  if (got.toSorted().join() !== wanted.toSorted().join()) {
    const missing = wanted.filter((each) => !got.includes(each));
    violations.push(
      `I4 events: ${missing.length > 0 ? `missing ${missing.join()}` : `too many ${got.join()}`}`,
    );
  }
  const counts = new Map<string, number[]>();
  for (const { json, entry } of consumed(deliveries)) {
    const { key, count, touched } = JSON.parse(json) as { key: string; count: number; touched: number };
    if (touched !== 1) violations.push(`I10 a value of ${key} was folded in the state of an earlier fold`);
    const lane = `${key} ${shardOfLane(entry.lane)}`;
    counts.set(lane, [...(counts.get(lane) ?? []), count]);
  }
  for (const [lane, list] of counts) {
    if (new Set(list).size !== list.length) violations.push(`I4 counts of ${lane} repeat: ${list.join()}`);
  }
}

import { isDeepStrictEqual } from 'node:util';
import type { Pipeline } from '../../shared/pipeline/definition.ts';
import { keyOfItem } from '../../shared/state/row-key.ts';
import {
  outputsOf,
  quietWorld,
  TEST_START_MS,
  type Output,
  type TestWorld,
} from '../../shared/testing/test-world.ts';
import { BrokenRun } from './broken-run.ts';

/** How a case is run: whatever it is, the results are the same. */
export interface Variant {
  readonly shards: number;
  /** Records in a Lambda batch. */
  readonly batchSize: number;
  /** Whether Lambda delivers batches again, beside the next one and later. */
  readonly redelivers: boolean;
  /** Whether the sweep comes behind each batch, or only when all records are there. */
  readonly sweeps: 'behindEachBatch' | 'atTheEnd';
}

/** What came of a case that was run. */
export interface Ran {
  /** From what it expects. */
  readonly differences: readonly string[];
  /** How often Lambda delivered again. */
  readonly redeliveries: number;
}

/** Of a case that is refused when its pipeline is written. */
export function refusal(differences: readonly string[]): Ran {
  return { differences, redeliveries: 0 };
}

export function variantName({ shards, batchSize, redelivers, sweeps }: Variant): string {
  return [
    `${shards} ${shards === 1 ? 'shard' : 'shards'}`,
    batchSize === 1 ? 'one by one' : 'in large batches',
    ...(redelivers ? ['delivered again'] : []),
    ...(sweeps === 'atTheEnd' ? ['swept late'] : []),
  ].join(', ');
}

/** The largest batch of Lambda that the cases are run with. */
export const LARGE = 500;

export const VARIANTS: readonly Variant[] = [1, 4].flatMap((shards) =>
  [1, LARGE].flatMap((batchSize) =>
    [false, true].flatMap((redelivers) =>
      (['behindEachBatch', 'atTheEnd'] as const).map((sweeps) => ({ shards, batchSize, redelivers, sweeps })),
    ),
  ),
);

/** A batch of a case is what arrives in one interval: long enough that everything of it comes to rest in it. */
export const BATCH_SECONDS = 600;
const BATCH_MS = BATCH_SECONDS * 1_000;

/** Batch 1 begins so many intervals behind the start: where windows of any slide of the cases begin. */
const INTERVALS_BEFORE = 6;
const FIRST_BATCH_MS = TEST_START_MS + INTERVALS_BEFORE * BATCH_MS;

/** Records come so long behind the beginning of their batch. */
const INTO_BATCH_MS = 60_000;
/** The sweep comes so long behind the end of a batch: arrival is not exact, and it allows for that. */
const BEHIND_BATCH_MS = 6_000;

/** As many are sent at a time, unless a case says so. */
const RECORDS_LIMIT = 20;
const REDELIVERIES = 30;

/** The number of the batch that ends so; the first is 1. */
export function batchOf(endMs: number): number {
  return (endMs - FIRST_BATCH_MS) / BATCH_MS;
}

/** A pipeline in a world of its own, batch by batch. Batch 0, before the first, is open at the start. */
export class CaseWorld {
  readonly #test: TestWorld;
  readonly #isTimed: boolean;
  readonly #sweeps: Variant['sweeps'];
  #batch = 0;
  #sent = 0;
  #taken = 0;

  constructor(
    pipeline: Pipeline,
    { shards, batchSize, redelivers, sweeps }: Variant,
    {
      innerShards = 1,
      recordsLimit = RECORDS_LIMIT,
    }: { readonly innerShards?: number; readonly recordsLimit?: number } = {},
  ) {
    this.#isTimed = pipeline.definition.time !== undefined;
    this.#sweeps = sweeps;
    this.#test = quietWorld(pipeline, {
      recordsLimit,
      shards,
      innerShards,
      batchSize,
      redeliveries: redelivers ? REDELIVERIES : 0,
    });
    this.#passTo(FIRST_BATCH_MS - BATCH_MS + INTO_BATCH_MS);
  }

  /** The number of the batch that is open. */
  get batch(): number {
    return this.#batch;
  }

  get isJudging(): boolean {
    return this.#test.deployed.isJudging;
  }

  /** Batches that came again, and places from which the mapping went on anew. */
  get redeliveries(): number {
    const { duplicated = 0, restartedMapping = 0 } = this.#test.world.faults.happened;
    return duplicated + restartedMapping;
  }

  /**
   * Puts records into the open batch, and runs until all is at rest.
   * @param partitionOf which share a shard; each is on its own unless given, whatever key it gets.
   */
  async send(values: readonly unknown[], partitionOf?: (value: unknown) => string): Promise<void> {
    const { world, stream } = this.#test;
    for (const value of values) {
      const data = Buffer.from(JSON.stringify(value)).toString('base64');
      const partitionKey = partitionOf?.(value) ?? `record-${this.#sent}`;
      this.#sent += 1;
      world.put(stream, partitionKey, data, Math.round(world.time.nowMs));
    }
    await this.#run();
  }

  /** Puts what is to make the function fail, and runs until the world is stuck. @returns what was wrong. */
  async sendToFail(value: unknown): Promise<string> {
    try {
      await this.send([value]);
    } catch (error) {
      if (error instanceof BrokenRun) return error.message;
      throw error;
    }
    throw new BrokenRun('nothing failed');
  }

  /** The batch is over, and the next one is open. */
  async endBatch(): Promise<void> {
    const endMs = FIRST_BATCH_MS + this.#batch * BATCH_MS;
    if (this.#test.world.time.nowMs > endMs) throw new Error('A batch took longer than its interval.');
    this.#passTo(endMs + BEHIND_BATCH_MS);
    if (this.#sweeps === 'behindEachBatch') await this.sweep();
    else await this.#run();
    this.#passTo(endMs + INTO_BATCH_MS);
    this.#batch += 1;
  }

  /** The sweep comes that fires what no record fires. */
  async sweep(): Promise<void> {
    this.#test.deployed.sweepTimers();
    await this.#run();
  }

  /** All containers are gone, and the mapping goes on from what it last kept. */
  restart(): void {
    this.#test.deployed.restart();
  }

  /** The first open shard becomes two. */
  split(): void {
    const { stream } = this.#test;
    const [first] = stream.openShards;
    if (first !== undefined) stream.split(first);
  }

  /** What a consumer that skips what it has seen has got since the last call. */
  newOutputs(): readonly Output[] {
    const outputs = outputsOf(this.#test.deployed).slice(this.#taken);
    this.#taken += outputs.length;
    return outputs;
  }

  /** By key: the states of its operators. */
  states(): ReadonlyMap<string, Readonly<Record<string, unknown>>> {
    const states = new Map<string, Readonly<Record<string, unknown>>>();
    for (const [pk, item] of this.#test.deployed.store.items()) {
      const key = keyOfItem(pk);
      if (key !== undefined && item.states.size > 0) states.set(key, Object.fromEntries(item.states));
    }
    return states;
  }

  get deadLetters(): number {
    return this.#test.deployed.letters.size;
  }

  /** Of the internal stream of a repartition: how many values each shard has got. */
  get innerShards(): readonly number[] {
    return (this.#test.innerStream?.shards ?? []).map(({ records }) => records.length);
  }

  #passTo(timeMs: number): void {
    const { time } = this.#test.world;
    time.pass(Math.max(0, timeMs - time.nowMs));
  }

  /** @throws BrokenRun where the world does not come to rest, or an invariant is broken. */
  async #run(): Promise<void> {
    const all = await this.#test.world.run();
    // Of what timers give the checker knows nothing; the case itself says what they should.
    const violations = this.#isTimed ? all.filter((each) => /^(?:liveness|crash)\b/.test(each)) : all;
    if (violations.length > 0) throw new BrokenRun(violations.slice(0, 3).join('\n'));
  }
}

/** Rows as what they are, whatever their order. */
function inAnyOrder(rows: readonly unknown[], isInside: boolean): string[] {
  const sortedInside = (value: unknown): unknown =>
    Array.isArray(value) && isInside ? value.map((each) => JSON.stringify(sortedInside(each))).sort() : value;
  return rows
    .map((row) =>
      JSON.stringify(Array.isArray(row) && isInside ? [row[0] as unknown, sortedInside(row[1])] : row),
    )
    .sort();
}

/** @returns what differs, where something does. */
export function difference(
  what: string,
  expected: readonly unknown[],
  found: readonly unknown[],
  order: 'list' | 'anyOrder' | 'anyOrderInside' = 'anyOrder',
): string[] {
  const isEqual =
    order === 'list'
      ? isDeepStrictEqual(expected, found)
      : isDeepStrictEqual(
          inAnyOrder(expected, order === 'anyOrderInside'),
          inAnyOrder(found, order === 'anyOrderInside'),
        );
  if (isEqual) return [];
  return [`${what}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`];
}

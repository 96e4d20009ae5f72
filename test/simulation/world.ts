import { MemoryShardRanges } from '../../shared/source/shard-ranges.ts';
import { ItemCache } from '../../shared/engine/item-cache.ts';
import { processBatch } from '../../shared/engine/process-batch.ts';
import { programOf } from '../../shared/engine/program.ts';
import type { Runtime } from '../../shared/engine/runtime.ts';
import type { DeadLetter, DeadLetterSink } from '../../shared/output/dead-letter-store.ts';
import type { Delivery, SinkPort } from '../../shared/output/sink-port.ts';
import type { Pipeline } from '../../shared/pipeline/definition.ts';
import { comparePositions, compareSequences } from '../../shared/source/position.ts';
import type { RecordBatch, SourceRecord } from '../../shared/source/record.ts';
import { MemoryStateStore } from '../../shared/state/memory-state-store.ts';
import type { StateStore } from '../../shared/state/state-store.ts';
import { recordBatch, sourceRecord, START_MS, type TestRecord } from '../support/memory-ports.ts';

/** How many faults of each kind a run may have: all end, so that every run must drain. */
export interface FaultBudget {
  /** The process dies before or after any I/O. */
  crashes: number;
  /** The mapping gives an invocation up, which goes on later as if nothing had been. */
  zombies: number;
  /** A batch that was delivered before is delivered again beside the current one. */
  duplicates: number;
  /** One write of a request fails, or takes effect and reports failure. */
  writeFaults: number;
  /** One delivery of a request fails, or takes effect and reports failure. */
  sinkFaults: number;
  /** For a whole invocation one item cannot be written: its partition is throttled. */
  throttledItems: number;
  /** For a whole invocation one destination key cannot be delivered. */
  throttledKeys: number;
}

export interface WorldOptions {
  readonly pipeline: Pipeline;
  /** Per shard its records, in order. */
  readonly shards: readonly (readonly TestRecord[])[];
  readonly parallelizationFactor: number;
  /** Whether the factor is lowered to 1 in the middle, first for the functions and later for the mapping. */
  readonly lowersFactor: boolean;
  readonly faults: FaultBudget;
  readonly random: () => number;
}

/** Steps after which a run is stuck: small worlds need a few hundred. */
const STEP_LIMIT = 20_000;
const CONTAINERS = 2;

interface Invocation {
  readonly cursor: Cursor | undefined;
  readonly records: readonly SourceRecord[];
  /** Set while it waits at a gate. */
  resume: (() => void) | undefined;
  /** Steps for which it sleeps. */
  sleep: number;
  isDead: boolean;
  /** Which of the items and destination keys is throttled, by a number that picks one. */
  readonly throttledItem: number | undefined;
  readonly throttledKey: number | undefined;
  outcome: { readonly failedFrom: string | undefined } | 'error' | undefined;
}

/** One queue of the mapping: a shard, or with parallelization a part of its partition keys. */
interface Cursor {
  readonly shard: number;
  readonly records: readonly SourceRecord[];
  next: number;
  outstanding: Invocation | undefined;
}

/**
 * The real engine on memory ports in one thread: a seeded scheduler decides at every I/O boundary who goes on, who
 * dies and who sleeps. Batches are cut anew at every delivery.
 */
export class World {
  readonly store = new MemoryStateStore();
  readonly deliveries = new Map<string, Delivery[]>();
  readonly letters = new Map<string, DeadLetter>();
  cursors: Cursor[];
  readonly story: string[] = [];
  readonly #options: WorldOptions;
  readonly #containers: { readonly cache: ItemCache; generation: number | undefined }[];
  readonly #alive: Invocation[] = [];
  /** What the functions are told; it may be lowered to 1 while the mapping still delivers by partition key. */
  #toldFactor: number;
  #nowMs = START_MS + 100_000;

  constructor(options: WorldOptions) {
    this.#options = options;
    const { parallelizationFactor: factor, shards } = options;
    this.#toldFactor = factor;
    this.#containers = Array.from({ length: CONTAINERS }, () => ({
      cache: new ItemCache(),
      generation: undefined,
    }));
    this.cursors = shards.flatMap((values, shard) => {
      const records = values.map((value, number) => sourceRecord(shard, number, value));
      const queues: SourceRecord[][] = Array.from({ length: factor }, () => []);
      for (const record of records) queues[hash(record.partitionKey) % factor]?.push(record);
      return queues.map((queue) => ({ shard, records: queue, next: 0, outstanding: undefined }));
    });
  }

  /** Runs until everything is acknowledged and every invocation has ended. @throws when it never is. */
  async run(): Promise<void> {
    for (let step = 0; step < STEP_LIMIT; step++) {
      const actions = this.#actions();
      if (actions.length === 0) {
        if (this.#alive.length === 0) return;
        continue;
      }
      await this.#pick(actions)();
    }
    throw new Error(`stuck after ${STEP_LIMIT} steps`);
  }

  #actions(): (() => Promise<void>)[] {
    const actions: (() => Promise<void>)[] = [];
    for (const cursor of this.cursors) {
      if (cursor.outstanding === undefined && cursor.next < cursor.records.length) {
        actions.push(async () => this.#deliver(cursor));
      }
    }
    const { random, lowersFactor } = this.#options;
    // CloudFormation changes the function first, and the mapping minutes later.
    if (lowersFactor && random() < 0.02) actions.push(async () => this.#lowerFactor());
    for (const invocation of this.#alive) {
      if (invocation.sleep > 0) invocation.sleep -= 1;
      else actions.push(async () => this.#step(invocation));
    }
    return actions;
  }

  #lowerFactor(): void {
    if (this.#toldFactor > 1) {
      const rows = this.#options.shards.map((_, shard) =>
        this.store.progress(1, recordBatch(shard, []).shard),
      );
      // A shard that was never read with the higher factor does not know of it.
      if (rows.some((row) => row?.isByPartition !== true)) return;
      this.#toldFactor = 1;
      this.#tell('functions are told 1');
      return;
    }
    if (this.cursors.some(({ outstanding }) => outstanding !== undefined)) return;
    this.#tell('the mapping delivers by shard');
    this.cursors = this.#options.shards.map((_, shard) => {
      const rest = this.cursors.filter((cursor) => cursor.shard === shard);
      const records = rest.flatMap((cursor) => cursor.records.slice(cursor.next));
      records.sort((a, b) => comparePositions(a.position, b.position));
      return { shard, records, next: 0, outstanding: undefined };
    });
  }

  async #deliver(cursor: Cursor): Promise<void> {
    const invocation = this.#invoke(cursor, cursor.next, this.#cut(cursor, cursor.next));
    cursor.outstanding = invocation;
    await settled();
    this.#finish(invocation);
  }

  #cut({ records }: Cursor, from: number): readonly SourceRecord[] {
    return records.slice(from, from + 1 + Math.floor(this.#options.random() * 5));
  }

  #invoke(cursor: Cursor, from: number, records: readonly SourceRecord[], isDuplicate = false): Invocation {
    const invocation: Invocation = {
      cursor: isDuplicate ? undefined : cursor,
      records,
      resume: undefined,
      sleep: isDuplicate ? Math.floor(this.#options.random() * 40) : 0,
      isDead: false,
      throttledItem: this.#draw('throttledItems'),
      throttledKey: this.#draw('throttledKeys'),
      outcome: undefined,
    };
    this.#alive.push(invocation);
    this.#tell(
      `${isDuplicate ? 'duplicate' : 'deliver'} shard ${cursor.shard} [${from}..${from + records.length - 1}]`,
    );
    void processBatch(this.#runtime(invocation), this.#batch(cursor, records), this.#nowMs + 60_000).then(
      ({ failedFrom }) => void (invocation.outcome = { failedFrom: failedFrom?.sequence }),
      (error: unknown) => {
        this.#tell(`error ${String(error)}`);
        invocation.outcome = 'error';
      },
    );
    return invocation;
  }

  #draw(fault: 'throttledItems' | 'throttledKeys'): number | undefined {
    const { faults, random } = this.#options;
    if (faults[fault] === 0 || random() < 0.7) return undefined;
    faults[fault] -= 1;
    return Math.floor(random() * 4);
  }

  #batch({ shard }: Cursor, records: readonly SourceRecord[]): RecordBatch {
    return recordBatch(shard, records);
  }

  async #step(invocation: Invocation): Promise<void> {
    const { faults, random } = this.#options;
    const { cursor } = invocation;
    this.#nowMs += 1;
    if (cursor !== undefined && cursor.outstanding === invocation && faults.zombies > 0 && random() < 0.05) {
      faults.zombies -= 1;
      cursor.outstanding = undefined;
      invocation.sleep = Math.floor(random() * 120);
      this.#tell(`given up: shard ${cursor.shard} ${first(invocation)}`);
      return;
    }
    if (faults.crashes > 0 && random() < 0.04) {
      faults.crashes -= 1;
      invocation.isDead = true;
      invocation.outcome = 'error';
      this.#tell(`crash ${first(invocation)}`);
      this.#finish(invocation);
      return;
    }
    if (cursor !== undefined && faults.duplicates > 0 && random() < 0.03) {
      faults.duplicates -= 1;
      const from = Math.floor(random() * (cursor.next + 1));
      const records = this.#cut(cursor, from);
      if (records.length > 0) this.#invoke(cursor, from, records, true);
    }
    const { resume } = invocation;
    invocation.resume = undefined;
    resume?.();
    await settled();
    this.#finish(invocation);
  }

  #finish(invocation: Invocation): void {
    const { outcome, cursor, records } = invocation;
    if (outcome === undefined) return;
    this.#alive.splice(this.#alive.indexOf(invocation), 1);
    if (cursor === undefined || cursor.outstanding !== invocation) return;
    cursor.outstanding = undefined;
    if (outcome === 'error') return;
    const start = cursor.records.indexOf(records[0] as SourceRecord);
    const failed = outcome.failedFrom;
    cursor.next =
      failed === undefined
        ? start + records.length
        : cursor.records.findIndex(({ position }) => compareSequences(position.sequence, failed) === 0);
  }

  #runtime(invocation: Invocation): Runtime {
    const container = this.#pick(this.#containers);
    const { pipeline } = this.#options;
    const parallelizationFactor = this.#toldFactor;
    const program = programOf(pipeline.definition);
    const sinks = new Map([...program.sinks.keys()].map((name) => [name, this.#sink(invocation, name)]));
    return {
      program,
      store: this.#gatedStore(invocation),
      sinks,
      deadLetters: this.#gatedLetters(invocation),
      shardRanges: new MemoryShardRanges(new Map()),
      clock: { nowMs: () => this.#nowMs },
      wait: () => this.#gate(invocation),
      log: { warn: (text) => this.#tell(text), error: (text) => this.#tell(text) },
      cache: container.cache,
      parallelizationFactor,
      get generation() {
        return container.generation;
      },
      set generation(value) {
        container.generation = value;
      },
    };
  }

  /** Every I/O may end, sleep or be overtaken before it takes effect, and again before its result is known. */
  async #io<T>(invocation: Invocation, work: () => Promise<T>): Promise<T> {
    await this.#gate(invocation);
    const result = await work();
    await this.#gate(invocation);
    return result;
  }

  #gate(invocation: Invocation): Promise<void> {
    return new Promise((resolve) => {
      // Requests in parallel wait together: one step lets all of them go.
      const { resume } = invocation;
      invocation.resume = () => {
        resume?.();
        resolve();
      };
    });
  }

  #gatedStore(invocation: Invocation): StateStore {
    const { store } = this;
    const io = <T>(work: () => Promise<T>): Promise<T> => this.#io(invocation, work);
    return {
      load: (pks) => io(() => store.load(pks)),
      commit: (writes) =>
        io(async () => {
          const { faults, random } = this.#options;
          const throttled = writes.findIndex(({ item }) => hash(item.pk) % 4 === invocation.throttledItem);
          if (throttled !== -1) {
            const done = await store.commit(writes.filter((_, place) => place !== throttled));
            done.splice(throttled, 0, 'failed');
            return done;
          }
          const faulty = faults.writeFaults > 0 && random() < 0.3 ? Math.floor(random() * writes.length) : -1;
          if (faulty === -1) return store.commit(writes);
          faults.writeFaults -= 1;
          const takesEffect = random() < 0.5;
          const done = await store.commit(
            takesEffect ? writes : writes.filter((_, place) => place !== faulty),
          );
          if (!takesEffect) done.splice(faulty, 0, 'failed');
          else done[faulty] = random() < 0.5 ? 'failed' : 'conflict';
          this.#tell(
            `write of ${writes[faulty]?.item.pk} ${takesEffect ? 'took effect and failed' : 'failed'}`,
          );
          return done;
        }),
      readControl: () => io(() => store.readControl()),
      beginAttempt: (...args) => io(() => store.beginAttempt(...args)),
      createProgress: (...args) => io(() => store.createProgress(...args)),
      readProgress: (...args) => io(() => store.readProgress(...args)),
      suspect: (...args) => io(() => store.suspect(...args)),
      advance: (...args) => io(() => store.advance(...args)),
      seal: (...args) => io(() => store.seal(...args)),
      costs: () => store.costs(),
    };
  }

  #sink(invocation: Invocation, name: string): SinkPort {
    let delivered = this.deliveries.get(name);
    if (delivered === undefined) this.deliveries.set(name, (delivered = []));
    const into = delivered;
    return {
      maximumDeliveries: 3,
      maximumBytes: 10_000,
      deliver: (deliveries) =>
        this.#io(invocation, async () => {
          const { faults, random } = this.#options;
          const results = deliveries.map(() => true);
          // PutRecords keeps no order inside a request.
          const order = deliveries.map((_, place) => place).toSorted(() => random() - 0.5);
          for (const place of order) {
            const delivery = deliveries[place] as Delivery;
            const isThrottled = hash(delivery.destinationKey) % 4 === invocation.throttledKey;
            const fails = !isThrottled && faults.sinkFaults > 0 && random() < 0.3;
            if (fails) faults.sinkFaults -= 1;
            if (fails || isThrottled) results[place] = false;
            // A delivery that took effect may be reported as failed.
            if (!isThrottled && (!fails || random() < 0.5)) into.push(delivery);
          }
          return results;
        }),
    };
  }

  #gatedLetters(invocation: Invocation): DeadLetterSink {
    return { put: (name, letter) => this.#io(invocation, async () => void this.letters.set(name, letter)) };
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#options.random() * items.length)] as T;
  }

  #tell(text: string): void {
    this.story.push(text);
  }
}

function first({ records }: Invocation): string {
  return `…${records[0]?.position.sequence.slice(-3)}`;
}

/** A few bits of a partition key, to deal it to a queue. */
function hash(text: string): number {
  let value = 7;
  for (const character of text) value = (value * 31 + (character.codePointAt(0) ?? 0)) % 65_521;
  return value;
}

/** Lets every promise that can go on without I/O do so. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

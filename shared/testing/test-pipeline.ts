import { decodedValues, keyOf } from '../engine/elements.ts';
import { programOf, relayProgramOf } from '../engine/program.ts';
import { withTables, type LookupTables } from '../lookup/memory-lookup.ts';
import type { DeadLetter } from '../output/dead-letter-store.ts';
import { envelopeJson } from '../output/envelope.ts';
import { outerSourceOf, sinksOf, type Pipeline } from '../pipeline/definition.ts';
import { secondsOf, type Duration } from '../pipeline/duration.ts';
import type { Document } from '../state/document.ts';
import { itemKey } from '../state/row-key.ts';
import { outputsOf, quietWorld, type Output, type SentRecord, type TestWorld } from './test-world.ts';
import { runUnderFaults, sourceRecord, type FaultOptions, type FaultReport } from './under-faults.ts';

/** Records are sent in parts of this many, each run until it is at rest. */
const PART_RECORDS = 10;

export interface TestPipelineOptions {
  /** Rows that the pipeline looks up, by table and key. */
  readonly tables?: LookupTables;
}

/** A pipeline on memory ports and a clock of its own, through the real engine and the real mapping. */
export class TestPipeline<R> {
  readonly #pipeline: Pipeline;
  readonly #quiet: TestWorld;
  readonly #sent: SentRecord[] = [];
  #envelopes = 0;

  /** Use `testPipeline(pipeline)`. */
  constructor(pipeline: Pipeline, { tables = {} }: TestPipelineOptions = {}) {
    this.#pipeline = withTables(pipeline, tables);
    this.#quiet = quietWorld(this.#pipeline, { recordsLimit: PART_RECORDS });
  }

  /**
   * Puts values into the source stream, each under its own key as the partition key, and runs until all is done. Each
   * is a batch of its own, so that every change is published.
   * @param values as they are before decoding: what the source's JSON holds, a string for `text`, bytes for `bytes`; in
   * a chained pipeline the output's value, with `withKey` its key and value.
   * @throws Error where the pipeline does not come to rest.
   */
  async send(...values: readonly R[]): Promise<void> {
    await this.#put(values.map((value) => this.#record(value)));
  }

  /** Like `send`, under a partition key: of several in one shard only the order matters here; see `underFaults`. */
  async sendAs(partitionKey: string, ...values: readonly R[]): Promise<void> {
    await this.#put(values.map((value) => ({ ...this.#record(value), partitionKey })));
  }

  /** Puts a record's bytes as they are, such as ones that cannot be decoded. */
  async sendBytes(bytes: Uint8Array | string, partitionKey = 'bytes'): Promise<void> {
    const data = Buffer.from(bytes).toString('base64');
    const shown = typeof bytes === 'string' ? bytes : `base64 ${data}`;
    await this.#put([{ shown, partitionKey, data, sentMs: this.nowMs }]);
  }

  /** Lets the test's time pass: arrival times, retention, `dedupeBy` go by it. */
  async advance(duration: Duration): Promise<void> {
    const { world } = this.#quiet;
    world.time.pass(secondsOf('The duration to advance', duration) * 1_000);
    await this.#run();
    await this.#sweep();
  }

  /** The test's time, milliseconds since the epoch. */
  get nowMs(): number {
    return Math.round(this.#quiet.world.time.nowMs);
  }

  /**
   * A key's state by operator name, copied; `undefined` where the key has none.
   */
  state<S = Readonly<Record<string, Document>>>(key: string): S | undefined {
    const states = this.#quiet.deployed.store.items().get(itemKey(1, key))?.states;
    if (states === undefined || states.size === 0) return undefined;
    return structuredClone(Object.fromEntries(states)) as S;
  }

  /**
   * What was published to a sink so far, or to all of them: each output once, in order.
   * @throws TypeError where the pipeline has no such sink.
   */
  outputs<T = unknown>(sink?: string): (Output & { readonly value: T })[] {
    const names = sinksOf(this.#pipeline.definition).map(({ name }) => name);
    if (sink !== undefined && !names.includes(sink)) {
      throw new TypeError(
        `Pipeline '${this.#pipeline.definition.name}' has no sink '${sink}'; it has ` +
          `${names.map((name) => `'${name}'`).join(', ') || 'none'}.`,
      );
    }
    const all = outputsOf(this.#quiet.deployed) as (Output & { readonly value: T })[];
    return sink === undefined ? all : all.filter((output) => output.sink === sink);
  }

  /** Records that were rejected, in order. */
  deadLetters(): readonly DeadLetter[] {
    return [...this.#quiet.deployed.letters.values()];
  }

  /**
   * Runs what was sent so far in many worlds where batches are cut anew, delivered twice and given up, processes die at
   * any request, answers are lost, tables and sinks throttle, shards split and merge: the real engine, each world in
   * one thread and decided by its seed. First it looks for functions of the pipeline that are not pure.
   * @throws BrokenRuleError with the rule, the function and the shortest example.
   * @throws TypeError where nothing was sent, or an option cannot be used.
   */
  async underFaults(options: FaultOptions = {}): Promise<FaultReport> {
    if (this.#sent.length === 0) {
      throw new TypeError(
        'underFaults: nothing was sent; send the records first that the worlds are to run.',
      );
    }
    return runUnderFaults(this.#pipeline, this.#sent, this.#quiet.world.violations[0], options);
  }

  async #put(records: readonly SentRecord[]): Promise<void> {
    const { world, stream } = this.#quiet;
    for (let at = 0; at < records.length; at += PART_RECORDS) {
      for (const record of records.slice(at, at + PART_RECORDS)) {
        this.#sent.push(record);
        world.put(stream, record.partitionKey, record.data, this.nowMs);
      }
      await this.#run();
    }
  }

  /** What time alone brings: twice, for a sweep that lifts a lane fires by it, and what comes behind it waits for both. */
  async #sweep(): Promise<void> {
    if (this.#pipeline.definition.time === undefined) return;
    this.#quiet.deployed.sweepTimers();
    await this.#run();
  }

  async #run(): Promise<void> {
    const violations = await this.#quiet.world.run();
    // Others tell of functions that are not pure, of which `underFaults` knows more.
    const stuck = violations.filter((violation) => /^(?:liveness|crash)\b/.test(violation));
    if (stuck.length === 0) return;
    const { name, onRecordError } = this.#pipeline.definition;
    const hint =
      onRecordError === 'stop' ? " With onRecordError 'stop' a rejected record holds its shard." : '';
    throw new Error(`Pipeline '${name}' does not come to rest.${hint}\n  ${stuck.slice(0, 3).join('\n  ')}`);
  }

  #record(value: R): SentRecord {
    const { chained, codec } = outerSourceOf(this.#pipeline.definition);
    const sentMs = this.nowMs;
    if (chained !== undefined) {
      const { key, value: inner } =
        chained.withKey === true
          ? (value as { readonly key: string; readonly value: unknown })
          : { key: 'test', value };
      const data = this.#envelope(key, inner);
      return { shown: value, partitionKey: key, data, sentMs };
    }
    const bytes = Buffer.from(codec === 'json' ? JSON.stringify(value) : (value as string | Uint8Array));
    const record = { shown: value, partitionKey: '', data: bytes.toString('base64'), sentMs };
    return { ...record, partitionKey: this.#firstKeyOf(record) ?? `record-${this.#sent.length}` };
  }

  /** The value as an output that a pipeline `test` has published. */
  #envelope(key: string, value: unknown): string {
    this.#envelopes += 1;
    const position = { sequence: String(this.#envelopes), sub: 0 };
    const json = JSON.stringify(value);
    const entry = {
      kind: 'output',
      lane: 'test/0',
      position,
      element: 0,
      index: 0,
      sink: 'test',
      destinationKey: key,
      revision: this.#envelopes,
      isChange: false,
      arrivalMs: this.nowMs,
      value: { json },
    } as const;
    const { revision } = entry;
    const id = `test/${this.#envelopes}`;
    const delivery = { id, destinationKey: key, json, pk: itemKey(1, key), revision, entry };
    return Buffer.from(envelopeJson('test', delivery)).toString('base64');
  }

  #firstKeyOf(record: SentRecord): string | undefined {
    const { definition } = this.#pipeline;
    const program = relayProgramOf(definition) ?? programOf(definition);
    try {
      for (const value of decodedValues(program, sourceRecord(record, 0))) {
        const key = keyOf(program, value);
        // Kinesis takes 256 characters, and none.
        if (typeof key === 'string' && key !== '' && key.length <= 256) return key;
      }
    } catch {
      return undefined;
    }
    return undefined;
  }
}

/**
 * A pipeline to be tested, with what it looks up in other tables: `const test = testPipeline<Flight>(airportDelays)`.
 * @typeParam R what is sent: the values of the source before decoding.
 */
export function testPipeline<R = unknown>(
  pipeline: Pipeline,
  options: TestPipelineOptions = {},
): TestPipeline<R> {
  return new TestPipeline<R>(pipeline, options);
}

import { programOf } from '../../engine/program.ts';
import type { PipelineDefinition, PipelineTime, Sink, StatelessStage } from '../../pipeline/definition.ts';
import type { Decode } from '../../source/decode.ts';
import type { Position } from '../../source/position.ts';
import type { ReadEnvelope } from '../../source/provenance.ts';
import type { SourceRecord } from '../../source/record.ts';
import type { Document } from '../../state/document.ts';
import { isKey, PlainKey, type Emit, type KeyStates } from '../plain-key.ts';

/** One element of a record, as the records alone say it. */
export interface OracleElement {
  readonly number: number;
  /** `undefined` where it has none, so that it is a dead letter of the shard's. */
  readonly key: string | undefined;
  /** In a pipeline with a time, milliseconds since the epoch. */
  readonly eventMs?: number | undefined;
}

/** An output that a record should give. */
export interface OracleOutput {
  readonly element: number;
  readonly sink: string;
  readonly index: number;
  readonly destinationKey: string;
  readonly isChange: boolean;
  readonly value: unknown;
  /** Of what a timer makes: the lane of the key's timers, and where it stands there. */
  readonly origin?: { readonly lane: string; readonly position: Position };
}

export type OracleStep =
  | { readonly kind: 'applied'; readonly outputs: readonly OracleOutput[] }
  | { readonly kind: 'rejected'; readonly reason: string };

interface KnownKey extends KeyStates {
  /** The newest arrival so far, seconds since the epoch. */
  readonly newestSeconds: number;
}

const NOTHING_KNOWN: KnownKey = { states: new Map(), seen: new Set(), newestSeconds: 0 };

/**
 * What the state and the outputs should be: each key's records folded once, in the order in which they were committed,
 * by the pipeline's own functions over plain Maps. It shares with the engine the decoder, the definition and the form
 * of a state; it knows no batches, marks, revisions and outboxes.
 */
export class Oracle {
  readonly #definition: PipelineDefinition;
  readonly #decode: Decode;
  readonly #tombstoneSeconds: number;
  readonly #keys = new Map<string, KnownKey>();
  #isJudging = false;

  constructor(definition: PipelineDefinition) {
    const program = programOf(definition);
    this.#definition = definition;
    this.#decode = program.decode;
    this.#tombstoneSeconds = program.tombstoneSeconds;
  }

  /** Whether user code runs here now, and not in a process. */
  get isJudging(): boolean {
    return this.#isJudging;
  }

  /** What the record becomes; one element without a key where it cannot be decoded. */
  read(record: SourceRecord): {
    readonly elements: readonly OracleElement[];
    /** Whether it is rejected as a whole, before it has elements. */
    readonly isWhole: boolean;
    /** The highest event time of what it becomes; undefined where nothing has one. */
    readonly highestMs: number | undefined;
    /** Where it is an output of another pipeline. */
    readonly envelope: (ReadEnvelope & { readonly id: string | undefined }) | undefined;
  } {
    let envelope: ReadEnvelope | undefined;
    const withId = (): (ReadEnvelope & { readonly id: string | undefined }) | undefined =>
      envelope && { ...envelope, id: envelopeId(record) };
    this.#isJudging = true;
    try {
      const times = new Times(this.#definition.time, record.arrivalMs);
      const values = this.#values(record, (found) => (envelope = found), times);
      const elements = values.map((value, number) => ({
        number,
        key: this.#keyOf(value),
        eventMs: times.ofValues[number],
      }));
      return { elements, isWhole: false, highestMs: times.highestMs, envelope: withId() };
    } catch {
      const elements = [{ number: 0, key: undefined }];
      return { elements, isWhole: true, highestMs: undefined, envelope: withId() };
    } finally {
      this.#isJudging = false;
    }
  }

  /** By operator: what the key's state should be. */
  states(key: string): ReadonlyMap<string, Document> {
    return (this.#keys.get(key) ?? NOTHING_KNOWN).states;
  }

  /**
   * Folds all elements that the record has for the key, or none where one of them is rejected.
   * @param only the one element to fold, where the record's others are not meant.
   */
  fold(record: SourceRecord, key: string, only?: number): OracleStep {
    let before = this.#keys.get(key) ?? NOTHING_KNOWN;
    const arrivalSeconds = Math.floor(record.arrivalMs / 1_000);
    const isForgotten =
      arrivalSeconds >= before.newestSeconds + this.#tombstoneSeconds && !this.#counts(before.states);
    if (isForgotten) before = { ...before, seen: new Set() };
    const newestSeconds = Math.max(before.newestSeconds, arrivalSeconds);
    const folded = new PlainKey(this.#definition.keyedStages, key, before);
    const outputs: OracleOutput[] = [];
    this.#isJudging = true;
    try {
      for (const { element, value } of this.#valuesOf(record, key)) {
        if ((only ?? element) !== element) continue;
        folded.fold(value, { arrivalMs: record.arrivalMs }, emitting(outputs, element, key));
      }
    } catch (error) {
      this.#keys.set(key, { ...before, newestSeconds });
      return { kind: 'rejected', reason: String(error) };
    } finally {
      this.#isJudging = false;
    }
    this.#keys.set(key, { states: folded.states, seen: folded.seen, newestSeconds });
    return { kind: 'applied', outputs };
  }

  /** Whether a state holds what is kept however long nothing comes. */
  #counts(states: ReadonlyMap<string, Document>): boolean {
    return this.#definition.keyedStages.some(
      (stage) =>
        stage.kind === 'stateful' && states.has(stage.name) && stage.forgetsAfterSeconds === undefined,
    );
  }

  /** The record arrives for the key and waits: nothing of it is folded. */
  pass({ arrivalMs }: SourceRecord, key: string): void {
    const before = this.#keys.get(key) ?? NOTHING_KNOWN;
    const newestSeconds = Math.max(before.newestSeconds, Math.floor(arrivalMs / 1_000));
    this.#keys.set(key, { ...before, newestSeconds });
  }

  /** User code runs here, and not in a process. */
  judge<T>(run: () => T): T {
    this.#isJudging = true;
    try {
      return run();
    } finally {
      this.#isJudging = false;
    }
  }

  /** What the record becomes under a key, made anew: user code may change it. @throws what user code throws. */
  valuesOf(record: SourceRecord, key: string): readonly OracleValue[] {
    return this.#valuesOf(record, key);
  }

  #valuesOf(record: SourceRecord, key: string): readonly OracleValue[] {
    const times = new Times(this.#definition.time, record.arrivalMs);
    return this.#values(record, undefined, times)
      .map((value, element) => ({ element, value, eventMs: times.ofValues[element] }))
      .filter(({ value }) => this.#keyOf(value) === key);
  }

  #values(
    record: SourceRecord,
    onEnvelope?: (envelope: ReadEnvelope) => void,
    times = new Times(undefined, 0),
  ): readonly unknown[] {
    const values: unknown[] = [];
    const { stages } = this.#definition;
    runStateless(stages, this.#decode(record.data, onEnvelope), values, times, 0);
    return values;
  }

  #keyOf(value: unknown): string | undefined {
    try {
      const key = this.#definition.keyBy(value);
      return isKey(key) ? key : undefined;
    } catch {
      return undefined;
    }
  }
}

/**
 * By what an output is known, however often and however late it is put: its id, and the lineage in which a rewind counts
 * anew. `undefined` where it is not plain JSON.
 */
function envelopeId({ data }: SourceRecord): string | undefined {
  try {
    const { id, provenance } = JSON.parse(Buffer.from(data, 'base64').toString()) as {
      readonly id?: unknown;
      readonly provenance?: { readonly lineage?: unknown };
    };
    return typeof id === 'string' ? `${String(provenance?.lineage)} ${id}` : undefined;
  } catch {
    return undefined;
  }
}

/** One value of a record under a key. */
export interface OracleValue {
  readonly element: number;
  readonly value: unknown;
  readonly eventMs: number | undefined;
}

/** Reads event times as a pipeline's definition says. */
class Times {
  readonly ofValues: number[] = [];
  highestMs: number | undefined;
  readonly #time: PipelineTime | undefined;
  #currentMs: number;

  constructor(time: PipelineTime | undefined, arrivalMs: number) {
    this.#time = time;
    this.#currentMs = arrivalMs;
  }

  /** @throws RangeError for what is no time, which rejects the record. */
  at(stage: number, value: unknown): void {
    if (this.#time?.at !== stage) return;
    const { of } = this.#time;
    if (of !== undefined) this.#currentMs = Math.floor(Number(of(value)));
    if (!(this.#currentMs >= 0 && this.#currentMs <= LATEST_TIME_MS)) throw new RangeError('It is no time.');
    this.highestMs = Math.max(this.highestMs ?? -Infinity, this.#currentMs);
  }

  take(): void {
    if (this.#time !== undefined) this.ofValues.push(this.#currentMs);
  }
}

/** Date's own limit. */
const LATEST_TIME_MS = 8.64e15;

function runStateless(
  stages: readonly StatelessStage[],
  value: unknown,
  values: unknown[],
  times: Times,
  at: number,
): void {
  times.at(at, value);
  const [stage, ...rest] = stages;
  if (stage === undefined) {
    times.take();
    values.push(value);
    return;
  }
  switch (stage.kind) {
    case 'map':
      return runStateless(rest, stage.apply(value), values, times, at + 1);
    case 'filter':
      return stage.apply(value) ? runStateless(rest, value, values, times, at + 1) : undefined;
    case 'flatMap':
      for (const each of stage.apply(value)) runStateless(rest, each, values, times, at + 1);
      return;
  }
}

/** Gathers what an element makes, or a timer. @throws TypeError for what cannot be published. */
export function emitting(
  outputs: OracleOutput[],
  element: number,
  key: string,
  origin?: OracleOutput['origin'],
): Emit {
  return (sink, output, isChange, ownKey) =>
    outputs.push({
      element,
      sink: sink.name,
      index: outputs.filter((each) => each.element === element && each.sink === sink.name).length,
      destinationKey: destinationKeyOf(sink, output, key, ownKey),
      isChange,
      value: jsonValue(output),
      ...(origin !== undefined && { origin }),
    });
}

function destinationKeyOf(sink: Sink, value: unknown, key: string, ownKey: string): string {
  const destinationKey: unknown =
    sink.kind === 'forEach' || sink.key === undefined ? ownKey : sink.key(value, key);
  if (isKey(destinationKey)) return destinationKey;
  throw new TypeError(`${JSON.stringify(destinationKey)} is no destination key.`);
}

function jsonValue(value: unknown): unknown {
  const json = JSON.stringify(value) as string | undefined;
  if (json === undefined) throw new TypeError('JSON cannot hold the output.');
  return JSON.parse(json);
}

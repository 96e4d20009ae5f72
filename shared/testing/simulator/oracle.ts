import { programOf } from '../../engine/program.ts';
import type { PipelineDefinition, Sink, StatelessStage } from '../../pipeline/definition.ts';
import type { Decode } from '../../source/decode.ts';
import type { ReadEnvelope } from '../../source/provenance.ts';
import type { SourceRecord } from '../../source/record.ts';
import type { Document } from '../../state/document.ts';
import { isKey, PlainKey, type KeyStates } from '../plain-key.ts';

/** One element of a record, as the records alone say it. */
export interface OracleElement {
  readonly number: number;
  /** `undefined` where it has none, so that it is a dead letter of the shard's. */
  readonly key: string | undefined;
}

/** An output that a record should give. */
export interface OracleOutput {
  readonly element: number;
  readonly sink: string;
  readonly index: number;
  readonly destinationKey: string;
  readonly isChange: boolean;
  readonly value: unknown;
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
    /** Where it is an output of another pipeline. */
    readonly envelope: (ReadEnvelope & { readonly id: string | undefined }) | undefined;
  } {
    let envelope: ReadEnvelope | undefined;
    const withId = (): (ReadEnvelope & { readonly id: string | undefined }) | undefined =>
      envelope && { ...envelope, id: envelopeId(record) };
    this.#isJudging = true;
    try {
      const values = this.#values(record, (found) => (envelope = found));
      const elements = values.map((value, number) => ({ number, key: this.#keyOf(value) }));
      return { elements, isWhole: false, envelope: withId() };
    } catch {
      return { elements: [{ number: 0, key: undefined }], isWhole: true, envelope: withId() };
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
      const values = this.#values(record);
      for (const [element, value] of values.entries()) {
        if (this.#keyOf(value) !== key || (only ?? element) !== element) continue;
        folded.fold(value, { arrivalMs: record.arrivalMs }, (sink, output, isChange) =>
          outputs.push({
            element,
            sink: sink.name,
            index: outputs.filter((each) => each.element === element && each.sink === sink.name).length,
            destinationKey: destinationKeyOf(sink, output, key),
            isChange,
            value: jsonValue(output),
          }),
        );
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

  #values(record: SourceRecord, onEnvelope?: (envelope: ReadEnvelope) => void): readonly unknown[] {
    const values: unknown[] = [];
    runStateless(this.#definition.stages, this.#decode(record.data, onEnvelope), values);
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

/** The id of an output, the same however often and however late it is put; `undefined` where it is not plain JSON. */
function envelopeId({ data }: SourceRecord): string | undefined {
  try {
    const { id } = JSON.parse(Buffer.from(data, 'base64').toString()) as { readonly id?: unknown };
    return typeof id === 'string' ? id : undefined;
  } catch {
    return undefined;
  }
}

function runStateless(stages: readonly StatelessStage[], value: unknown, values: unknown[]): void {
  const [stage, ...rest] = stages;
  if (stage === undefined) {
    values.push(value);
    return;
  }
  switch (stage.kind) {
    case 'map':
      return runStateless(rest, stage.apply(value), values);
    case 'filter':
      return stage.apply(value) ? runStateless(rest, value, values) : undefined;
    case 'flatMap':
      for (const each of stage.apply(value)) runStateless(rest, each, values);
      return;
  }
}

function destinationKeyOf(sink: Sink, value: unknown, key: string): string {
  const destinationKey: unknown =
    sink.kind === 'forEach' || sink.key === undefined ? key : sink.key(value, key);
  if (isKey(destinationKey)) return destinationKey;
  throw new TypeError(`${JSON.stringify(destinationKey)} is no destination key.`);
}

function jsonValue(value: unknown): unknown {
  const json = JSON.stringify(value) as string | undefined;
  if (json === undefined) throw new TypeError('JSON cannot hold the output.');
  return JSON.parse(json);
}

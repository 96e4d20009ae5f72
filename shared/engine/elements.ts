import { ConfigurationError } from '../pipeline/configuration-error.ts';
import type { PipelineTime, StatelessStage } from '../pipeline/definition.ts';
import { RecordError, rejectionOf, type Rejection } from '../source/record-error.ts';
import type { ReadEnvelope } from '../source/provenance.ts';
import type { SourceRecord } from '../source/record.ts';
import { eventMsOf } from '../time/event-ms.ts';
import { KEY_LIMIT_BYTES } from './limits.ts';
import type { Program } from './program.ts';
import { haveSharedObjects } from './shared-objects.ts';

/** One of the values that a record became, under its key; or why it has none. */
export interface Element {
  /** The record's place in the batch. */
  readonly record: number;
  /** Its number among the record's elements: a part of every output's id. */
  readonly number: number;
  readonly value: unknown;
  /** Its event time, milliseconds since the epoch; undefined in a pipeline without a time, and where it has none. */
  readonly eventMs: number | undefined;
  readonly rejection: Rejection | undefined;
  /**
   * Whether other elements of the record may hold the same objects: user code may change what it is given, and must
   * not change what another key's fold sees.
   */
  readonly isShared: boolean;
}

/**
 * Runs decoder, stateless operators and `keyBy` on one record, and hands out its elements in order.
 * A record that fails before it has keys is handed out once, without a key, with its rejection; one that belongs to
 * another shard has no elements.
 * @param onEnvelope told, in a chained pipeline, of the record's envelope, before any element is handed out.
 * @returns the highest event time of what it became; undefined where there is none.
 * @throws ConfigurationError for what concerns every record.
 */
export function forEachElement(
  program: Program,
  record: SourceRecord,
  index: number,
  emit: (key: string | undefined, element: Element) => void,
  onEnvelope?: (envelope: ReadEnvelope) => void,
): number | undefined {
  if (record.isForeign === true) return undefined;
  if (record.rejection !== undefined) {
    emit(undefined, rejectedElement(index, 0, record.rejection));
    return undefined;
  }
  const times = program.definition.time === undefined ? undefined : new EventTimes(program.definition.time);
  let values: readonly unknown[];
  try {
    values = decodedValues(program, record, onEnvelope, times);
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    emit(undefined, rejectedElement(index, 0, rejectionOf(error, 'stateless')));
    return undefined;
  }
  const isShared = values.length > 1 && haveSharedObjects(values);
  for (let number = 0; number < values.length; number++) {
    const value = values[number];
    const key = keyOf(program, value);
    const eventMs = times?.ofValues[number];
    if (typeof key === 'string')
      emit(key, { record: index, number, value, eventMs, rejection: undefined, isShared });
    else emit(undefined, rejectedElement(index, number, key));
  }
  return times?.highestMs;
}

function rejectedElement(record: number, number: number, rejection: Rejection): Element {
  return { record, number, value: undefined, eventMs: undefined, rejection, isShared: false };
}

/** The key of a value, or why it has none. */
export function keyOf({ definition }: Program, value: unknown): string | Rejection {
  try {
    return requireKey(definition.keyBy(value));
  } catch (error) {
    return rejectionOf(error, 'key');
  }
}

/**
 * What a record becomes by decoder and stateless operators.
 * @throws what user code throws, RecordError, and ConfigurationError for what concerns every record.
 */
export function decodedValues(
  { decode, definition }: Program,
  record: SourceRecord,
  onEnvelope?: (envelope: ReadEnvelope) => void,
  times?: EventTimes,
): readonly unknown[] {
  const value = decode(record.data, onEnvelope);
  const { stages } = definition;
  times?.begin(record);
  if (stages.length === 0 && times === undefined) return [value];
  const values: unknown[] = [];
  runStateless(stages, 0, value, values, times);
  return values;
}

/** Reads the event times of one record's values on their way through the stateless operators. */
export class EventTimes {
  /** By number of the element. */
  readonly ofValues: number[] = [];
  /** Of all values that came so far, those included that were filtered out behind it. */
  highestMs: number | undefined;
  readonly #time: PipelineTime;
  #currentMs = 0;

  constructor(time: PipelineTime) {
    this.#time = time;
  }

  begin({ arrivalMs }: SourceRecord): void {
    this.#currentMs = arrivalMs;
  }

  /** The value comes to a stage. @throws RecordError where its event time is none. */
  at(stage: number, value: unknown): void {
    const { of, at } = this.#time;
    if (stage !== at) return;
    if (of !== undefined) this.#currentMs = requireEventMs(of(value));
    this.highestMs = Math.max(this.highestMs ?? -Infinity, this.#currentMs);
  }

  /** A value has come to the end. */
  passed(): void {
    this.ofValues.push(this.#currentMs);
  }
}

/** @throws RecordError for what is no time from 1970 on. */
function requireEventMs(time: unknown): number {
  const ms = eventMsOf(time);
  if (ms !== undefined) return ms;
  const given =
    time instanceof Date
      ? 'an invalid Date or one before 1970'
      : typeof time === 'number'
        ? String(time)
        : `a value of type ${time === null ? 'null' : typeof time}`;
  throw new RecordError(
    'stateless',
    `eventTime gave ${given}; an event time is a Date or milliseconds since 1970`,
  );
}

function runStateless(
  stages: readonly StatelessStage[],
  from: number,
  value: unknown,
  values: unknown[],
  times: EventTimes | undefined,
): void {
  let current = value;
  for (let at = from; at < stages.length; at++) {
    times?.at(at, current);
    const stage = stages[at] as StatelessStage;
    switch (stage.kind) {
      case 'map':
        current = stage.apply(current);
        break;
      case 'filter':
        if (!stage.apply(current)) return;
        break;
      case 'flatMap':
        for (const each of stage.apply(current)) runStateless(stages, at + 1, each, values, times);
        return;
    }
  }
  times?.at(stages.length, current);
  times?.passed();
  values.push(current);
}

/** @throws RecordError when DynamoDB cannot take the key. */
export function requireKey(key: unknown): string {
  if (typeof key !== 'string') {
    throw new RecordError(
      'key',
      `keyBy gave ${key === null ? 'null' : Array.isArray(key) ? 'an array' : `a value of type ${typeof key}`}; ` +
        'a key is a string',
    );
  }
  if (!key.isWellFormed()) {
    throw new RecordError('key', 'the key has a lone surrogate, which no UTF-8 text can hold');
  }
  // A UTF-16 unit is at most three bytes of UTF-8, so short keys need no count.
  if (key.length * 3 > KEY_LIMIT_BYTES) {
    const bytes = Buffer.byteLength(key);
    if (bytes > KEY_LIMIT_BYTES) {
      throw new RecordError(
        'key',
        `the key has ${bytes} bytes of UTF-8, the limit is ${KEY_LIMIT_BYTES}; hash long keys in keyBy`,
      );
    }
  }
  return key;
}

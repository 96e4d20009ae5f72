import { ConfigurationError } from '../pipeline/configuration-error.ts';
import type { StatelessStage } from '../pipeline/definition.ts';
import { RecordError, rejectionOf, type Rejection } from '../source/record-error.ts';
import type { ReadEnvelope } from '../source/provenance.ts';
import type { SourceRecord } from '../source/record.ts';
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
 * @throws ConfigurationError for what concerns every record.
 */
export function forEachElement(
  program: Program,
  record: SourceRecord,
  index: number,
  emit: (key: string | undefined, element: Element) => void,
  onEnvelope?: (envelope: ReadEnvelope) => void,
): void {
  if (record.isForeign === true) return;
  if (record.rejection !== undefined) {
    emit(undefined, rejectedElement(index, 0, record.rejection));
    return;
  }
  let values: readonly unknown[];
  try {
    values = decodedValues(program, record, onEnvelope);
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    emit(undefined, rejectedElement(index, 0, rejectionOf(error, 'stateless')));
    return;
  }
  const isShared = values.length > 1 && haveSharedObjects(values);
  for (let number = 0; number < values.length; number++) {
    const value = values[number];
    const key = keyOf(program, value);
    if (typeof key === 'string') emit(key, { record: index, number, value, rejection: undefined, isShared });
    else emit(undefined, rejectedElement(index, number, key));
  }
}

function rejectedElement(record: number, number: number, rejection: Rejection): Element {
  return { record, number, value: undefined, rejection, isShared: false };
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
): readonly unknown[] {
  const value = decode(record.data, onEnvelope);
  const { stages } = definition;
  if (stages.length === 0) return [value];
  const values: unknown[] = [];
  runStateless(stages, 0, value, values);
  return values;
}

function runStateless(
  stages: readonly StatelessStage[],
  from: number,
  value: unknown,
  values: unknown[],
): void {
  let current = value;
  for (let at = from; at < stages.length; at++) {
    const stage = stages[at] as StatelessStage;
    switch (stage.kind) {
      case 'map':
        current = stage.apply(current);
        break;
      case 'filter':
        if (!stage.apply(current)) return;
        break;
      case 'flatMap':
        for (const each of stage.apply(current)) runStateless(stages, at + 1, each, values);
        return;
    }
  }
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

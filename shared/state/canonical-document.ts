import type { Document } from './document.ts';
import {
  MAX_NAME_BYTES,
  MAX_NUMBER_DIGITS,
  MAX_STATE_NESTING,
  MIN_NUMBER_MAGNITUDE,
  NUMBER_MAGNITUDE_BOUND,
} from './dynamodb-limits.ts';
import { decimalBytes, numberBytesBound } from './number-bytes.ts';
import { setOwn } from './own-property.ts';
import { UnstorableStateError } from './unstorable-state-error.ts';
import { utf8Bytes } from './utf8-bytes.ts';

export interface CanonicalDocument {
  /** A fresh copy: names of maps in the order of their UTF-16 code units, -0 as 0, no `undefined`. */
  readonly document: Document;
  /**
   * Its size by DynamoDB's rules, without the name under which it is stored. Never too low; up to 8 bytes too high for
   * each fraction of more than four decimals, whose exact size would cost more than the rest of the work.
   */
  readonly bytes: number;
  /** Whether JSON can hold it: it has neither a bigint nor bytes. */
  readonly isJson: boolean;
}

/**
 * Checks, copies and measures a user's state in one pass. What a function sees must not depend on whether its state
 * came from memory or from the database (I10), which keeps no order of names; so the order here is fixed. (Names that
 * are array indexes come first, as in every JavaScript object.)
 *
 * Properties that are `undefined` or not enumerable are left out; an accessor is stored as the value that it gives. A bigint stays a bigint and a number a number.
 * @param root how the path in an error begins: the operator's name.
 * @throws UnstorableStateError with the path of what cannot be stored, and what to do.
 */
export function canonicalDocument(state: unknown, root = 'state'): CanonicalDocument {
  const result: Tally = { document: null, bytes: 0, isJson: true };
  result.document = copyOf(state, root, undefined, result);
  return result;
}

/** What canonical documents take together, by the same rules. */
export function documentsBytes(documents: Iterable<Document>): number {
  let bytes = 0;
  for (const document of documents) bytes += canonicalDocument(document).bytes;
  return bytes;
}

interface Tally {
  document: Document;
  bytes: number;
  isJson: boolean;
}

/** The list or map that is being copied, and those around it. */
interface Container {
  readonly value: object;
  readonly name: string | number;
  readonly outer: Container | undefined;
  /** 1 for the outermost. */
  readonly depth: number;
}

function copyOf(value: unknown, name: string | number, outer: Container | undefined, tally: Tally): Document {
  switch (typeof value) {
    case 'number':
      if (!Number.isSafeInteger(value)) checkNumber(value, name, outer);
      tally.bytes += numberBytesBound(value);
      return value === 0 ? 0 : value;
    case 'string': {
      const bytes = utf8Bytes(value);
      if (bytes < 0) {
        throw unstorable(
          name,
          outer,
          `is ${JSON.stringify(value)}, which holds a lone surrogate`,
          'UTF-8 cannot express it: clean it with toWellFormed(), or store the bytes.',
        );
      }
      tally.bytes += bytes;
      return value;
    }
    case 'boolean':
      tally.bytes += 1;
      return value;
    case 'object':
      if (value === null) {
        tally.bytes += 1;
        return null;
      }
      return copyOfObject(value, name, outer, tally);
    case 'bigint': {
      const text = String(value);
      if (text.length - (value < 0n ? 1 : 0) > MAX_NUMBER_DIGITS) {
        throw unstorable(
          name,
          outer,
          `is a bigint of more than ${MAX_NUMBER_DIGITS} digits (${text})`,
          'Store it as a string.',
        );
      }
      tally.bytes += decimalBytes(text);
      tally.isJson = false;
      return value;
    }
    case 'undefined':
      throw unstorable(name, outer, 'is undefined', 'Store null, or leave the property or the state out.');
    case 'function':
    case 'symbol':
      throw unstorable(name, outer, `is a ${typeof value}`, 'A state holds data only: leave it out.');
  }
}

function checkNumber(value: number, name: string | number, outer: Container | undefined): void {
  const magnitude = Math.abs(value);
  if (magnitude < NUMBER_MAGNITUDE_BOUND && (magnitude >= MIN_NUMBER_MAGNITUDE || magnitude === 0)) return;
  if (!Number.isFinite(value)) {
    throw unstorable(
      name,
      outer,
      `is ${value}`,
      'Only finite numbers can be stored: store null, or leave it out.',
    );
  }
  throw unstorable(
    name,
    outer,
    `is ${value}`,
    `DynamoDB stores 0 and magnitudes from ${MIN_NUMBER_MAGNITUDE} to below ${NUMBER_MAGNITUDE_BOUND}: round it, or store a string.`,
  );
}

function copyOfObject(
  value: object,
  name: string | number,
  outer: Container | undefined,
  tally: Tally,
): Document {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) {
    return copyOfMap(value, enter(value, name, outer), tally);
  }
  if (prototype === Array.prototype && Array.isArray(value)) {
    return copyOfList(value, enter(value, name, outer), tally);
  }
  if (value instanceof Uint8Array) {
    tally.bytes += value.length;
    tally.isJson = false;
    return new Uint8Array(value);
  }
  throw unstorable(
    name,
    outer,
    `is an instance of ${classNameOf(value)}`,
    'A state holds plain objects, arrays, strings, numbers, bigints, booleans, null and Uint8Array: convert it.',
  );
}

function enter(value: object, name: string | number, outer: Container | undefined): Container {
  const depth = outer === undefined ? 1 : outer.depth + 1;
  if (depth > MAX_STATE_NESTING) {
    // A cycle is always found here, so that ordinary states pay nothing for the search.
    for (let around = outer; around !== undefined; around = around.outer) {
      if (around.value === value) {
        throw unstorable(
          name,
          outer,
          `is the same object as ${pathOf(around.name, around.outer)}, which contains it`,
          'A state cannot hold cycles: store an id instead.',
        );
      }
    }
    throw unstorable(
      name,
      outer,
      `is nested deeper than ${MAX_STATE_NESTING} lists and maps`,
      'DynamoDB stores no deeper documents: flatten it.',
    );
  }
  return { value, name, outer, depth };
}

function copyOfList(list: readonly unknown[], container: Container, tally: Tally): Document {
  tally.bytes += 3 + list.length;
  const copy: Document[] = [];
  for (let index = 0; index < list.length; index++) {
    const element = list[index];
    if (element === undefined) {
      const problem = index in list ? 'is undefined, inside an array' : 'is a hole in a sparse array';
      throw unstorable(index, container, problem, 'Store null, or take it out.');
    }
    copy.push(copyOf(element, index, container, tally));
  }
  return copy;
}

function copyOfMap(map: object, container: Container, tally: Tally): Document {
  const symbols = Object.getOwnPropertySymbols(map);
  if (symbols.length > 0) {
    throw unstorable(
      String(symbols[0]),
      container,
      'has a symbol for its name',
      'Names are strings: use one, or leave it out.',
    );
  }
  const names = Object.keys(map);
  putInOrder(names);
  tally.bytes += 3;
  const copy: Record<string, Document> = {};
  for (let at = 0; at < names.length; at++) {
    const name = names[at] as string;
    // Read once: what an accessor gives is checked, and it is what is stored.
    const value = (map as Record<string, unknown>)[name];
    if (value === undefined) continue;
    tally.bytes += 1 + bytesOfName(name, container);
    setOwn(copy, name, copyOf(value, name, container, tally));
  }
  return copy;
}

/** Names beyond this number are left to the native sort. */
const MANY_NAMES = 16;

/** Sorts in place, by UTF-16 code units. */
function putInOrder(names: string[]): void {
  // By insertion: for a few names three times as fast as the native sort, and a single pass where they are in order.
  for (let from = 1; from < names.length; from++) {
    const name = names[from] as string;
    let to = from;
    for (; to > 0 && (names[to - 1] as string) > name; to--) names[to] = names[to - 1] as string;
    if (to === from) continue;
    names[to] = name;
    if (names.length > MANY_NAMES) {
      names.sort();
      return;
    }
  }
}

function bytesOfName(name: string, container: Container): number {
  const bytes = utf8Bytes(name);
  if (bytes > 0 && bytes <= MAX_NAME_BYTES) return bytes;
  throw unstorable(
    name.length > 100 ? `${name.slice(0, 100)}…` : name,
    container,
    bytes < 0 ? 'has a lone surrogate in its name' : `has a name of ${bytes} bytes`,
    `DynamoDB takes names of 1 to ${MAX_NAME_BYTES} bytes in UTF-8: choose another name.`,
  );
}

function classNameOf(value: object): string {
  const maker: unknown = (value as { constructor?: unknown }).constructor;
  return typeof maker === 'function' && maker.name !== '' ? maker.name : 'a class without a name';
}

function unstorable(
  name: string | number,
  outer: Container | undefined,
  problem: string,
  advice: string,
): UnstorableStateError {
  return new UnstorableStateError(`${pathOf(name, outer)} ${problem}. ${advice}`);
}

const PLAIN_NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

/** Such as `delays.history[3].at`, or `delays["a.b"]` where a name is not an identifier. */
function pathOf(name: string | number, outer: Container | undefined): string {
  if (outer === undefined) return String(name);
  const before = pathOf(outer.name, outer.outer);
  if (typeof name === 'number') return `${before}[${name}]`;
  return PLAIN_NAME.test(name) ? `${before}.${name}` : `${before}[${JSON.stringify(name)}]`;
}

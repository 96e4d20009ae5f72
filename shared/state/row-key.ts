import { createHash } from 'node:crypto';
import { MAX_KEY_BYTES } from './dynamodb-limits.ts';
import { utf8Bytes } from './utf8-bytes.ts';

/** The row that says which generation is current. */
export const CONTROL_KEY = 'c';

/** The item of a key: the key comes last, so that whatever it holds cannot be taken for another row. */
export function itemKey(generation: number, key: string): string {
  return `${generation}/s/${key}`;
}

/** The generation of an item or a progress row. */
export function generationOf(pk: string): number {
  return Number(pk.slice(0, pk.indexOf('/')));
}

/** The generation that a row of any kind belongs to; `undefined` for the control row and for what is none of ours. */
export function generationOfRow(pk: string): number | undefined {
  const [, generation] = /^([1-9]\d{0,8})\/(?:[sdp]\/|r$)/.exec(pk) ?? [];
  return generation === undefined ? undefined : Number(generation);
}

/** Whether it is the row of a generation's state item, of a key or of a shard. */
export function isItemOf(generation: number, pk: string): boolean {
  return pk.startsWith(`${generation}/s/`) || pk.startsWith(`${generation}/d/`);
}

/** What an item's outputs name as their source: its row without the generation, so that a restored item is the same. */
export function sourceOf(pk: string): string {
  return pk.slice(pk.indexOf('/') + 1);
}

/** The key of an item; `undefined` of a shard's own. */
export function keyOfItem(pk: string): string | undefined {
  return /^\d+\/s\/(.*)$/s.exec(pk)?.[1];
}

/** The shard's own item: dead letters that have no key. */
export function shardItemKey(generation: number, shard: string): string {
  return `${generation}/d/${shard}`;
}

/** No lane has this name. */
const NOTICE = '*';

/** The notice that some lane of the generation has an item with dead letters that have no key. */
export function noticeKey(generation: number): string {
  return shardItemKey(generation, NOTICE);
}

export function isNotice(pk: string): boolean {
  return sourceOf(pk) === `d/${NOTICE}`;
}

/** The shard of its own item. */
export function shardOfItem(pk: string): string {
  return sourceOf(pk).slice('d/'.length);
}

/** The progress of a shard. */
export function progressKey(generation: number, shard: string): string {
  return `${generation}/p/${shard}`;
}

/** The shards that have a progress row in the generation. */
export function rosterKey(generation: number): string {
  return `${generation}/r`;
}

/** 64 bits. */
const SHOWN_HASH_CHARACTERS = 11;

/**
 * A row's key as errors and logs name it: a key of the user's is data, and stands there as its hash. The same key has
 * the same hash, `createHash('sha256').update(key).digest('base64url')`, cut to 11 characters.
 */
export function shownKey(pk: string): string {
  const [, prefix, key] = /^(\d+\/s\/)(.*)$/s.exec(pk) ?? [];
  if (prefix === undefined || key === undefined) return JSON.stringify(pk);
  const hash = createHash('sha256').update(key).digest('base64url').slice(0, SHOWN_HASH_CHARACTERS);
  return `"${prefix}…" (key ${hash})`;
}

/** Why DynamoDB cannot take a row under this key, or `undefined` where it can. Two such keys could become one row. */
export function rowKeyProblem(pk: string): string | undefined {
  const bytes = utf8Bytes(pk);
  if (bytes < 0) return `the key ${shownKey(pk)} holds a lone surrogate, which UTF-8 cannot express`;
  if (bytes > MAX_KEY_BYTES) {
    return `the key ${shownKey(pk)} has ${bytes} bytes in UTF-8, and DynamoDB takes ${MAX_KEY_BYTES}`;
  }
  return bytes === 0 ? 'the key is empty' : undefined;
}

/** @throws RangeError where DynamoDB cannot take a row under this key. */
export function checkRowKey(pk: string): void {
  const problem = rowKeyProblem(pk);
  if (problem !== undefined) throw new RangeError(`${problem}: reject the record whose key it is.`);
}

/** @throws RangeError for a row that is of no generation. */
export function checkIsOfGeneration(pk: string): void {
  if (generationOfRow(pk) !== undefined) return;
  throw new RangeError(`Row ${JSON.stringify(pk)} belongs to no generation: it is not removed with one.`);
}

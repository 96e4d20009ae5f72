import { createHash } from 'node:crypto';
import type { Row } from '../state/attribute-bytes.ts';
import { documentOfJson } from '../state/document-json.ts';
import type { Document } from '../state/document.ts';
import { ITEM } from '../state/item-attributes.ts';
import { decodeItem, encodeItem } from '../state/item-codec.ts';
import { carriedRevision } from '../state/revision.ts';
import { generationOf, itemKey, keyOfItem, shardItemKey, shardOfItem } from '../state/row-key.ts';
import { statesJson } from '../state/spilled-states.ts';
import type { StateItem } from '../state/state-item.ts';

/**
 * A line of a checkpoint's part: one state item as JSON, its key and its states in clear. What else is in it stands as
 * the table has it, under the names of `item-attributes`: marks, outbox, letters. A line of the table's row, no more, so
 * that what a restore writes is what was read; but without the table's TTL, which is stamped anew, and without the part of
 * the index of what is due, which follows from the key and the generation.
 */
interface CheckpointLine {
  /** The key; of a shard's own item there is the shard instead. */
  readonly key?: string;
  readonly shard?: string;
  readonly revision: number;
  /** By operator. Bigints and bytes stand as `{"$bigint":"1"}` and `{"$bytes":"base64"}`. */
  readonly states?: { readonly [operator: string]: Document };
  readonly item: Row;
}

/** 128 bits. */
const STATES_HASH_CHARACTERS = 22;

/**
 * The line of an item, without its end. The same item gives the same line, in whatever order the table gave its parts.
 * @param item with its states, wherever they are stored.
 */
export function checkpointLine(item: StateItem): string {
  const { pk, revision, states } = item;
  const row = encodeItem({ ...item, states: new Map() });
  delete row[ITEM.pk];
  delete row[ITEM.revision];
  delete row[ITEM.expiry];
  delete row[ITEM.dueBucket];
  // Of items that were read at one moment, which those of a checkpoint are not.
  delete row[ITEM.settled];
  // A version of 1 beside a state goes without saying there; here the states stand apart.
  const versions = [...item.versions].filter(([operator, version]) => version !== 1 || !states.has(operator));
  delete row[ITEM.versions];
  if (versions.length > 0) {
    row[ITEM.versions] = {
      M: Object.fromEntries(versions.map(([operator, version]) => [operator, { N: String(version) }])),
    };
  }
  const key = keyOfItem(pk);
  const owner =
    key === undefined ? `"shard":${JSON.stringify(shardOfItem(pk))}` : `"key":${JSON.stringify(key)}`;
  const held = states.size === 0 ? '' : `"states":${statesJson(states)},`;
  return `{${owner},"revision":${revision},${held}"item":${JSON.stringify(row)}}`;
}

/**
 * The item of a line, as it is to stand in a generation.
 * @param from the generation whose checkpoint it is; revisions are carried from it.
 * @throws TypeError or SyntaxError when the line is none.
 */
export function itemOfLine(line: string, from: number, generation: number): StateItem {
  const { key, shard, revision, states, item } = JSON.parse(line) as CheckpointLine;
  const pk = key === undefined ? shardItemKey(generation, shard ?? '') : itemKey(generation, key);
  const read = decodeItem({
    ...item,
    [ITEM.pk]: { S: pk },
    [ITEM.revision]: { N: String(revision) },
  });
  const held = statesOf(states, line);
  const versions = new Map([
    ...[...held.keys()].map((name): [string, number] => [name, 1]),
    ...read.versions,
  ]);
  return {
    ...carried(read, from, generation),
    states: held,
    versions: new Map([...versions].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** The line that an item of a restored generation had in the checkpoint, for comparing. */
export function lineBefore(item: StateItem, from: number): string {
  const { pk } = item;
  const key = keyOfItem(pk);
  return checkpointLine({
    ...carried(item, generationOf(pk), from),
    pk: key === undefined ? shardItemKey(from, shardOfItem(pk)) : itemKey(from, key),
  });
}

/** The item with the revisions that it has in another generation. */
export function carried(item: StateItem, from: number, to: number): StateItem {
  return {
    ...item,
    revision: carriedRevision(item.revision, from, to),
    outbox: item.outbox.map((entry) =>
      entry.kind === 'output' ? { ...entry, revision: carriedRevision(entry.revision, from, to) } : entry,
    ),
  };
}

/** @param line in which they stood. */
function statesOf(states: CheckpointLine['states'], line: string): Map<string, Document> {
  return new Map(states === undefined ? [] : Object.entries(documentOfJson(states, line) as typeof states));
}

/** Whether the line is that of this key, without reading the rest of it. */
export function isLineOfKey(line: string, key: string): boolean {
  return line.startsWith(`{"key":${JSON.stringify(key)},`);
}

/** The key and the states of a line; `undefined` for a shard's own. What is not a state is not read further. */
export function keyAndStatesOf(
  line: string,
): { readonly key: string; readonly states: ReadonlyMap<string, Document> } | undefined {
  const { key, states } = JSON.parse(line) as CheckpointLine;
  if (key === undefined) return undefined;
  return { key, states: statesOf(states, line) };
}

/**
 * The key of a line and a hash that equal states have in common; `undefined` for a shard's own, for a key without a
 * state, and for one that is not wanted.
 */
export function statesOfLine(
  line: string,
  isWanted: (key: string) => boolean,
): { readonly key: string; readonly hash: string } | undefined {
  const { key, states } = JSON.parse(line) as CheckpointLine;
  if (key === undefined || states === undefined || !isWanted(key)) return undefined;
  const hash = createHash('sha256').update(JSON.stringify(states)).digest('base64url');
  return { key, hash: hash.slice(0, STATES_HASH_CHARACTERS) };
}

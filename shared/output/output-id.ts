import { createHash } from 'node:crypto';
import { shardOfLane } from '../source/lane.ts';
import type { OutputEntry } from '../state/state-item.ts';

/** Pipeline, shard, sequence number, sub-sequence number, element, sink and index: what no retry changes (I4). */
export function outputId(pipeline: string, entry: OutputEntry): string {
  const { element, sink, index } = entry;
  const { lane, position } = entry.origin ?? entry;
  return `${pipeline}/${shardOfLane(lane)}/${position.sequence}/${position.sub}/${element}/${sink}/${index}`;
}

/** 96 bits. */
const KEY_HASH_CHARACTERS = 16;

/** A key's hash, for names and for the provenance of outputs. */
export function hashOfKey(key: string): string {
  return createHash('sha256').update(key).digest('base64url').slice(0, KEY_HASH_CHARACTERS);
}

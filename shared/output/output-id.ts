import { createHash } from 'node:crypto';
import { shardOfLane } from '../source/lane.ts';
import type { DeadLetterEntry, OutputEntry } from '../state/state-item.ts';

/** Pipeline, shard, sequence number, sub-sequence number, element, sink and index: what no retry changes (I4). */
export function outputId(pipeline: string, entry: OutputEntry): string {
  const { lane, position, element, sink, index } = entry;
  return `${pipeline}/${shardOfLane(lane)}/${position.sequence}/${position.sub}/${element}/${sink}/${index}`;
}

/**
 * Generation, shard, position, element and key, as the name of an object: sorts by shard and arrival. The key is
 * hashed because it may hold anything.
 */
export function deadLetterName(
  generation: number,
  key: string | undefined,
  { lane, position, element }: DeadLetterEntry,
): string {
  const keyHash = key === undefined ? 'no-key' : hashOfKey(key);
  const sequence = position.sequence.padStart(SEQUENCE_DIGITS, '0');
  return `${generation}/${shardOfLane(lane)}/${sequence}.${position.sub}-${element}-${keyHash}.json`;
}

/** Kinesis writes 56 digits in practice. */
const SEQUENCE_DIGITS = 56;
/** 96 bits. */
const KEY_HASH_CHARACTERS = 16;

/** A key's hash, for names and for the provenance of outputs. */
export function hashOfKey(key: string): string {
  return createHash('sha256').update(key).digest('base64url').slice(0, KEY_HASH_CHARACTERS);
}

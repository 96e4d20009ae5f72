import { createHash } from 'node:crypto';
import { isTimerLane, shardOfLane } from '../source/lane.ts';
import type { OutputEntry } from '../state/state-item.ts';

/**
 * Pipeline, shard, sequence number, sub-sequence number, element, sink and index; of what a timer made its key's hash, due
 * time, the operator's place, sink and index: what no retry changes (I4), and no matter who fires.
 */
export function outputId(pipeline: string, entry: OutputEntry): string {
  const { sink, index } = entry;
  const { lane, position } = entry.origin ?? entry;
  const element = elementOf(entry);
  return `${pipeline}/${shardOfLane(lane)}/${position.sequence}/${position.sub}/${element}/${sink}/${index}`;
}

type Standing = Pick<OutputEntry, 'lane' | 'position' | 'element' | 'origin'>;

/** Which of a record's elements made the output; 0 of what a timer made. */
function elementOf({ lane, origin, element }: Standing): number {
  return isTimerLane((origin ?? { lane }).lane) ? 0 : element;
}

/**
 * In which order the output stands among those that the next pipeline sees: that of the lane which carries it, and of what
 * a timer made always that of its key's timers, whoever carries it.
 */
export function standingOf(entry: Standing): Pick<OutputEntry, 'lane' | 'position' | 'element'> {
  const { origin } = entry;
  const { lane, position } = origin !== undefined && isTimerLane(origin.lane) ? origin : entry;
  return { lane, position, element: elementOf(entry) };
}

/** 96 bits. */
const KEY_HASH_CHARACTERS = 16;

/** A key's hash, for names and for the provenance of outputs. */
export function hashOfKey(key: string): string {
  return createHash('sha256').update(key).digest('base64url').slice(0, KEY_HASH_CHARACTERS);
}

import { shardOfLane } from '../source/lane.ts';
import { parseSequence, type Position } from '../source/position.ts';
import type { DeadLetterEntry, DeadLetterStage } from '../state/state-item.ts';
import { hashOfKey } from './output-id.ts';

/** What the name of a dead letter tells. */
export interface NamedLetter {
  readonly generation: number;
  /** `hashOfKey` of its key; absent where it has none. */
  readonly keyHash?: string;
  /** Its number in its item. */
  readonly number: number;
  /** Stream and shard, compact. */
  readonly shard: string;
  readonly position: Position;
  readonly element: number;
  readonly stage: DeadLetterStage;
}

/** Stands in names where the hash of a key would; no hash is as short. */
export const NO_KEY = 'no-key';

/** Ten billion letters of one key come first. */
const NUMBER_DIGITS = 10;

/**
 * Generation, hash of the key, number, shard, position, element and stage: the letters of one key lie beside each other, in
 * the order in which they were committed, and a listing tells what there is without reading any of them. The key is
 * hashed because it may hold anything.
 */
export function deadLetterName(generation: number, key: string | undefined, entry: DeadLetterEntry): string {
  const { number, element, stage } = entry;
  const { lane, position } = entry.origin ?? entry;
  const owner = key === undefined ? NO_KEY : hashOfKey(key);
  return (
    `${generation}/${owner}/${padded(number)}/${shardOfLane(lane)}/` +
    `${position.sequence}.${position.sub}-${element}.${stage}.json`
  );
}

/** The beginning of the names of a generation's letters, or of those of one key. */
export function deadLetterNamesOf(generation: number, keyHash?: string): string {
  return `${generation}/${keyHash === undefined ? '' : `${keyHash}/`}`;
}

/** The beginning of the name of a letter that has no key. */
export function deadLetterWithoutKey(generation: number, shard: string, number: number): string {
  return `${generation}/${NO_KEY}/${padded(number)}/${shard}/`;
}

function padded(number: number): string {
  return String(number).padStart(NUMBER_DIGITS, '0');
}

const NAME_PATTERN =
  /^(\d+)\/([-\w]+)\/(\d+)\/([-\w]+\/[-\w.]+)\/(\d{1,129})\.(\d+)-(\d+)\.([a-zA-Z]+)\.json$/;

/** Reads a name; `undefined` for what is none. */
export function readDeadLetterName(name: string): NamedLetter | undefined {
  const match = NAME_PATTERN.exec(name);
  if (match === null) return undefined;
  const [, generation, owner, number, shard, sequence, sub, element, stage] = match as unknown as string[];
  return {
    generation: Number(generation),
    ...(owner !== NO_KEY && { keyHash: owner as string }),
    number: Number(number),
    shard: shard as string,
    position: { sequence: parseSequence(sequence as string), sub: Number(sub) },
    element: Number(element),
    stage: stage as DeadLetterStage,
  };
}

import { createHash } from 'node:crypto';
import type { PipelineDefinition } from '../../../shared/pipeline/definition.ts';
import { lineElements } from './line-elements.ts';

/** Where a line goes. */
export interface LineRoute {
  readonly partitionKey: string;
  /** The keys whose state it concerns; none where the pipeline will reject it. */
  readonly keys: readonly string[];
}

/** Unicode characters that Kinesis takes as a partition key (PutRecordsRequestEntry). */
const LONGEST_PARTITION_KEY = 256;

/**
 * How many different partition keys lines without one key of their own share. With a ParallelizationFactor above 1 each
 * is a lane, and a key's item keeps a mark for each lane that feeds it, 256 at most (shared/engine/limits.ts); a split
 * shard doubles the lanes.
 */
const SHARED_PARTITION_KEYS = 64;

/**
 * The partition key under which a line is sent: the pipeline's own key where the line becomes exactly one element, so
 * that order holds per key; else a short hash of the line. A key that Kinesis cannot take is hashed itself.
 */
export function routeOf(definition: PipelineDefinition, line: Buffer): LineRoute {
  const keys = keysOf(definition, line);
  const [key, ...others] = keys;
  // Behind a repartition the keys have their own order; the records before it are dealt out without regard to them.
  if (definition.repartition !== undefined || key === undefined || others.length > 0)
    return { partitionKey: sharedKeyOf(line), keys };
  const isTaken = key !== '' && key.isWellFormed() && [...key].length <= LONGEST_PARTITION_KEY;
  return { partitionKey: isTaken ? key : hashOf(key), keys };
}

function keysOf(definition: PipelineDefinition, line: Buffer): string[] {
  try {
    return lineElements(definition, line).map((element) => {
      const key: unknown = definition.keyBy(element);
      if (typeof key === 'string') return key;
      throw new TypeError('A key is a string.');
    });
  } catch {
    // The line is sent as it is: that it is wrong is for the pipeline to say, in a dead letter.
    return [];
  }
}

function sharedKeyOf(line: Buffer): string {
  const number = createHash('sha256').update(line).digest().readUInt32BE(0) % SHARED_PARTITION_KEYS;
  return `lines-${number}`;
}

function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 32);
}

/** A shard's range of hash keys, both ends in it: 32 lower-case hexadecimal digits each, so that text order is theirs. */
export interface HashRange {
  readonly starting: string;
  readonly ending: string;
}

/** 128 bits. */
const HASH_KEY_DIGITS = 32;
const HASH_KEY_PATTERN = /^\d{1,39}$/;

/** Which hash keys the shards of streams take: an event names its shard, and nothing more of it. */
export interface ShardRanges {
  /**
   * The range of a shard, open or closed. A shard's range never changes.
   * @throws when it cannot be learnt: nothing is guessed, and the batch comes again.
   */
  rangeOf(streamArn: string, shardId: string): Promise<HashRange>;
}

/** Ranges that are given once, by shard id. */
export class MemoryShardRanges implements ShardRanges {
  readonly #ranges: ReadonlyMap<string, HashRange>;

  constructor(ranges: ReadonlyMap<string, HashRange>) {
    this.#ranges = ranges;
  }

  async rangeOf(streamArn: string, shardId: string): Promise<HashRange> {
    const range = this.#ranges.get(shardId);
    if (range === undefined) throw unknownShard(streamArn, shardId);
    return range;
  }
}

export function unknownShard(streamArn: string, shardId: string): Error {
  return new Error(
    `Stream ${streamArn} lists no shard '${shardId}', so that nothing tells which records of an aggregate are its own; ` +
      'the batch comes again.',
  );
}

/**
 * A hash key as Kinesis writes it, 0 to 2^128 - 1 in decimal digits, as 32 hexadecimal digits; `undefined` where it is
 * none.
 */
export function hashKeyDigits(decimal: string): string | undefined {
  if (!HASH_KEY_PATTERN.test(decimal)) return undefined;
  const digits = BigInt(decimal).toString(16);
  return digits.length > HASH_KEY_DIGITS ? undefined : digits.padStart(HASH_KEY_DIGITS, '0');
}

/** The range that these ends span. @throws RangeError where one is no hash key. */
export function hashRange(startingHashKey: string, endingHashKey: string): HashRange {
  const starting = hashKeyDigits(startingHashKey);
  const ending = hashKeyDigits(endingHashKey);
  if (starting === undefined || ending === undefined) {
    throw new RangeError(
      `'${startingHashKey}' to '${endingHashKey}' is no range of hash keys: they are 0 to 2^128 - 1, in decimal digits.`,
    );
  }
  return { starting, ending };
}

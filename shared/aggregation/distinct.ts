import { createHash } from 'node:crypto';
import type { Aggregation } from './aggregation.ts';
import {
  emptySketch,
  estimateOf,
  GREATEST_PRECISION,
  isSketch,
  LEAST_PRECISION,
  union,
  withHash,
  type HyperLogLog,
} from './hyper-log-log.ts';
import { requireCountable, requireWhole, type Countable } from './requirements.ts';

export interface DistinctOptions {
  /**
   * 4 to 16; 12 unless given. The estimate's standard error is 1.04 / sqrt(2^precision) of the true number, 1.6 % for
   * 12: two of three estimates are closer than that, and of a hundred all but five within twice as much. The sketch
   * takes up to 0.75 * 2^precision bytes, 3 KB for 12, and 3 bytes per value while there are few; it is written anew
   * with every record of the key.
   */
  precision?: number;
}

/**
 * An estimate of how many different values `of` gives: HyperLogLog. Order, repetition and merging make no difference.
 * Types are told apart: `1` and `'1'` are two values.
 * @throws TypeError where the precision cannot be used.
 */
export function distinct<T>(
  of: (value: T) => Countable,
  { precision = 12 }: DistinctOptions = {},
): Aggregation<T, HyperLogLog, number> {
  requireWhole("'precision' of distinct", precision, LEAST_PRECISION, GREATEST_PRECISION);
  return Object.freeze({
    initial: () => emptySketch(precision),
    add: (sketch: HyperLogLog, value: T) => {
      const counted = requireCountable(of(value), 'distinct');
      // Values come from data: nobody must be able to choose such as share their hashes.
      const hash = createHash('sha256')
        .update(`${typeof counted} ${String(counted)}`)
        .digest();
      return withHash(sketch, hash.readUInt32BE(0), hash.readUInt32BE(4));
    },
    merge: union,
    result: (sketch: HyperLogLog) => Math.round(estimateOf(sketch)),
    accepts: (state: unknown) => isSketch(state, precision),
  });
}

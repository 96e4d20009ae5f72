import type { Pipeline } from '../../shared/pipeline/definition.ts';
import { UsageError } from './usage-error.ts';

/**
 * Chaos splits and merges shards, and which values come too late for their windows hangs on the shard in which each
 * stands: two right runs differ, and a plain fold of the input knows no event time at all.
 * @throws UsageError for pipelines of which one goes by event time.
 */
export function requireComparable(chain: readonly Pipeline[]): void {
  const timed = chain.find(({ definition }) => definition.time !== undefined);
  if (timed === undefined) return;
  throw new UsageError(
    `--chaos compares the state with a plain fold of the input, and pipeline ${timed.definition.name} goes by event ` +
      'time: what is late, and so what its windows hold, hangs on the shard in which each record stands, and chaos ' +
      'splits and merges shards. Run it without --chaos; windows and timers under faults are for npm run simulate.',
  );
}

/** @throws UsageError for several batches of a shard at a time, in whose order event time is known. */
export function requireOneBatch(chain: readonly Pipeline[], parallelizationFactor: number | undefined): void {
  const timed = chain.find(({ definition }) => definition.time !== undefined);
  if (timed === undefined || (parallelizationFactor ?? 1) === 1) return;
  throw new UsageError(
    `--parallelization-factor is ${parallelizationFactor}, and pipeline ${timed.definition.name} goes by event time, ` +
      'which is known in the order of each shard alone: leave it out.',
  );
}

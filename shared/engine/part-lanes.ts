import { comparePositions, type Position } from '../source/position.ts';
import type { RecordBatch } from '../source/record.ts';
import type { BatchOrigin } from './open.ts';
import type { BatchResult } from './process-batch.ts';
import type { Runtime } from './runtime.ts';

/** How often the row is looked at anew where it does not move: somebody else has written it, or sealed it. */
const TRIES = 3;

/**
 * The ParallelizationFactor was raised above 1 while the shard was read. What was handed in by shard may be committed and
 * not published: it is ended by shard, in order, before anything is applied by partition key. Else two batches at once
 * would publish outputs of one lane out of order, and whoever keeps the highest position of each lane would lose some; and
 * a record without a key would get a second letter in its other lane from somebody who is still at work.
 *
 * All invocations of the shard may do it at once: to each other they are late duplicates.
 * @param processBatch the engine's way of a batch.
 * @returns whether lanes are by partition key now; where not, the batch comes again.
 */
export async function partLanes(
  runtime: Runtime,
  delivered: RecordBatch,
  generation: number,
  deadlineMs: number,
  keepGoing: () => boolean,
  processBatch: (
    runtime: Runtime,
    batch: RecordBatch,
    deadlineMs: number,
    origin: BatchOrigin,
  ) => Promise<BatchResult>,
): Promise<boolean> {
  const { store, shardRecords } = runtime;
  const { shard } = delivered;
  if (shardRecords === undefined)
    throw new Error(`Shard ${shard} cannot be read: the runtime has no port for it.`);
  let before: Position | undefined;
  for (let tries = 0; tries < TRIES && keepGoing();) {
    const progress = await store.readProgress(generation, shard);
    if (progress === undefined || progress.isByPartition) return true;
    const { handedIn, position, first } = progress;
    if (before !== undefined && position !== undefined && comparePositions(position, before) === 0)
      tries += 1;
    before = position;
    const isDone = handedIn === undefined || isAtOrAbove(position, handedIn);
    const batch = isDone
      ? undefined
      : await shardRecords
          .from(delivered, position ?? first, handedIn, keepGoing)
          .catch((error: unknown) => whereInTime(error, keepGoing));
    if (batch === 'late') return false;
    if (isDone || batch === undefined) {
      // What the stream does not hold any more cannot come again.
      if (await store.partLanes(generation, shard, handedIn, isDone ? position : handedIn)) {
        if (!isDone) runtime.log.error(GIVEN_UP, { shard, sequenceNumber: handedIn.sequence });
        return true;
      }
      if (position === undefined) tries += 1;
      continue;
    }
    const { failedFrom } = await processBatch(runtime, batch, deadlineMs, {
      kind: 'begun',
      generation,
      until: handedIn,
    });
    if (failedFrom !== undefined) return false;
  }
  return false;
}

/** What cannot be read in the time that there is, is read when the batch comes again. @throws the error where there is time. */
function whereInTime(error: unknown, keepGoing: () => boolean): 'late' {
  if (keepGoing()) throw error;
  return 'late';
}

const GIVEN_UP =
  'The stream does not hold any more what was handed in before the ParallelizationFactor was raised: what was not applied ' +
  'or not published of it, up to this record, never will be';

function isAtOrAbove(position: Position | undefined, other: Position): boolean {
  return position !== undefined && comparePositions(position, other) >= 0;
}

import { isOfOneElement } from '../engine/rejected-records.ts';
import type { RejectedBefore } from '../engine/open.ts';
import type { RedriveRuntime } from '../engine/runtime.ts';
import { deadLetterNamesOf, NO_KEY, readDeadLetterName } from '../output/dead-letter-name.ts';
import { encodePosition, type Position } from '../source/position.ts';
import { shardItemKey } from '../state/row-key.ts';
import type { DeadLetterStage } from '../state/state-item.ts';
import type { SourceShard } from './replay-source.ts';

/**
 * What a generation under replay knows as dead letters without a key of one shard: those that the restored item of the shard
 * names, open or closed, and those that the replay has made. A checkpoint's scan may have seen such a letter above the
 * checkpoint's position. Mended code would give its record a key, whose item has no mark of it, and apply it, and the letter
 * would be applied again, or has been. So it stays what it is: a letter, for a redrive (I6).
 */
export async function rejectedBefore(
  runtime: Pick<RedriveRuntime, 'deadLetters' | 'closedLetters' | 'store'>,
  generation: number,
  { shard }: Pick<SourceShard, 'shard'>,
): Promise<RejectedBefore> {
  const whole = new Set<string>();
  const parts = new Set<string>();
  const add = (position: Position, element: number, stage: DeadLetterStage): void => {
    const place = encodePosition(position);
    if (isOfOneElement(stage)) parts.add(`${place} ${element}`);
    else whole.add(place);
  };
  for (const store of [runtime.deadLetters, runtime.closedLetters]) {
    for await (const page of store.list(deadLetterNamesOf(generation, NO_KEY))) {
      for (const { name } of page) {
        const named = readDeadLetterName(name);
        if (named?.shard === shard) add(named.position, named.element, named.stage);
      }
    }
  }
  // Committed, and stored with its record, which comes yet.
  const pk = shardItemKey(generation, shard);
  for (const entry of (await runtime.store.load([pk])).get(pk)?.outbox ?? []) {
    if (entry.kind !== 'deadLetter') continue;
    add((entry.origin ?? entry).position, entry.element, entry.stage);
  }
  return (position, element) => {
    const place = encodePosition(position);
    return whole.has(place) || parts.has(`${place} ${element}`);
  };
}

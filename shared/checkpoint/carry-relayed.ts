import { stamped } from '../engine/commit.ts';
import type { Runtime } from '../engine/runtime.ts';
import { deadLetterNamesOf, readDeadLetterName } from '../output/dead-letter-name.ts';
import { inParallel } from '../state/in-parallel.ts';
import { letterStatus, NO_LETTERS } from '../state/letters.ts';
import { carriedRevision } from '../state/revision.ts';
import { shardItemKey } from '../state/row-key.ts';
import type { StateItem } from '../state/state-item.ts';
import type { RewindWork } from '../state/state-store.ts';
import { copyLetters } from './restore.ts';
import type { Rewinder } from './rewind.ts';

const ITEMS_IN_FLIGHT = 4;

/**
 * Shards that are only passed on, those of the front of a repartition, go on from their seals, and nothing of them is
 * replayed. So what they have rejected goes on too: what was acknowledged is in the old generation's items, and a letter
 * that came behind the checkpoint would else be in none. Before the new generation takes anything, for they are rejected
 * into these items.
 * @returns whether all is done; where not, a write was in doubt, and the same call does the rest.
 */
export async function carryRelayed(
  { runtime, generations, source }: Pick<Rewinder, 'runtime' | 'generations' | 'source'>,
  { from, to }: Pick<RewindWork, 'from' | 'to'>,
): Promise<boolean> {
  const shards = (await generations.shards(from)).filter((shard) => source.isRelayed(shard));
  if (shards.length === 0) return true;
  const { store } = runtime;
  const left = await store.load(shards.map((shard) => shardItemKey(from, shard)));
  const restored = await store.load(shards.map((shard) => shardItemKey(to, shard)));
  const results = await inParallel(shards, ITEMS_IN_FLIGHT, async (shard) => {
    const before = left.get(shardItemKey(from, shard));
    if (before === undefined) return true;
    const pk = shardItemKey(to, shard);
    const item: StateItem = { ...before, pk, revision: carriedRevision(before.revision, from, to) };
    const there = restored.get(pk);
    if (there === undefined || there.revision < item.revision) {
      const [result] = await store.commit([
        { item: stamped(runtime, item), expectedRevision: there?.revision, loaded: there, spills: false },
      ]);
      if (result !== 'committed') return false;
    }
    await copyLetters(runtime, item, { generation: from });
    await removeClosed(runtime, item, to);
    return true;
  });
  return !results.includes(false);
}

/** What the checkpoint knew as open, and is closed by now. */
async function removeClosed(
  { deadLetters }: Pick<Runtime, 'deadLetters'>,
  { pk, letters = NO_LETTERS }: StateItem,
  generation: number,
): Promise<void> {
  for await (const page of deadLetters.list(deadLetterNamesOf(generation, 'no-key'))) {
    for (const { name } of page) {
      const named = readDeadLetterName(name);
      if (named === undefined || letterStatus(letters, named.number) !== 'closed') continue;
      if ((await deadLetters.get(name))?.item === pk) await deadLetters.remove(name);
    }
  }
}

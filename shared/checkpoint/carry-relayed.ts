import { stamped } from '../engine/commit.ts';
import type { Runtime } from '../engine/runtime.ts';
import { deadLetterNamesOf, NO_KEY, readDeadLetterName } from '../output/dead-letter-name.ts';
import type { DeadLetterStore } from '../output/dead-letter-store.ts';
import { inParallel } from '../state/in-parallel.ts';
import { letterStatus, NO_LETTERS } from '../state/letters.ts';
import { shardItemKey } from '../state/row-key.ts';
import type { StateItem } from '../state/state-item.ts';
import type { RewindWork } from '../state/state-store.ts';
import { carried } from './checkpoint-line.ts';
import { copyLetters, FIRST_PAUSE_MS, isPending, LETTERS_IN_FLIGHT, WRITE_TRIES } from './restore.ts';
import type { Rewinder } from './rewind.ts';

const ITEMS_IN_FLIGHT = 4;

/** Names of letters of the new generation that are there. */
interface Known {
  readonly open: ReadonlySet<string>;
  readonly closed: ReadonlySet<string>;
}

/**
 * Shards that are only passed on, those of the front of a repartition, go on from their seals, and nothing of them is
 * replayed. So what they have rejected goes on too: what was acknowledged is in the old generation's items, and a letter
 * that came behind the checkpoint would else be in none. Before the new generation takes anything, for they are rejected
 * into these items. Letters that are there already are not copied again, so that one who dies over many gets on.
 * @returns whether all is done; where not, the table is throttled or somebody else is at it, and the same call does the
 * rest.
 */
export async function carryRelayed(
  { runtime, generations, source }: Pick<Rewinder, 'runtime' | 'generations' | 'source'>,
  { from, to }: Pick<RewindWork, 'from' | 'to'>,
): Promise<boolean> {
  const shards = (await generations.shards(from)).filter((shard) => source.isRelayed(shard));
  if (shards.length === 0) return true;
  const { store, deadLetters, closedLetters } = runtime;
  const left = await store.load(shards.map((shard) => shardItemKey(from, shard)));
  const known: Known = { open: await namesOf(deadLetters, to), closed: await namesOf(closedLetters, to) };
  const results = await inParallel(shards, ITEMS_IN_FLIGHT, async (shard) => {
    const before = left.get(shardItemKey(from, shard));
    if (before === undefined) return true;
    const item: StateItem = { ...carried(before, from, to), pk: shardItemKey(to, shard) };
    if (!(await write(runtime, item))) return false;
    await copyLetters(runtime, item, { generation: from }, (named, newName, isClosed) => {
      return named.shard === shard && !known[isClosed ? 'closed' : 'open'].has(newName);
    });
    await removeClosed(runtime, item, shard, known.open);
    return true;
  });
  return !results.includes(false);
}

/** Writes the item over the restored one. @returns whether it is there. */
async function write(runtime: Runtime, item: StateItem): Promise<boolean> {
  const { store } = runtime;
  for (let tries = 1; ; tries++) {
    const there = (await store.load([item.pk])).get(item.pk);
    if (there !== undefined && there.revision >= item.revision) return true;
    const [result] = await store.commit([
      { item: stamped(runtime, item), expectedRevision: there?.revision, loaded: there, spills: false },
    ]);
    if (result === 'committed') return true;
    if (tries === WRITE_TRIES) return false;
    await runtime.wait(FIRST_PAUSE_MS * 2 ** tries);
  }
}

async function namesOf(store: DeadLetterStore, generation: number): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for await (const page of store.list(deadLetterNamesOf(generation, NO_KEY))) {
    for (const { name } of page) names.add(name);
  }
  return names;
}

/**
 * What the checkpoint knew as open, and is closed by now. What a redrive has closed and not put yet needs its letter to be
 * brought to its end.
 */
async function removeClosed(
  { deadLetters }: Pick<Runtime, 'deadLetters'>,
  item: StateItem,
  shard: string,
  names: ReadonlySet<string>,
): Promise<void> {
  const closed = [...names].filter((name) => {
    const named = readDeadLetterName(name);
    if (named?.shard !== shard || isPending(item, named)) return false;
    return letterStatus(item.letters ?? NO_LETTERS, named.number) === 'closed';
  });
  await inParallel(closed, LETTERS_IN_FLIGHT, (name) => deadLetters.remove(name));
}

import { deadLetterNamesOf, NO_KEY, readDeadLetterName } from '../output/dead-letter-name.ts';
import { isOfOneElement, RejectedRecords } from './rejected-records.ts';
import type { Runtime } from './runtime.ts';

/**
 * The records of a shard that had letters without a key, open or closed, when its generation was restored: the letters'
 * names tell, which were restored with the items. Read once: what is rejected since is listed in its lane's item.
 */
export function rejectedBefore(
  runtime: Pick<Runtime, 'deadLetters' | 'closedLetters' | 'rejectedBefore'>,
  generation: number,
  shard: string,
): Promise<RejectedRecords> {
  if (runtime.rejectedBefore?.generation !== generation) {
    runtime.rejectedBefore = { generation, byShard: new Map() };
  }
  const { byShard } = runtime.rejectedBefore;
  let known = byShard.get(shard);
  if (known === undefined) {
    known = readNames(runtime, generation, shard);
    byShard.set(shard, known);
    // What failed is asked again.
    known.catch(() => byShard.delete(shard));
  }
  return known;
}

async function readNames(
  { deadLetters, closedLetters }: Pick<Runtime, 'deadLetters' | 'closedLetters'>,
  generation: number,
  shard: string,
): Promise<RejectedRecords> {
  const rejected = new RejectedRecords();
  // In this order: a letter that is closed meanwhile is put there before it goes here.
  for (const store of [deadLetters, closedLetters]) {
    for await (const page of store.list(deadLetterNamesOf(generation, NO_KEY))) {
      for (const { name } of page) {
        const named = readDeadLetterName(name);
        if (named?.shard !== shard) continue;
        rejected.add(named.position, isOfOneElement(named.stage) ? [named.element] : undefined);
      }
    }
  }
  return rejected;
}

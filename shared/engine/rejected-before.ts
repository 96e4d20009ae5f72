import { deadLetterNamesOf, NO_KEY, readDeadLetterName } from '../output/dead-letter-name.ts';
import { isOfOneElement, RejectedRecords } from './rejected-records.ts';
import type { Runtime } from './runtime.ts';

/**
 * By shard: the records that had letters without a key, open or closed, when their generation was restored: the letters'
 * names tell, which were restored with the items. Read once: what is rejected since is listed in its lane's item.
 */
export function rejectedBefore(
  runtime: Pick<Runtime, 'deadLetters' | 'closedLetters' | 'rejectedBefore'>,
  generation: number,
): Promise<ReadonlyMap<string, RejectedRecords>> {
  let known = runtime.rejectedBefore;
  if (known?.generation !== generation) {
    known = runtime.rejectedBefore = { generation, byShard: readNames(runtime, generation) };
    // What failed is asked again.
    known.byShard.catch(() => delete runtime.rejectedBefore);
  }
  return known.byShard;
}

async function readNames(
  { deadLetters, closedLetters }: Pick<Runtime, 'deadLetters' | 'closedLetters'>,
  generation: number,
): Promise<ReadonlyMap<string, RejectedRecords>> {
  const byShard = new Map<string, RejectedRecords>();
  // In this order: a letter that is closed meanwhile is put there before it goes here.
  for (const store of [deadLetters, closedLetters]) {
    for await (const page of store.list(deadLetterNamesOf(generation, NO_KEY))) {
      for (const { name } of page) {
        const named = readDeadLetterName(name);
        if (named === undefined) continue;
        const { shard, position, element, stage } = named;
        let rejected = byShard.get(shard);
        if (rejected === undefined) byShard.set(shard, (rejected = new RejectedRecords()));
        rejected.add(position, isOfOneElement(stage) ? [element] : undefined);
      }
    }
  }
  return byShard;
}

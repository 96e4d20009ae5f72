import { describe, expect, it } from 'vitest';
import { letterId, selectLetters, type LetterFilter } from '../../../infra/cli/letter-selection.ts';
import { deadLetterName } from '../../../shared/output/dead-letter-name.ts';
import type { DeadLetter } from '../../../shared/output/dead-letter-store.ts';
import { MemoryDeadLetterStore } from '../../../shared/output/memory-dead-letters.ts';
import type { DeadLetterEntry } from '../../../shared/state/state-item.ts';

let nowMs = 1_000;
const entry: DeadLetterEntry = {
  kind: 'deadLetter',
  lane: 'x3Fa_q/0',
  position: { sequence: '100', sub: 0 },
  number: 0,
  element: 0,
  stage: 'fold',
  reason: '',
};

async function store(): Promise<MemoryDeadLetterStore> {
  const letters = new MemoryDeadLetterStore(() => nowMs, new Map(), 2);
  const put = async (
    at: number,
    key: string | undefined,
    changes: Partial<DeadLetterEntry>,
  ): Promise<void> => {
    nowMs = at;
    await letters.put(deadLetterName(1, key, { ...entry, ...changes }), {} as DeadLetter);
  };
  await put(1, 'a', { number: 0 });
  await put(2, 'a', { number: 1, stage: 'parked' });
  await put(3, 'a', { number: 10, stage: 'parked', lane: 'x3Fa_q/1#hash' });
  await put(4, 'b', { number: 0 });
  await put(5, undefined, { stage: 'decode' });
  letters.letters.set('1/something else', {} as DeadLetter);
  return letters;
}

async function selected(filter: Partial<LetterFilter>): Promise<string[]> {
  const ids: string[] = [];
  for await (const page of selectLetters(await store(), { ids: [], ...filter })) {
    ids.push(...page.map(({ stage, number, storedMs }) => `${storedMs} ${stage} ${number}`));
  }
  return ids.toSorted();
}

describe('a selection of dead letters', () => {
  it.each<[string, Partial<LetterFilter>, readonly string[]]>([
    ['all', {}, ['1 fold 0', '2 parked 1', '3 parked 10', '4 fold 0', '5 decode 0']],
    ['those of a key', { key: 'a' }, ['1 fold 0', '2 parked 1', '3 parked 10']],
    ['those of a stage', { stage: 'decode' }, ['5 decode 0']],
    ['those of a shard', { shard: '1' }, ['3 parked 10']],
    ['those of a time', { sinceMs: 2, untilMs: 4 }, ['2 parked 1', '3 parked 10']],
    ['what meets everything', { key: 'a', stage: 'parked', shard: '0' }, ['2 parked 1']],
    ['none', { key: 'c' }, []],
  ])('has %s', async (_, filter, expected) => {
    expect(await selected(filter)).toEqual(expected);
  });

  it('has each letter by its id alone, and once, however often it is named', async () => {
    for await (const page of selectLetters(await store(), { ids: [] })) {
      for (const letter of page) {
        const id = letterId(letter);
        expect(await selected({ ids: [id] })).toHaveLength(1);
        expect(
          await selected({ ids: [id, letter.name, `${id.split('/').slice(0, 2).join('/')}/`] }),
        ).toContain(`${letter.storedMs} ${letter.stage} ${letter.number}`);
      }
    }
    const [first] = [...(await store()).letters.keys()];
    expect(await selected({ ids: [first ?? '', first ?? ''] })).toHaveLength(1);
    // A number is no beginning of another.
    expect(await selected({ ids: ['1/no-key/000000000'] })).toEqual([]);
  });
});

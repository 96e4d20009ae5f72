import { describe, expect, it } from 'vitest';
import type { DeadLetter, DeadLetterStore } from '../../../shared/output/dead-letter-store.ts';

const LETTER: DeadLetter = {
  pipeline: 'p',
  generation: 1,
  stream: 's',
  shard: 'x3Fa_q/0',
  lane: 'x3Fa_q/0#hash',
  sequenceNumber: '49590338271490256608559692538361571095921575989136588898',
  subSequenceNumber: 3,
  item: '1/s/__proto__ \u{1f980}',
  number: 17,
  element: 2,
  key: '__proto__ \u{1f980}',
  stage: 'fold',
  reason: 'TypeError: "é" \u0000',
  partitionKey: '',
  arrivalMs: 1_700_000_000_123,
  data: 'AAEC/w==',
};

/**
 * What every DeadLetterStore must do.
 * @param storeOf gives an empty store of the pipeline `p` each time.
 */
export function deadLetterStoreContract(storeOf: () => Promise<DeadLetterStore>): void {
  async function namesOf(store: DeadLetterStore, prefix: string): Promise<string[]> {
    const names: string[] = [];
    for await (const page of store.list(prefix)) names.push(...page.map(({ name }) => name));
    return names;
  }

  describe('a store of dead letters', () => {
    it('gives back what was put, whole', async () => {
      const store = await storeOf();
      await store.put('1/a/0/s/0/1.0-0.json', LETTER);
      expect(await store.get('1/a/0/s/0/1.0-0.json')).toStrictEqual(LETTER);
      const withoutKey = Object.fromEntries(
        Object.entries(LETTER).filter(([name]) => name !== 'key'),
      ) as typeof LETTER;
      await store.put('1/no-key/0/s/0/1.0-0.json', withoutKey);
      expect(await store.get('1/no-key/0/s/0/1.0-0.json')).toStrictEqual(withoutKey);
    });

    it('takes the same letter again, and changes nothing', async () => {
      const store = await storeOf();
      await store.put('1/a/0', LETTER);
      await store.put('1/a/0', LETTER);
      expect(await namesOf(store, '')).toEqual(['1/a/0']);
      expect(await store.get('1/a/0')).toStrictEqual(LETTER);
    });

    it('has nothing under a name that was never put, nor under a part of one', async () => {
      const store = await storeOf();
      await store.put('1/a/0', LETTER);
      expect(await store.get('1/b/0')).toBeUndefined();
      expect(await store.get('1/a')).toBeUndefined();
      expect(await store.get('1/a/')).toBeUndefined();
    });

    it('removes a letter, and does not mind one that is gone', async () => {
      const store = await storeOf();
      await store.put('1/a/0', LETTER);
      await store.put('1/a/1', LETTER);
      await store.remove('1/a/0');
      await store.remove('1/a/0');
      await store.remove('1/never/0');
      expect(await store.get('1/a/0')).toBeUndefined();
      expect(await namesOf(store, '')).toEqual(['1/a/1']);
      await store.put('1/a/0', LETTER);
      expect(await namesOf(store, '')).toEqual(['1/a/0', '1/a/1']);
    });

    it('lists by the beginning of names, in the order of their bytes, each with a time', async () => {
      const store = await storeOf();
      const names = ['1/B/0', '1/_/0', '1/a/0', '1/a/1', '10/a/0', '2/a/0'];
      for (const name of names.toReversed()) await store.put(name, LETTER);
      expect(await namesOf(store, '')).toEqual(names.toSorted());
      expect(await namesOf(store, '1/')).toEqual(['1/B/0', '1/_/0', '1/a/0', '1/a/1']);
      expect(await namesOf(store, '1/a/')).toEqual(['1/a/0', '1/a/1']);
      expect(await namesOf(store, '3/')).toEqual([]);
      for await (const page of store.list('')) {
        for (const { storedMs } of page) expect(storedMs).toBeGreaterThan(1_600_000_000_000);
      }
    });

    it('lists more than a page, none twice, also while letters are removed', async () => {
      const store = await storeOf();
      const names = Array.from({ length: 1_203 }, (_, number) => `1/a/${String(number).padStart(10, '0')}`);
      for (let at = 0; at < names.length; at += 100) {
        await Promise.all(names.slice(at, at + 100).map(async (name) => store.put(name, LETTER)));
      }
      const listed: string[] = [];
      let pages = 0;
      for await (const page of store.list('1/')) {
        pages += 1;
        listed.push(...page.map(({ name }) => name));
        await Promise.all(page.slice(0, 5).map(async ({ name }) => store.remove(name)));
      }
      expect(listed).toEqual(names);
      expect(pages).toBeGreaterThan(1);
    });
  });
}

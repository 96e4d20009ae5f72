import { hashOfKey } from '../../shared/output/output-id.ts';
import { readDeadLetterName, type NamedLetter } from '../../shared/output/dead-letter-name.ts';
import type { DeadLetterStore } from '../../shared/output/dead-letter-store.ts';

/** Which dead letters a command is about: those that meet everything that is given. */
export interface LetterFilter {
  /** Ids as a listing shows them, or the beginning of some, up to a slash; none for all. */
  readonly ids: readonly string[];
  readonly key?: string;
  readonly stage?: string;
  /** The number of a shard, or its name where that is none. */
  readonly shard?: string;
  /** When it was stored, milliseconds since the epoch. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

/** A letter of which the name tells what it is. */
export interface SelectedLetter extends NamedLetter {
  readonly name: string;
  readonly storedMs: number;
}

/** The letters that the filter lets through, page by page, those of one key in their order. */
export async function* selectLetters(
  store: DeadLetterStore,
  filter: LetterFilter,
): AsyncGenerator<readonly SelectedLetter[]> {
  const seen = new Set<string>();
  for (const id of filter.ids.length === 0 ? [''] : filter.ids) {
    for await (const page of store.list(id)) {
      const letters: SelectedLetter[] = [];
      for (const { name, storedMs } of page) {
        const named = readDeadLetterName(name);
        if (named === undefined || !isOfId(name, id)) continue;
        const letter = { ...named, name, storedMs };
        if (!meets(letter, filter)) continue;
        if (filter.ids.length > 1) {
          if (seen.has(name)) continue;
          seen.add(name);
        }
        letters.push(letter);
      }
      if (letters.length > 0) yield letters;
    }
  }
}

/** The shortest id that is this letter's alone: letters of a key are told by their numbers. */
export function letterId({ name, keyHash }: SelectedLetter): string {
  return keyHash === undefined ? name.replace(/\.json$/, '') : name.split('/').slice(0, 3).join('/');
}

function isOfId(name: string, id: string): boolean {
  const rest = name.slice(id.length);
  return id === '' || id.endsWith('/') || rest === '' || rest.startsWith('/') || rest === '.json';
}

function meets(letter: SelectedLetter, { key, stage, shard, sinceMs, untilMs }: LetterFilter): boolean {
  return (
    (key === undefined || letter.keyHash === hashOfKey(key)) &&
    (stage === undefined || letter.stage === stage) &&
    (shard === undefined || letter.shard.slice(letter.shard.indexOf('/') + 1) === shard) &&
    (sinceMs === undefined || letter.storedMs >= sinceMs) &&
    (untilMs === undefined || letter.storedMs < untilMs)
  );
}

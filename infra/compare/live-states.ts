import { setTimeout as wait } from 'node:timers/promises';
import type { StateItem } from '../../shared/state/state-item.ts';
import { comparableText, type IgnoredFields } from './comparable-text.ts';
import type { CommonSpan } from './common-span.ts';
import { haveSameRecords, isOneToFire, isTouched } from './item-standing.ts';
import { Tally } from './tally.ts';

/** The items of a pipeline at work. */
export interface Items {
  /** All keys that have an item, some at a time. */
  keys(): AsyncIterable<readonly string[]>;
  load(keys: readonly string[]): Promise<ReadonlyMap<string, StateItem>>;
  whole(item: StateItem | undefined): Promise<StateItem | undefined>;
}

export interface StatesReport {
  /** Keys that have an item in one of them. */
  readonly keys: number;
  /** Of these, those that got a record behind the fork in one of them. */
  readonly touched: number;
  /** Of the keys, those that never held the same records in both while it was looked, or wait for a timer in one. */
  readonly apart: number;
  /** By operator; a state that only one has is a difference. */
  readonly operators: ReadonlyMap<string, Tally>;
}

export interface StatesOptions {
  readonly ignored: IgnoredFields;
  /** Differences kept of each operator. */
  readonly limit: number;
  /** How far both are. Read before any item that it is for. */
  readonly span: () => Promise<CommonSpan>;
  /** How often keys are looked at again that are further in one than in the other. */
  readonly rounds: number;
  readonly pauseMs: number;
  readonly isInterrupted: () => boolean;
}

/** Keys that are looked at again; what is beyond them counts as apart. */
const REMEMBERED = 10_000;
const KEYS_PER_LOAD = 100;

/**
 * Compares the states of a pipeline with those of its fork while both go on. Each key is compared where both items hold
 * the effects of the same records, which their marks tell, and looked at again where they do not. Nothing has to stop for
 * it, and memory holds a page of keys: each table is read once, and each item of the other is asked for.
 */
export async function compareLiveStates(
  old: Items,
  now: Items,
  options: StatesOptions,
): Promise<StatesReport> {
  const work = new StatesWork(old, now, options);
  let span = await options.span();
  for await (const keys of old.keys()) {
    if (options.isInterrupted()) return work.report();
    await work.compare(keys, span, false);
  }
  for await (const keys of now.keys()) {
    if (options.isInterrupted()) return work.report();
    await work.compare(keys, span, true);
  }
  for (let round = 0; round < options.rounds && work.apart.size > 0 && !options.isInterrupted(); round++) {
    await wait(options.pauseMs);
    span = await options.span();
    const again = [...work.apart];
    for (let from = 0; from < again.length; from += KEYS_PER_LOAD) {
      await work.compareAgain(again.slice(from, from + KEYS_PER_LOAD), span);
    }
  }
  return work.report();
}

class StatesWork {
  readonly #old: Items;
  readonly #now: Items;
  readonly #options: StatesOptions;
  readonly #operators = new Map<string, Tally>();
  readonly apart = new Set<string>();
  #beyond = 0;
  #keys = 0;
  #touched = 0;

  constructor(old: Items, now: Items, options: StatesOptions) {
    this.#old = old;
    this.#now = now;
    this.#options = options;
  }

  report(): StatesReport {
    return {
      keys: this.#keys,
      touched: this.#touched,
      apart: this.apart.size + this.#beyond,
      operators: new Map([...this.#operators].sort(([a], [b]) => (a < b ? -1 : 1))),
    };
  }

  /** @param onlyNew leaves out the keys that the old pipeline has an item of: they were compared before. */
  async compare(keys: readonly string[], span: CommonSpan, onlyNew: boolean): Promise<void> {
    const [olds, nows] = await this.#load(keys);
    for (const key of keys) {
      const [old, now] = [olds.get(key), nows.get(key)];
      if (onlyNew && old !== undefined) continue;
      this.#keys += 1;
      if (isTouched(old, span) || isTouched(now, span)) this.#touched += 1;
      if (await this.#judge(key, old, now, span)) continue;
      if (this.apart.size < REMEMBERED) this.apart.add(key);
      else this.#beyond += 1;
    }
  }

  async compareAgain(keys: readonly string[], span: CommonSpan): Promise<void> {
    const [olds, nows] = await this.#load(keys);
    for (const key of keys) {
      if (await this.#judge(key, olds.get(key), nows.get(key), span)) this.apart.delete(key);
    }
  }

  #load(keys: readonly string[]): Promise<[ReadonlyMap<string, StateItem>, ReadonlyMap<string, StateItem>]> {
    return Promise.all([this.#old.load(keys), this.#now.load(keys)]);
  }

  /** @returns whether they could be compared. */
  async #judge(
    key: string,
    oldItem: StateItem | undefined,
    newItem: StateItem | undefined,
    span: CommonSpan,
  ): Promise<boolean> {
    const [old, now] = [await this.#old.whole(oldItem), await this.#now.whole(newItem)];
    if (!haveSameRecords(old, now, span)) return false;
    const names = new Set([...(old?.states.keys() ?? []), ...(now?.states.keys() ?? [])]);
    const texts = [...names].map((name) => {
      const [a, b] = [old, now].map((item) => {
        const state = item?.states.get(name);
        return state === undefined ? undefined : comparableText(state, this.#options.ignored);
      });
      return { name, a, b };
    });
    if (texts.some(({ a, b }) => a !== b) && isOneToFire(old, now)) return false;
    for (const { name, a, b } of texts) {
      const tally = this.#operators.get(name) ?? new Tally(this.#options.limit);
      this.#operators.set(name, tally);
      tally.compare(key, a, b);
    }
    return true;
  }
}

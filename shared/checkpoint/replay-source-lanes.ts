import type { StreamRecord } from '../mapping/stream-record.ts';
import { AGGREGATE_MAGIC } from '../source/aggregate.ts';
import { compareSequences, type Position } from '../source/position.ts';
import type { Clock } from '../time/clock.ts';
import type { FoundBehind, SourceLane, SourceLanes } from '../time/source-lanes.ts';
import type { ReplaySource, SourceShard } from './replay-source.ts';

/** For how long a listing of shards holds: a shard that is newer has parents in it, which hold its time. */
const LISTING_KEPT_MS = 10_000;
/** A page without records that is not the end is asked for again so often: a shard may give some before it gives any. */
const EMPTY_PAGES = 3;
const PAGE_RECORDS = 10;

/** Whether the record, or one inside of it, stands behind the position. */
async function isBehind(
  { sequenceNumber, data }: StreamRecord,
  position: Position | undefined,
): Promise<boolean> {
  if (position === undefined || compareSequences(sequenceNumber, position.sequence) > 0) return true;
  const bytes = typeof data === 'string' ? Buffer.from(data, 'base64') : Buffer.from(data);
  if (!bytes.subarray(0, AGGREGATE_MAGIC.length).equals(AGGREGATE_MAGIC)) return false;
  const { readAggregate } = await import('../source/aggregate-format.ts');
  try {
    return position.sub < readAggregate(bytes).length - 1;
  } catch {
    // What cannot be unpacked is one record, and a dead letter.
    return false;
  }
}

/** The lanes of a pipeline's source, read as a replay reads it. */
export class ReplaySourceLanes implements SourceLanes {
  readonly #source: ReplaySource;
  readonly #clock: Clock;
  #listed: { readonly shards: readonly SourceShard[]; readonly atMs: number } | undefined;

  constructor(source: ReplaySource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
  }

  async lanes(): Promise<readonly SourceLane[]> {
    return this.#shards();
  }

  async behind(shard: string, position: Position | undefined): Promise<FoundBehind> {
    const listed = (await this.#shards()).find((each) => each.shard === shard);
    if (listed === undefined) return 'records';
    const reader = this.#source.reader(listed, position?.sequence);
    for (let empty = 0; empty < EMPTY_PAGES;) {
      const page = await reader.next(PAGE_RECORDS);
      if (page.kind === 'gone') return 'end';
      for (const record of page.records) if (await isBehind(record, position)) return 'records';
      if (page.isAtEnd) return page.isClosed === true ? 'end' : 'nothing';
      if (page.records.length === 0) empty += 1;
    }
    return 'records';
  }

  async #shards(): Promise<readonly SourceShard[]> {
    const nowMs = this.#clock.nowMs();
    if (this.#listed === undefined || nowMs - this.#listed.atMs > LISTING_KEPT_MS) {
      const shards = (await this.#source.shards()).filter(({ shard }) => !this.#source.isRelayed(shard));
      this.#listed = { shards, atMs: nowMs };
    }
    return this.#listed.shards;
  }
}

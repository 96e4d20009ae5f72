import { LOADED_STATES_LIMIT_BYTES } from '../engine/limits.ts';
import { inParallel } from '../state/in-parallel.ts';
import type { StateItem } from '../state/state-item.ts';
import { ByteRoom } from './byte-room.ts';
import { checkpointLine } from './checkpoint-line.ts';
import type { CheckpointWork, SegmentWork } from './checkpoint-work.ts';
import { LineDigest } from './line-digest.ts';
import { PartPacker } from './part-form.ts';
import type { CheckpointTaker } from './take-checkpoint.ts';

export interface HeldWork {
  readonly work: CheckpointWork;
  readonly version: string;
  /** Who does it: a part of the names of the parts. */
  readonly holder: string;
}

export interface ScanEnd {
  /** `overtaken`: somebody else has written the work. */
  readonly kind: 'complete' | 'unfinished' | 'overtaken';
  readonly work: CheckpointWork;
}

class Overtaken extends Error {}

/**
 * Reads all segments that are not done, side by side, and stores their items in parts. What memory holds is a page and
 * a part of each segment and some spilled states, whatever the size of the table: no page is read before the items of
 * the one before are packed, and nothing is packed while a part is being stored.
 * @param stopMs when nothing is read any more and what is packed is stored, milliseconds since the epoch.
 * @throws when a request fails: every segment has ended then.
 */
export async function scanSegments(taker: CheckpointTaker, held: HeldWork, stopMs: number): Promise<ScanEnd> {
  const scan = new Scan(taker, held, stopMs);
  return scan.run();
}

class Scan {
  readonly #taker: CheckpointTaker;
  readonly #holder: string;
  readonly #stopMs: number;
  readonly #room = new ByteRoom(LOADED_STATES_LIMIT_BYTES / 2);
  readonly #startMs: number;
  readonly #startRcu: number;
  #work: CheckpointWork;
  #version: string;
  /** Notes are written one behind the other: each goes on from the version of the one before. */
  #noting: Promise<void> = Promise.resolve();
  #hasFailed = false;

  constructor(taker: CheckpointTaker, { work, version, holder }: HeldWork, stopMs: number) {
    this.#taker = taker;
    this.#work = work;
    this.#version = version;
    this.#holder = holder;
    this.#stopMs = stopMs;
    this.#startMs = taker.clock.nowMs();
    this.#startRcu = taker.generations.costs().rcu;
  }

  async run(): Promise<ScanEnd> {
    const places = [...this.#work.segments.keys()];
    try {
      await inParallel(places, places.length, async (segment) => {
        try {
          await this.#scan(segment);
        } catch (error) {
          this.#hasFailed = true;
          throw error;
        }
      });
    } catch (error) {
      if (error instanceof Overtaken) return { kind: 'overtaken', work: this.#work };
      throw error;
    }
    const isComplete = this.#work.segments.every(({ isDone }) => isDone);
    return { kind: isComplete ? 'complete' : 'unfinished', work: this.#work };
  }

  async #scan(segment: number): Promise<void> {
    const { generations, partBytes } = this.#taker;
    const { segments, generation } = this.#work;
    let { after, isDone } = segments[segment] as SegmentWork;
    let packer = new PartPacker(partBytes);
    while (!isDone && (await this.#mayGoOn())) {
      const page = await generations.scan({
        generation,
        segment,
        segments: segments.length,
        ...(after !== undefined && { after }),
      });
      let isWhole = true;
      for (const item of page.items) {
        if (this.#isOver()) {
          isWhole = false;
          break;
        }
        const line = await this.#lineOf(item);
        if (line !== undefined) packer.add(line);
        after = item.pk;
        if (packer.isFull) {
          await this.#store(segment, packer, { after, isDone: false });
          packer = new PartPacker(partBytes);
        }
      }
      if (!isWhole) break;
      isDone = page.next === undefined;
      after = page.next ?? after;
    }
    if (this.#hasFailed) return;
    await this.#store(segment, packer, { ...(after !== undefined && { after }), isDone });
  }

  /** Waits where the scan is ahead of the read units that it may use. */
  async #mayGoOn(): Promise<boolean> {
    const { clock, wait, generations, readUnitsPerSecond } = this.#taker;
    const used = generations.costs().rcu - this.#startRcu;
    const dueMs = this.#startMs + (used / readUnitsPerSecond) * 1_000;
    const waitMs = Math.min(dueMs, this.#stopMs) - clock.nowMs();
    if (waitMs > 0 && !this.#isOver()) await wait(waitMs);
    return !this.#isOver();
  }

  #isOver(): boolean {
    return this.#hasFailed || this.#taker.clock.nowMs() >= this.#stopMs;
  }

  /** @returns `undefined` where the item is gone since it was scanned. */
  async #lineOf(item: StateItem): Promise<string | undefined> {
    const { spilled, pk } = item;
    if (spilled === undefined) return checkpointLine(item);
    return this.#room.during(spilled.bytes, async () => {
      const whole = (await this.#taker.store.load([pk])).get(pk);
      return whole && checkpointLine(whole);
    });
  }

  /** Stores a part, and then notes it together with how far the segment is. */
  async #store(
    segment: number,
    packer: PartPacker,
    position: Pick<SegmentWork, 'after' | 'isDone'>,
  ): Promise<void> {
    const { checkpoints } = this.#taker;
    const before = this.#work.segments[segment] as SegmentWork;
    if (packer.lines === 0) {
      if (before.isDone === position.isDone && before.after === position.after) return;
      return this.#note(segment, { ...before, ...position });
    }
    const name = `${segment}-${before.parts.length}-${this.#holder}.ndjson.gz`;
    const { packed, lines, sha256, digest } = packer.finish();
    await checkpoints.putPart(this.#work.id, name, packed);
    digest.merge(new LineDigest(before.digest));
    await this.#note(segment, {
      ...position,
      parts: [...before.parts, { name, lines, bytes: packed.length, sha256 }],
      items: before.items + lines,
      digest: String(digest),
    });
  }

  #note(segment: number, progress: SegmentWork): Promise<void> {
    const note = async (): Promise<void> => {
      if (this.#hasFailed) return;
      const work: CheckpointWork = {
        ...this.#work,
        segments: this.#work.segments.map((each, place) => (place === segment ? progress : each)),
      };
      const { checkpoints } = this.#taker;
      const version = await checkpoints.putWork(work.id, JSON.stringify(work), this.#version);
      if (version === undefined) throw new Overtaken();
      this.#work = work;
      this.#version = version;
    };
    const noting = this.#noting.then(note);
    this.#noting = noting.catch(() => undefined);
    return noting;
  }
}
